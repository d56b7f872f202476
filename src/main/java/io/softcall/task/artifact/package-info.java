/** Reads artifacts from untrusted bytes. */
package io.softcall.task.artifact;
