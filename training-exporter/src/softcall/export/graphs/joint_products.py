"""Products of one input with several weights, which are one product where a part of it is narrow.

To start a product costs as much as to compute a narrow one: keys and values, where heads share them. Where
all are wide, to take the parts apart again costs more than is won.
"""

import onnx_ir as ir

from softcall.export.graphs.nodes import Nodes, new_weight, split
from softcall.export.weights.external_data import SIDE_BY_SIDE, TRANSPOSED

_NARROW_COLUMNS = 512


def products(graph: ir.Graph) -> list[tuple[ir.Value, list[ir.Node]]]:
    """The products with weights, by what they multiply: query, key and value have one input."""
    found: dict[ir.Value, list[ir.Node]] = {}
    for node in graph:
        if node.op_type == "MatMul" and _is_weight(node.inputs[1]):
            found.setdefault(node.inputs[0], []).append(node)
    return list(found.items())


def join_products(graph: ir.Graph) -> None:
    """Put one product in the place of those with one input, if a part is narrow: weights side by side."""
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
