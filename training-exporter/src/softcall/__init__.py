"""Soft prompts: train them, export the frozen base, publish them."""

import os

# ONNX Runtime 1.29 describes the process and its machine to its maker unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
