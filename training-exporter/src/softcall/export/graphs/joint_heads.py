"""Query, key and value of a layer in one product, heads rotated together: few and large kernels for a GPU.

ONNX Runtime's rotation on CUDA starts a block of threads for each head of each token, a thread for each of
the head's elements: tens of thousands of blocks of 64 threads. Where the two elements that are rotated
together lie side by side, heads that lie side by side are one wide head whose angles repeat. So the columns
of query and key are put in that order (`softcall.base.trunk.in_pairs`); their products with each other stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from softcall.export.graphs.nodes import Nodes, constant, new_weight, nodes_of, split, upstream
from softcall.export.weights.external_data import SIDE_BY_SIDE
from softcall.export.weights.fp16 import PAIRS

MAX_BLOCK_THREADS = 1024
"""CUDA's own limit, and so the widest head."""


@dataclass(frozen=True)
class _Projection:
    """`rows` [batch, length, in] times `weight` [in, out], plus `bias` [out] if there is one."""

    rows: ir.Value
    weight: ir.Value
    bias: ir.Value | None


def join_heads(graph: ir.Graph, head_dim: int) -> bool:
    """Join each layer's projections, and rotate heads together, `MAX_BLOCK_THREADS` elements at most.

    Returns whether keys are in pairs now. They are not, and the graph is as it was, where a layer's query and
    key are not just projected and rotated: heads are normed one by one, or the rotation is written out.
    """
    attentions = nodes_of(graph, "Attention")
    projections = [_projections(attention) for attention in attentions]
    if None in projections:
        return False
    rotation = attentions[0].inputs[0].producer()
    angles = _Angles(graph, *rotation.inputs[1:3])
    for attention, parts in zip(attentions, projections, strict=True):
        nodes = Nodes(attention.name.rsplit("/", 1)[0] + "/joint")
        widths = [part.weight.shape[1] for part in parts]
        queries, keys, _ = (width // head_dim for width in widths)
        row = _product(graph, nodes, parts)
        if sum(widths) <= MAX_BLOCK_THREADS:
            row = angles.rotate(nodes, row, queries + keys, rotary_embedding_dim=sum(widths[:2]), num_heads=1)
            query, key, value = split(graph, nodes, row, widths)
        else:
            query, key, value = split(graph, nodes, row, widths)
            most = MAX_BLOCK_THREADS // head_dim
            together = _together(queries, most)
            query = angles.rotate(nodes, query, together, num_heads=queries // together)
            together = _together(keys, most)
            key = angles.rotate(nodes, key, together, num_heads=keys // together)
        for position, part in enumerate((query, key, value)):
            attention.replace_input_with(position, part)
        graph.insert_before(attention, nodes.made)
    return True


def _projections(attention: ir.Node) -> list[_Projection] | None:
    """Return query's, key's and value's projections if they read the same rows and are only rotated."""
    query, key, value = attention.inputs[:3]
    if "q_num_heads" not in attention.attributes:
        return None
    parts = [_projection(v.producer().inputs[0]) for v in (query, key)] + [_projection(value)]
    same_rows = all(part is not None and part.rows is parts[0].rows for part in parts)
    same_sum = same_rows and len({part.bias is None for part in parts}) == 1
    return parts if same_sum else None


def _projection(value: ir.Value) -> _Projection | None:
    node, bias = value.producer(), None
    if node.op_type == "Add":
        (bias,) = (v for v in node.inputs if v.is_initializer())
        (node,) = (v.producer() for v in node.inputs if v is not bias)
    if node.op_type != "MatMul" or not node.inputs[1].is_initializer():
        return None
    return _Projection(node.inputs[0], node.inputs[1], bias)


def _product(graph: ir.Graph, nodes: Nodes, parts: Sequence[_Projection]) -> ir.Value:
    row = nodes.add("MatMul", [parts[0].rows, _side_by_side(graph, [part.weight for part in parts])])
    if parts[0].bias is None:
        return row
    return nodes.add("Add", [row, _side_by_side(graph, [part.bias for part in parts])])


def _side_by_side(graph: ir.Graph, weights: Sequence[ir.Value]) -> ir.Value:
    query, key, value = weights
    name = SIDE_BY_SIDE.join([query.name + PAIRS, key.name + PAIRS, value.name])
    *rows, _ = value.shape
    return new_weight(graph, name, value.dtype, [*rows, sum(weight.shape[-1] for weight in weights)])


def _together(heads: int, most: int) -> int:
    """Return the largest divisor of `heads` that is at most `most`."""
    return max(count for count in range(1, most + 1) if heads % count == 0)


class _Angles:
    """Sines and cosines per position instead of per row; a rotation looks up the positions of its row."""

    def __init__(self, graph: ir.Graph, cosines: ir.Value, sines: ir.Value) -> None:
        """Make tables [1, past + prompt + text, head_dim / 2] of all positions instead of each row's."""
        self._graph = graph
        self._tables = (cosines, sines)
        self._repeated: dict[int, Sequence[ir.Value]] = {}
        for value in upstream(self._tables):
            expand = value.producer()
            if expand is None or expand.op_type != "Expand":
                continue
            if expand.inputs[0].is_initializer():  # frequencies
                value.replace_all_uses_with(expand.inputs[0])
            else:
                self._positions = value
                value.replace_all_uses_with(self._all_positions(expand.inputs[0]))

    def rotate(self, nodes: Nodes, rows: ir.Value, heads: int, **attributes) -> ir.Value:
        """Rotate `heads` heads as one head."""
        if heads not in self._repeated:
            self._repeated[heads] = [self._repeat(table, heads) for table in self._tables]
        inputs = [rows, *self._repeated[heads], self._positions]
        return nodes.add("RotaryEmbedding", inputs, interleaved=1, **attributes)

    def _all_positions(self, own: ir.Value) -> ir.Value:
        """Return int64 [1, past + prompt + text], counted from 0; `own` count from the end of the past."""
        unsqueeze = own.producer()
        count = unsqueeze.inputs[0].producer()
        nodes = Nodes("trunk/positions")
        first = constant(self._graph, "first position", np.int64(0))
        counted = nodes.add("Range", [first, *count.inputs[1:]])
        positions = nodes.add("Unsqueeze", [counted, unsqueeze.inputs[1]])
        self._graph.insert_after(count, nodes.made)
        return positions

    def _repeat(self, table: ir.Value, heads: int) -> ir.Value:
        """Return the table for `heads` heads side by side, [past + prompt + text, heads x head_dim / 2]."""
        nodes = Nodes(f"{table.producer().name}/{heads} heads")
        repeats = constant(self._graph, f"{heads} heads", [1, 1, heads])
        wide = nodes.add("Tile", [table, repeats])
        flat = nodes.add("Squeeze", [wide, constant(self._graph, "axis of the one row", [0])])
        self._graph.insert_after(table.producer(), nodes.made)
        return flat
