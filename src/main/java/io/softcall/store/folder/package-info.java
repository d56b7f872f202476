/** A folder as a store. */
package io.softcall.store.folder;
