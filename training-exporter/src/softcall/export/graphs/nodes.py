"""New nodes and weights for rewriting a trunk graph into another variant."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from softcall.export.weights.external_data import DATA_ALIGNMENT_BYTES

CONTRIBUTED = "com.microsoft"
"""The domain of ONNX Runtime's own operators."""


@dataclass
class Nodes:
    """New nodes, named after the node that they replace."""

    name: str

    def __post_init__(self) -> None:
        self.made: list[ir.Node] = []

    def add(self, op: str, inputs: Sequence[ir.Value], domain: str = "", **attributes) -> ir.Value:
        """Make a node with one output, and return the output."""
        (value,) = self.add_many(op, inputs, 1, domain, **attributes)
        return value

    def add_many(
        self, op: str, inputs: Sequence[ir.Value], outputs: int, domain: str = "", **attributes
    ) -> Sequence[ir.Value]:
        """Make a node with several outputs, and return them."""
        name = f"{self.name}/{op}"
        name += f"_{taken}" if (taken := sum(node.op_type == op for node in self.made)) else ""
        node = ir.node(op, inputs, attributes, domain=domain, num_outputs=outputs, name=name)
        for number, value in enumerate(node.outputs):
            value.name = f"{name}:{number}"
        self.made.append(node)
        return node.outputs


def nodes_of(graph: ir.Graph, op_type: str) -> list[ir.Node]:
    """Return a list of the graph's nodes of one operator; the caller may remove nodes meanwhile."""
    return [node for node in graph if node.op_type == op_type]


def constant(graph: ir.Graph, name: str, value: np.generic | np.ndarray | Sequence[int]) -> ir.Value:
    """Return the graph's constant of that name; the first call makes it of `value` (a sequence: int64)."""
    if name not in graph.initializers:
        array = np.asarray(value, None if isinstance(value, np.generic) else np.int64)
        graph.initializers.add(ir.Value(name=name, const_value=ir.tensor(array, name=name)))
    return graph.initializers[name]


def split(graph: ir.Graph, nodes: Nodes, value: ir.Value, widths: Sequence[int]) -> Sequence[ir.Value]:
    """Split a value along its last axis."""
    sizes = constant(graph, f"widths {widths}", widths)
    return nodes.add_many("Split", [value, sizes], len(widths), axis=-1)


def new_weight(graph: ir.Graph, name: str, dtype: ir.DataType, shape: Sequence[int]) -> ir.Value:
    """Return a weight without values; `serialized` assigns its place in the data file."""
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    graph.initializers.add(value)
    return value


def replace_product(graph: ir.Graph, product: ir.Node, nodes: Nodes, result: ir.Value) -> None:
    """Put `nodes`, which compute `result`, in place of a product and its weight."""
    weight, before = product.inputs[1], product.outputs[0]
    if before.is_graph_output():
        result.name, result.type, result.shape = before.name, before.type, before.shape
    before.replace_all_uses_with(result, replace_graph_outputs=True)
    graph.insert_before(product, nodes.made)
    graph.remove(product, safe=True)
    del graph.initializers[weight.name]


def upstream(values: Iterable[ir.Value]) -> dict[ir.Value, None]:
    """Return these values and everything that they are computed from, in search order."""
    found: dict[ir.Value, None] = {}
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if value is not None and value not in found:
            found[value] = None
            waiting.extend(value.producer().inputs if value.producer() is not None else ())
    return found


def serialized(model: ir.Model) -> onnx.ModelProto:
    """Return the rewritten model; weights are placed in the data file in the order of their use."""
    values = [value.const_value for value in model.graph.initializers.values()]
    place_weights(model.graph, next(v.location for v in values if isinstance(v, ir.ExternalTensor)))
    model.opset_imports[CONTRIBUTED] = 1
    return ir.serde.serialize_model(model)


def place_weights(graph: ir.Graph, file: str) -> None:
    """Assign every weight its place in the data file, in the order of their use."""
    before = {v: v.const_value for v in graph.initializers.values()}
    read = dict.fromkeys(value for node in graph for value in node.inputs if value in before)
    offset = 0
    for weight in read:
        if before[weight] is None or isinstance(before[weight], ir.ExternalTensor):
            length = int(np.prod(weight.shape.numpy()) * weight.dtype.itemsize)
            weight.const_value = ir.ExternalTensor(
                file, offset, length, weight.dtype, shape=weight.shape, name=weight.name
            )
            offset += -(-length // DATA_ALIGNMENT_BYTES) * DATA_ALIGNMENT_BYTES
