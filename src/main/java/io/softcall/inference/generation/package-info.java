/** Writes text behind prompts: requests, and answers that arrive piece by piece. docs/generation.md. */
package io.softcall.inference.generation;
