"""The weights of an fp16 trunk: full precision, some of them side by side and in another order."""

from collections.abc import Callable, Mapping

import numpy as np
import onnx

from softcall.base.trunk import KV_PAGES, in_pairs
from softcall.export.weights.external_data import beside, full_precision

PAIRS = ".pairs"
"""Ends the name of a weight whose columns are in the order of `in_pairs`."""


def fp16_weights(parameters: Mapping[str, np.ndarray], graph: onnx.ModelProto) -> Callable[[str], np.ndarray]:
    """Return a function from a weight's name in the fp16 `graph` to the weight.

    `softcall.export.graphs.joint_heads` makes the names. `parameters` are the base's own by Hugging Face
    name; `write_weights` rounds them.
    """
    floats = full_precision(parameters)
    pages = next(value for value in graph.graph.input if value.name == KV_PAGES)
    head_dim = pages.type.tensor_type.shape.dim[-1].dim_value

    def part(name: str) -> np.ndarray:
        if not name.endswith(PAIRS):
            return floats(name)
        columns = floats(name.removesuffix(PAIRS))
        heads = columns.reshape(*columns.shape[:-1], -1, head_dim)
        return in_pairs(heads).reshape(columns.shape)

    return beside(part)
