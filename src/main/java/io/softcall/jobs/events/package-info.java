/** Storage notifications and parts of jobs, as senders wrap them. */
package io.softcall.jobs.events;
