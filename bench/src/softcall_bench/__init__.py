"""Measures Softcall beside PEFT, llama.cpp and bare ONNX Runtime on the same texts."""

import softcall  # noqa: F401  turns ONNX Runtime's telemetry off before any module here imports ONNX Runtime
