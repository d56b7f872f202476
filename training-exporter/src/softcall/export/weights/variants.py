"""The variants of a trunk on disk: their files, and how their weights follow from the base's own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console

from softcall.base.architectures import Architecture
from softcall.base.bundle import FP16, FULL_PRECISION, INT8
from softcall.core.progress import step
from softcall.export.weights import smoothing
from softcall.export.weights.external_data import external_weights, full_precision, write_weights
from softcall.export.weights.fp16 import fp16_weights
from softcall.export.weights.int8 import int8_weights

GRAPH_FILE = "trunk.onnx"
DATA_FILE = "trunk.onnx.data"
SMOOTHING_FILE = "smoothing.safetensors"

FILES = {
    FULL_PRECISION: (GRAPH_FILE, DATA_FILE),
    INT8: (GRAPH_FILE, SMOOTHING_FILE, DATA_FILE),
    FP16: (GRAPH_FILE, DATA_FILE),
}


def write_variant_weights(
    variant: str,
    folder: Path,
    parameters: Mapping[str, np.ndarray],
    architecture: Architecture,
    console: Console,
) -> None:
    """Write `DATA_FILE` of a variant into `folder`, which has the variant's other files already.

    `parameters` are the base's own by Hugging Face name, read one at a time.
    """
    graph = onnx.load(folder / GRAPH_FILE, load_external_data=False)
    total = sum(info.length for info in external_weights(graph).values())
    with step(console, f"write the {variant} weights", total) as advance:
        write_weights(graph, _weight(variant, graph, folder, parameters, architecture), folder, advance)


def _weight(
    variant: str,
    graph: onnx.ModelProto,
    folder: Path,
    parameters: Mapping[str, np.ndarray],
    architecture: Architecture,
) -> Callable[[str], np.ndarray]:
    if variant == INT8:
        return int8_weights(parameters, smoothing.load(folder / SMOOTHING_FILE), architecture)
    if variant == FP16:
        return fp16_weights(parameters, graph)
    return full_precision(parameters)
