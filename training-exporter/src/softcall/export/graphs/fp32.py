"""Rewrites a traced trunk graph for fast single texts: fewer operators, the same sums.

A short text pays for each operator of a trunk, however little it computes.
"""

import onnx
import onnx_ir as ir

from softcall.export.graphs.joint_products import join_products
from softcall.export.graphs.nodes import serialized
from softcall.export.graphs.norms import add_in_norms


def fp32_graph(traced: onnx.ModelProto) -> onnx.ModelProto:
    """Return the full-precision trunk of a traced one, with the same inputs and outputs, without weights.

    `softcall.export.weights.external_data.full_precision` gives its weights, some of them side by side.
    """
    model = ir.serde.deserialize_model(traced)
    join_products(model.graph)
    add_in_norms(model.graph)
    return serialized(model)
