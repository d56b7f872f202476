"""Rewrite a trunk graph so that texts run in 8-bit integers (docs/int8.md says why in this way).

Every product with a layer's weights becomes: the row (token) in 8 bits with a scale of its own, an integer
product with 7-bit weights, and back by the row's scale and one scale per column. A row's scale depends on
that row alone, so its answer does not depend on what shares its run.
"""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from softcall.graph_nodes import CONTRIBUTED, Nodes, place_weights
from softcall.int8_weights import EMBEDDING, INTEGERS, SCALES
from softcall.trunk import BATCH, PROMPT_EMBEDS, ROWS
from softcall.trunk_weights import TRANSPOSED

ROW_STEPS = 127
"""The largest element of a row becomes this many steps from the zero point."""

ROW_ZERO = 128


def int8_graph(full_precision: onnx.ModelProto, kept: Collection[str] = ()) -> onnx.ModelProto:
    """Return the int8 trunk of a full-precision one: the same inputs and outputs, weights left out of both.

    Products with weights that are called like one of `kept` (`down_proj`) stay in float32.

    Its weights are `<parameter>.T.int8`, int8 [in, out], and `<parameter>.T.scale`, float32 [out]; the
    embedding's `.int8` [vocabulary, hidden] and `.scale` [vocabulary, 1]; and, in float32, all others.
    """
    model = ir.serde.deserialize_model(full_precision)
    graph = model.graph
    rows = _Rows(graph, _keep_rows_flat(graph))
    _quantize_embedding(graph)
    for inputs, products in list(_products(graph)):
        if quantised := [p for p in products if not any(part in p.inputs[1].name for part in kept)]:
            rows.quantize(inputs, quantised)
    _name_sizes(graph)
    place_weights(graph)
    model.opset_imports[CONTRIBUTED] = 1
    return ir.serde.serialize_model(model)


def _keep_rows_flat(graph: ir.Graph) -> ir.Value:
    """Let tokens be rows [batch x text, ...] between the attentions; return the first layer's rows.

    A row is what gets a scale. The graph needs no other change: heads are split by the batch's own sizes.
    """
    embeds = next(v for n in graph if n.op_type == "Concat" and _reads(n, PROMPT_EMBEDS) for v in n.outputs)
    flat = _insert_after(graph, embeds, "Reshape", [_constant(graph, "rows", [-1, _hidden_size(graph)])])
    for node in list(graph):
        if node.op_type == "MatMul" and _is_weight(node.inputs[1]):
            source = node.inputs[0].producer()
            if source is not None and source.op_type == "Reshape" and source is not flat.producer():
                width = node.inputs[1].shape[0]
                source.replace_input_with(1, _constant(graph, f"rows of {width}", [-1, width]))
    return flat


def _quantize_embedding(graph: ir.Graph) -> None:
    """Keep the embedding in 8 bits with a scale for each of its rows."""
    weight = graph.initializers[EMBEDDING]
    (gather,) = (node for node, _ in weight.uses())
    integers = _weight(graph, EMBEDDING + INTEGERS, ir.DataType.INT8, weight.shape)
    scales = _weight(graph, EMBEDDING + SCALES, ir.DataType.FLOAT, [weight.shape[0], 1])
    nodes = Nodes(gather.name)
    rows = nodes.add("Cast", [nodes.add("Gather", [integers, gather.inputs[1]])], to=ir.DataType.FLOAT)
    embeds = nodes.add("Mul", [rows, nodes.add("Gather", [scales, gather.inputs[1]])])
    graph.insert_before(gather, nodes.made)
    gather.outputs[0].replace_all_uses_with(embeds)
    graph.remove(gather, safe=True)
    del graph.initializers[EMBEDDING]


def _products(graph: ir.Graph) -> Iterator[tuple[ir.Value, list[ir.Node]]]:
    """The products with weights, by what they multiply: query, key and value have one input."""
    found: dict[ir.Value, list[ir.Node]] = {}
    for node in graph:
        if node.op_type == "MatMul" and _is_weight(node.inputs[1]):
            found.setdefault(node.inputs[0], []).append(node)
    yield from found.items()


def _last_rows(graph: ir.Graph) -> dict[ir.Value, None]:
    """What is computed for the last row of each text alone: their choice, and all that follows."""
    found: dict[ir.Value, None] = {}
    for node in graph:
        chooses = node.op_type == "Gather" and node.inputs[0].dtype == ir.DataType.FLOAT
        if (chooses and not node.inputs[0].is_initializer()) or any(value in found for value in node.inputs):
            found.update(dict.fromkeys(node.outputs))
    return found


class _Rows:
    """Quantises rows: those of all tokens, and after the last attention one of each text."""

    def __init__(self, graph: ir.Graph, first: ir.Value) -> None:
        self._graph = graph
        self._last = _last_rows(graph)
        self._one = _constant(graph, "one", np.float32(1))
        self._step = _constant(graph, "step of a row", np.float32(1 / ROW_STEPS))
        self._zero = _constant(graph, "zero of a row", np.uint8(ROW_ZERO))
        self._width = _constant(graph, "axis of a row", [1])
        self._zeros = self._zeros_for(first, "trunk/rows")
        self._last_zeros = self._zeros_for(next(iter(self._last)), "trunk/last rows")

    def _zeros_for(self, rows: ir.Value, name: str) -> ir.Value:
        nodes = Nodes(name)
        count = nodes.add("Shape", [rows], start=0, end=1)
        zeros = nodes.add("Expand", [self._zero, count])
        self._graph.insert_after(rows.producer(), nodes.made)
        return zeros

    def quantize(self, rows: ir.Value, products: Sequence[ir.Node]) -> None:
        """Replace the products of `rows` [rows, in] with weights; rows are quantised once for all of them."""
        nodes = Nodes(rows.name.rsplit("/", 1)[0] + "/int8")
        largest = nodes.add("ReduceMax", [nodes.add("Abs", [rows]), self._width], keepdims=0)
        # A row of zeros has the scale 0: whatever integers it gets, its product is 0 times them.
        scale = nodes.add("Mul", [largest, self._step])
        zeros = self._last_zeros if rows in self._last else self._zeros
        integers = nodes.add("QuantizeLinear", [rows, scale, zeros], axis=0)
        column = nodes.add("Unsqueeze", [scale, self._width])
        self._graph.insert_before(products[0], nodes.made)
        for product in products:
            self._multiply(product, integers, column)

    def _multiply(self, product: ir.Node, integers: ir.Value, row_scales: ir.Value) -> None:
        weight = product.inputs[1]
        columns = _weight(self._graph, weight.name + INTEGERS, ir.DataType.INT8, weight.shape)
        scales = _weight(self._graph, weight.name + SCALES, ir.DataType.FLOAT, weight.shape[1:])
        nodes = Nodes(product.name)
        inputs = [integers, columns, self._one, scales, self._zero]
        sums = nodes.add("MatMulIntegerToFloat", inputs, domain=CONTRIBUTED)
        result = nodes.add("Mul", [sums, row_scales])
        self._graph.insert_before(product, nodes.made)
        product.outputs[0].replace_all_uses_with(result)
        self._graph.remove(product, safe=True)
        del self._graph.initializers[weight.name]


def _insert_after(graph: ir.Graph, value: ir.Value, op: str, more: Sequence[ir.Value]) -> ir.Value:
    """Put a node between `value` and all that reads it; return what it gives."""
    nodes = Nodes(value.producer().name)
    output = nodes.add(op, [value, *more])
    value.replace_all_uses_with(output)
    output.producer().replace_input_with(0, value)
    graph.insert_after(value.producer(), nodes.made)
    return output


def _reads(node: ir.Node, name: str) -> bool:
    return any(value is not None and value.name == name for value in node.inputs)


def _hidden_size(graph: ir.Graph) -> int:
    return next(value for value in graph.inputs if value.name == PROMPT_EMBEDS).shape[2]


def _is_weight(value: ir.Value) -> bool:
    return value.is_initializer() and value.name.endswith(TRANSPOSED)


def _constant(graph: ir.Graph, name: str, value) -> ir.Value:
    name = f"int8 {name}"
    if name not in graph.initializers:
        array = np.asarray(value, np.int64) if isinstance(value, list) else np.asarray(value)
        graph.initializers.add(ir.Value(name=name, const_value=ir.tensor(array, name=name)))
    return graph.initializers[name]


def _weight(graph: ir.Graph, name: str, dtype: ir.DataType, shape) -> ir.Value:
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    graph.initializers.add(value)
    return value


def _name_sizes(graph: ir.Graph) -> None:
    """Name the sizes that inference loses, as in a trunk of full precision; but rows are flat here."""
    last = _last_rows(graph)
    for node in graph:
        if node.op_type == "MatMulIntegerToFloat":
            count = BATCH if node.inputs[0] in last else ROWS
            _set_shape(node.outputs[0], [count, node.inputs[1].shape[1]])
        elif node.op_type == "Reshape" and node.inputs[1].is_initializer():
            width = node.inputs[1].const_value.numpy().tolist()[1:]
            if width:
                _set_shape(node.outputs[0], [ROWS, *width])


def _set_shape(value: ir.Value, sizes: Sequence[str | int]) -> None:
    value.type, value.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(sizes)
