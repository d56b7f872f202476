/** The model on ONNX Runtime: sessions, their inputs, prefixes as KV caches. Names and shapes: docs/base-bundle.md. */
package io.softcall.inference.onnx;
