"""Joins the products of one input with several weights into one product, if a part is narrow.

Starting a product costs as much as computing a narrow one (keys and values that heads share). If all parts
are wide, splitting the joint product costs more than it saves.
"""

import onnx_ir as ir

from softcall.export.graphs.nodes import Nodes, new_weight, split
from softcall.export.weights.external_data import SIDE_BY_SIDE, TRANSPOSED

_NARROW_COLUMNS = 512


def products(graph: ir.Graph) -> list[tuple[ir.Value, list[ir.Node]]]:
    """Return the products with weights, grouped by input: query, key and value have one input."""
    found: dict[ir.Value, list[ir.Node]] = {}
    for node in graph:
        if node.op_type == "MatMul" and _is_weight(node.inputs[1]):
            found.setdefault(node.inputs[0], []).append(node)
    return list(found.items())


def join_products(graph: ir.Graph) -> None:
    """Replace the products of one input by one product with joint weights, if a part is narrow."""
    for rows, parts in products(graph):
        weights = [part.inputs[1] for part in parts]
        widths = [weight.shape[1] for weight in weights]
        if len(parts) == 1 or min(widths) >= _NARROW_COLUMNS:
            continue
        name = SIDE_BY_SIDE.join(weight.name for weight in weights)
        joint = new_weight(graph, name, ir.DataType.FLOAT, [weights[0].shape[0], sum(widths)])
        nodes = Nodes(parts[0].name.rpartition("/")[0])
        results = split(graph, nodes, nodes.add("MatMul", [rows, joint]), widths)
        graph.insert_before(parts[0], nodes.made)
        for part, weight, result in zip(parts, weights, results, strict=True):
            part.outputs[0].replace_all_uses_with(result)
            graph.remove(part, safe=True)
            del graph.initializers[weight.name]


def _is_weight(value: ir.Value) -> bool:
    return value.is_initializer() and value.name.endswith(TRANSPOSED)
