/** A task: its name, prompt, label head, template, and what a base requires of it. Contract: docs/task-artifact.md. */
package io.softcall.task;
