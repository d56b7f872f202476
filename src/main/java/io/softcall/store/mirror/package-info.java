/** A local copy of a store, for devices that are offline at times. docs/edge.md. */
package io.softcall.store.mirror;
