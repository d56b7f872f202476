/** The tasks of a store, kept fresh. docs/freshness.md. */
package io.softcall.task.catalog;
