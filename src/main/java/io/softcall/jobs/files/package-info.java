/** A stored file as a sequence of rows, and what results of rows look like. */
package io.softcall.jobs.files;
