/** Decodes sequences side by side: which of them share a step, and where their keys and values are. docs/generation.md. */
package io.softcall.inference.decoding;
