/** The model on ONNX Runtime: sessions, their inputs, and prefixes as KV caches. docs/base-bundle.md has names and shapes. */
package io.softcall.inference.onnx;
