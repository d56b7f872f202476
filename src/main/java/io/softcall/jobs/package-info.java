/** Files and their results: what a job reads, does and writes. docs/jobs.md says why its result is complete. */
package io.softcall.jobs;
