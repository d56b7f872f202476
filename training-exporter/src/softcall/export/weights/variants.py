"""The variants of a trunk on disk: their files, and how their weights follow from the base's own."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from rich.console import Console

from softcall.base.architectures import Architecture
from softcall.base.bundle import FP16, FULL_PRECISION, INT4, INT8
from softcall.core.progress import step
from softcall.export.weights import smoothing
from softcall.export.weights.external_data import external_weights, full_precision, write_weights
from softcall.export.weights.fp16 import fp16_weights
from softcall.export.weights.int4 import int4_weights
from softcall.export.weights.int8 import int8_weights

GRAPH_FILE = "trunk.onnx"
DATA_FILE = "trunk.onnx.data"
DECODE_FILE = "decode.onnx"
LM_HEAD_FILE = "lm_head.onnx"
LM_HEAD_DATA_FILE = "lm_head.onnx.data"
SMOOTHING_FILE = "smoothing.safetensors"

FILES = {
    FULL_PRECISION: (GRAPH_FILE, DATA_FILE),
    INT8: (GRAPH_FILE, SMOOTHING_FILE, DATA_FILE),
    INT4: (GRAPH_FILE, DATA_FILE),
    FP16: (GRAPH_FILE, DATA_FILE),
}


def write_variant_weights(
    variant: str,
    folder: Path,
    parameters: Mapping[str, np.ndarray],
    architecture: Architecture,
    console: Console,
    graph_file: str = GRAPH_FILE,
) -> None:
    """Write the data file of a variant's graph into `folder`, which has the variant's other files already.

    The graph is the trunk, or with `LM_HEAD_FILE` the vocabulary head; nothing is written for a head whose
    weights are the trunk's. `parameters` are the base's own by Hugging Face name, read one at a time.
    """
    graph = onnx.load(folder / graph_file, load_external_data=False)
    if graph_file == LM_HEAD_FILE and _data_files(graph) == {DATA_FILE}:
        return
    part = "vocabulary head" if graph_file == LM_HEAD_FILE else "weights"
    total = sum(info.length for info in external_weights(graph).values())
    with step(console, f"write the {variant} {part}", total) as advance:
        write_weights(graph, _weight(variant, graph, folder, parameters, architecture), folder, advance)


def generation_files(lm_head: onnx.ModelProto) -> Sequence[str]:
    """Return the files of a variant that it needs for writing texts alone; `lm_head` is its head's graph."""
    return [DECODE_FILE, LM_HEAD_FILE, *_data_files(lm_head) - {DATA_FILE}]


def _data_files(graph: onnx.ModelProto) -> set[str]:
    return {info.location for info in external_weights(graph).values()}


def _weight(
    variant: str,
    graph: onnx.ModelProto,
    folder: Path,
    parameters: Mapping[str, np.ndarray],
    architecture: Architecture,
) -> Callable[[str], np.ndarray]:
    if variant == INT8:
        return int8_weights(parameters, smoothing.load(folder / SMOOTHING_FILE), architecture)
    if variant == INT4:
        return int4_weights(parameters)
    if variant == FP16:
        return fp16_weights(parameters, graph)
    return full_precision(parameters)
