/** Chooses the next token by its logits. Pure functions of logits, settings and a seed. */
package io.softcall.inference.sampling;
