/** A stored file as a sequence of rows, and the format of their results. */
package io.softcall.jobs.files;
