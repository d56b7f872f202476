"""Rewrite a full-precision trunk graph: texts run in 8-bit integers (docs/int8.md explains why).

Every product with a layer's weights becomes: the row (token) in 8 bits with a scale of its own, an integer
product with 7-bit weights, and back by the row's scale and one scale per column. A row's scale depends on
that row alone, so its answer does not depend on what shares its run.
"""

from collections.abc import Collection, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from softcall.base.trunk import BATCH, INPUT_IDS, LENGTH
from softcall.export.graphs.joint_products import products
from softcall.export.graphs.nodes import CONTRIBUTED, Nodes, constant, new_weight, replace_product, serialized
from softcall.export.weights.int8 import INTEGERS, SCALES

ROW_STEPS = 127
"""The largest element of a row becomes this many steps from the zero point."""

ROW_ZERO = 128


def int8_graph(full_precision: onnx.ModelProto, kept: Collection[str] = ()) -> onnx.ModelProto:
    """Return the int8 trunk of a full-precision one: the same inputs and outputs, weights left out of both.

    Products with weights that are called like one of `kept` (`down_proj`) stay in float32.

    Its weights are `<parameter>.T.int8`, int8 [in, out], and `<parameter>.T.scale`, float32 [out], or
    several of these side by side; the embedding's `.int8` [vocabulary, hidden] and `.scale` [vocabulary, 1];
    and, in float32, all others.
    """
    model = ir.serde.deserialize_model(full_precision)
    graph = model.graph
    _quantize_embedding(graph)
    quantize_products(graph, kept)
    _name_sizes(graph)
    return serialized(model)


def quantize_products(graph: ir.Graph, kept: Collection[str] = ()) -> None:
    """Replace the products with weights by integer products, except with weights that `kept` names."""
    rows = _Rows(graph)
    for inputs, parts in products(graph):
        if quantised := [p for p in parts if not any(name in p.inputs[1].name for name in kept)]:
            rows.quantize(inputs, quantised)


def _quantize_embedding(graph: ir.Graph) -> None:
    """Store the embedding in 8 bits, with a scale for each row."""
    (ids,) = (value for value in graph.inputs if value.name == INPUT_IDS)
    (gather,) = (node for node, _ in ids.uses() if node.op_type == "Gather")
    weight = gather.inputs[0]
    integers = new_weight(graph, weight.name + INTEGERS, ir.DataType.INT8, weight.shape)
    scales = new_weight(graph, weight.name + SCALES, ir.DataType.FLOAT, [weight.shape[0], 1])
    nodes = Nodes(gather.name)
    rows = nodes.add("Cast", [nodes.add("Gather", [integers, gather.inputs[1]])], to=ir.DataType.FLOAT)
    embeds = nodes.add("Mul", [rows, nodes.add("Gather", [scales, gather.inputs[1]])])
    graph.insert_before(gather, nodes.made)
    gather.outputs[0].replace_all_uses_with(embeds)
    graph.remove(gather, safe=True)
    del graph.initializers[weight.name]


def last_rows(graph: ir.Graph) -> dict[ir.Value, None]:
    """Return the values that are computed for the last row of each text only."""
    found: dict[ir.Value, None] = {}
    for node in graph:
        chooses = node.op_type == "Gather" and node.inputs[0].dtype == ir.DataType.FLOAT
        if (chooses and not node.inputs[0].is_initializer()) or any(value in found for value in node.inputs):
            found.update(dict.fromkeys(node.outputs))
    return found


class _Rows:
    """Quantises rows: those of all tokens, and after the last attention one row of each text."""

    def __init__(self, graph: ir.Graph) -> None:
        self._graph = graph
        self._last = last_rows(graph)
        self._one = constant(graph, "int8 one", np.float32(1))
        self._step = constant(graph, "int8 step of a row", np.float32(1 / ROW_STEPS))
        self._zero = constant(graph, "int8 zero of a row", np.uint8(ROW_ZERO))
        self._width = constant(graph, "int8 axis of a row", [-1])
        self._zeros: dict[bool, ir.Value] = {}

    def quantize(self, rows: ir.Value, parts: Sequence[ir.Node]) -> None:
        """Replace the products of `rows` [..., in] with weights; rows are quantised once for all of them."""
        nodes = Nodes(rows.name.rsplit("/", 1)[0] + "/int8")
        largest = nodes.add("ReduceMax", [nodes.add("Abs", [rows]), self._width], keepdims=1)
        # A row of zeros has the scale 0, so its product is 0 for any integers.
        scales = nodes.add("Mul", [largest, self._step])
        zeros = self._zeros_like(scales, rows in self._last, nodes)
        # In ONNX Runtime a row as one block is faster than scales along an axis.
        block = {"axis": -1, "block_size": parts[0].inputs[1].shape[0]}
        integers = nodes.add("QuantizeLinear", [rows, scales, zeros], **block)
        self._graph.insert_before(parts[0], nodes.made)
        for part in parts:
            self._multiply(part, integers, scales)

    def _zeros_like(self, scales: ir.Value, last: bool, nodes: Nodes) -> ir.Value:
        if last not in self._zeros:
            self._zeros[last] = nodes.add("Expand", [self._zero, nodes.add("Shape", [scales])])
        return self._zeros[last]

    def _multiply(self, product: ir.Node, integers: ir.Value, scales: ir.Value) -> None:
        """Replace `product` by an integer product."""
        weight = product.inputs[1]
        columns = new_weight(self._graph, weight.name + INTEGERS, ir.DataType.INT8, weight.shape)
        column_scales = new_weight(self._graph, weight.name + SCALES, ir.DataType.FLOAT, weight.shape[1:])
        nodes = Nodes(product.name)
        inputs = [integers, columns, self._one, column_scales, self._zero]
        sums = nodes.add("MatMulIntegerToFloat", inputs, CONTRIBUTED)
        result = nodes.add("Mul", [sums, scales])
        replace_product(self._graph, product, nodes, result)


def _name_sizes(graph: ir.Graph) -> None:
    """Name the sizes that inference loses, as in a full-precision trunk."""
    last = last_rows(graph)
    for node in graph:
        if node.op_type == "MatMulIntegerToFloat":
            rows = [BATCH] if node.inputs[0] in last else [BATCH, LENGTH]
            product = node.outputs[0]
            product.type = ir.TensorType(ir.DataType.FLOAT)
            product.shape = ir.Shape([*rows, node.inputs[1].shape[1]])
