"""Fused norms of a trunk graph, by an operator of ONNX Runtime."""

import onnx_ir as ir

from softcall.base.trunk import HIDDEN
from softcall.export.graphs.nodes import CONTRIBUTED, Nodes, nodes_of


def add_in_norms(graph: ir.Graph) -> None:
    """Make norms add the two rows whose sum they norm: one kernel instead of two."""
    for norm in nodes_of(graph, "RMSNormalization"):
        total = norm.inputs[0].producer()
        if total is None or total.op_type != "Add" or norm.outputs[0].name == HIDDEN:
            continue
        nodes = Nodes(norm.name.rsplit("/", 1)[0])
        normed, mean, deviation, summed = nodes.add_many(
            "SkipSimplifiedLayerNormalization",
            [*total.inputs, norm.inputs[1]],
            4,
            CONTRIBUTED,
            epsilon=norm.attributes["epsilon"].value,
        )
        mean.name = deviation.name = ""
        graph.insert_before(total, nodes.made)
        norm.outputs[0].replace_all_uses_with(normed)
        total.outputs[0].replace_all_uses_with(summed)
        graph.remove([norm, total], safe=True)
