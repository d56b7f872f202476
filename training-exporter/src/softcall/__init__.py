"""Soft prompts: train them, export the frozen base, publish them."""

import os

# Unless this is set before its import, ONNX Runtime 1.29 describes the process and the machine to its maker.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
