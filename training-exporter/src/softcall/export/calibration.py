"""Calibration: measures the range of each channel of a trunk on varied texts, for SmoothQuant."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from tokenizers import Tokenizer

from softcall.base.architectures import Architecture, Channels
from softcall.base.trunk import Trunk
from softcall.export.weights.external_data import SIDE_BY_SIDE, TRANSPOSED
from softcall.export.weights.smoothing import factors

TEXTS = Path(__file__).with_name("calibration.txt")
PROMPT = "Classify the text. Which label fits it best?"
"""Stands for a soft prompt: a text never comes first, and the first position is unlike all others."""

_WATCHED_FILE = "watched.onnx"


def smoothing_factors(
    graph_file: Path,
    parameters: Mapping[str, np.ndarray],
    tokenizer: Tokenizer,
    architecture: Architecture,
) -> Mapping[str, np.ndarray]:
    """Return SmoothQuant's factors for a full-precision trunk, by the parameter that they are folded into.

    `graph_file` has its weights beside it; `parameters` are the same weights by Hugging Face name.
    """
    largest = _largest(graph_file, parameters[architecture.embedding_weight], tokenizer, architecture)
    return {
        group.source: factors(values, [parameters[name] for name in group.readers])
        for group, values in largest.items()
    }


def _largest(
    graph_file: Path, embedding: np.ndarray, tokenizer: Tokenizer, architecture: Architecture
) -> dict[Channels, np.ndarray]:
    """Run the texts; return the largest absolute value of each channel, [channels]."""

    def ids(text: str) -> Sequence[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids

    graph = onnx.load(graph_file, load_external_data=False)
    watched = _watch(graph, architecture)
    watched_file = graph_file.with_name(_WATCHED_FILE)  # beside the weights, to which it refers
    watched_file.write_bytes(graph.SerializeToString())
    try:
        trunk = Trunk(watched_file)
        prefix = trunk.encode(np.asarray(embedding[ids(PROMPT)], np.float32))
        largest: dict[Channels, np.ndarray] = {}
        for text in TEXTS.read_text("utf-8").splitlines():
            for group, values in zip(
                watched, trunk.values(list(watched.values()), ids(text), prefix), strict=True
            ):
                seen = np.abs(values.reshape(-1, values.shape[-1])).max(0)
                largest[group] = np.maximum(largest.get(group, 0), seen)
        return largest
    finally:
        watched_file.unlink()


def _watch(graph: onnx.ModelProto, architecture: Architecture) -> dict[Channels, str]:
    """Make the inputs of the channels' readers outputs of the graph; return their names."""
    inputs = {
        weight: node.input[0]
        for node in graph.graph.node
        if node.op_type == "MatMul"
        for weight in node.input[1].split(SIDE_BY_SIDE)
    }
    layers = sum(value.name.endswith(".key") for value in graph.graph.input)
    watched = {
        group: inputs[group.readers[0] + TRANSPOSED] for group in architecture.smoothed_channels(layers)
    }
    graph.graph.output.extend(onnx.ValueInfoProto(name=name) for name in watched.values())
    return watched
