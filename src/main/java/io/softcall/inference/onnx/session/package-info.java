/** Sessions of ONNX Runtime: how graphs are opened, and what they are given. */
package io.softcall.inference.onnx.session;
