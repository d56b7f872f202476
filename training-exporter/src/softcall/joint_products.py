"""Products of one input with several weights, which are one product where a part of it is narrow.

To start a product costs as much as to compute a narrow one: keys and values, where heads share them. Where
all are wide, to take the parts apart again costs more than is won.
"""

from collections.abc import Iterator, Sequence

import onnx_ir as ir

from softcall.graph_nodes import Nodes, constant, new_weight
from softcall.trunk_weights import SIDE_BY_SIDE, TRANSPOSED

_NARROW_COLUMNS = 512


def products(graph: ir.Graph) -> list[tuple[ir.Value, list[ir.Node]]]:
    """The products with weights, by what they multiply: query, key and value have one input."""
    found: dict[ir.Value, list[ir.Node]] = {}
    for node in graph:
        if node.op_type == "MatMul" and _is_weight(node.inputs[1]):
            found.setdefault(node.inputs[0], []).append(node)
    return list(found.items())


def joined(parts: Sequence[ir.Node]) -> Iterator[Sequence[ir.Node]]:
    """Products of one input, as those that become one."""
    narrow = any(part.inputs[1].shape[1] < _NARROW_COLUMNS for part in parts)
    yield from [parts] if narrow else ([part] for part in parts)


def side_by_side(parts: Sequence[ir.Node]) -> tuple[str, list[int]]:
    """The name and the shape [in, out of all] of the weights of `parts` side by side."""
    weights = [part.inputs[1] for part in parts]
    return SIDE_BY_SIDE.join(w.name for w in weights), [weights[0].shape[0], sum(w.shape[1] for w in weights)]


def replace(graph: ir.Graph, parts: Sequence[ir.Node], nodes: Nodes, product: ir.Value) -> None:
    """Let all that read `parts` read `product`, which `nodes` computes; their own weights go."""
    results: Sequence[ir.Value] = [product]
    if len(parts) > 1:
        widths = [part.inputs[1].shape[1] for part in parts]
        sizes = constant(graph, f"widths {widths}", widths)
        results = nodes.add_many("Split", [product, sizes], len(widths), axis=-1)
    graph.insert_before(parts[0], nodes.made)
    for part, result in zip(parts, results, strict=True):
        weight = part.inputs[1]
        part.outputs[0].replace_all_uses_with(result)
        graph.remove(part, safe=True)
        del graph.initializers[weight.name]


def join_products(graph: ir.Graph) -> None:
    """Join products of floats."""
    for rows, all_parts in products(graph):
        for parts in joined(all_parts):
            if len(parts) > 1:
                name, shape = side_by_side(parts)
                weight = new_weight(graph, name, ir.DataType.FLOAT, shape)
                nodes = Nodes(parts[0].name)
                replace(graph, parts, nodes, nodes.add("MatMul", [rows, weight]))


def _is_weight(value: ir.Value) -> bool:
    return value.is_initializer() and value.name.endswith(TRANSPOSED)
