/** Stores of artifacts: bytes and versions. Defines the contracts of all stores. */
package io.softcall.store;
