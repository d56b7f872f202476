/** Reads artifacts from bytes that anybody may have written. */
package io.softcall.task.artifact;
