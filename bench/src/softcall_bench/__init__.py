"""Measures Softcall beside PEFT, llama.cpp and bare ONNX Runtime on the same texts."""
