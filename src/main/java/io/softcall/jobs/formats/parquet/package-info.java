/** A Parquet reader that works page by page, and checks all bounds before it reserves memory. */
package io.softcall.jobs.formats.parquet;
