/** The tasks of a store, revalidated at each call. docs/freshness.md specifies how. */
package io.softcall.task.catalog;
