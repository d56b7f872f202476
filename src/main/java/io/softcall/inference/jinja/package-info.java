/**
 * Jinja, as far as chat templates use it. It is rendered as transformers does, without access to any object of Java.
 *
 * <p>No library does this. Jinjava 2.8.4, the only one that is kept well, rendered 245 of 328 conversations with 66 published
 * templates as transformers does, after its filters and methods had been replaced by Python's. The rest needs another parser:
 * {@code not x is defined} means {@code (not x) is defined} there, which loses the start of the answer without an error, and
 * {@code namespace(n=x - 1)} fails (Qwen 3). This package renders all 328.
 */
package io.softcall.inference.jinja;
