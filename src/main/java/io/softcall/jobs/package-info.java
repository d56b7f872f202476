/** Classification of stored files. docs/jobs.md explains why each job has one complete result. */
package io.softcall.jobs;
