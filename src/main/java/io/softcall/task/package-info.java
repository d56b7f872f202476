/**
 * A task: its name, prompt, label head and template, and the requirements of a base. docs/task-artifact.md specifies the
 * format.
 */
package io.softcall.task;
