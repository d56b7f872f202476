/** Prefixes in the forms in which graphs take keys and values. */
package io.softcall.inference.onnx.prefix;
