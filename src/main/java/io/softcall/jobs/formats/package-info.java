/** File formats: CSV and JSON lines. */
package io.softcall.jobs.formats;
