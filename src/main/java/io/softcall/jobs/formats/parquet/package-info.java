/** Parquet, read by pages, with bounds that are checked before anything is built. */
package io.softcall.jobs.formats.parquet;
