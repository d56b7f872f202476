/** Opens the base at startup, early and in parallel. docs/cold-start.md. */
package io.softcall.inference.opening;
