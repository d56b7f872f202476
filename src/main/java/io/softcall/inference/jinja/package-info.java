/**
 * Jinja, as far as chat templates use it. It is rendered as transformers does, without access to any object of Java.
 *
 * <p>We found no library that does this. Jinjava 2.8.4, the only one that is kept well, needs another parser:
 * {@code not x is defined} means {@code (not x) is defined} there, which loses the start of the answer without an error, and
 * {@code namespace(n=x - 1)} fails (Qwen 3). {@code docs/generation.md} has the comparison.
 */
package io.softcall.inference.jinja;
