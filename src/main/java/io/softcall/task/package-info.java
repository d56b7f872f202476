/** What a caller names: parsing, checking and keeping fresh the artifacts of tasks. Contract: docs/task-artifact.md. */
package io.softcall.task;
