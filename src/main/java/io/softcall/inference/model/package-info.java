/** The frozen base as the rest of Softcall sees it: the interface {@code Model}, its bundle, device, tokenizer and settings. */
package io.softcall.inference.model;
