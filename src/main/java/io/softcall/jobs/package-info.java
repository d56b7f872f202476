/** Classification of stored files. docs/jobs.md says why each job has one complete result. */
package io.softcall.jobs;
