/** The work of a job: its plan, parts, tasks and manifest, in the job's folder. */
package io.softcall.jobs.run;
