/** The frozen base on ONNX Runtime: tokenizer, prefixes, batching, and the call that puts them together. */
package io.softcall.inference;
