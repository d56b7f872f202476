"""Rewrites a full-precision trunk graph: products with weights of 4 bits, in blocks of 32 inputs.

ONNX Runtime rounds each 32 elements of a row to 8 bits with a scale of their own, and multiplies integers. So
a row's answer does not depend on the others, and channels need no smoothing. `softcall.export.weights.int4`
says why the sums of a row's blocks stand behind it.
"""

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir

from softcall.base.trunk import INPUT_IDS
from softcall.export.graphs.int8 import last_rows
from softcall.export.graphs.joint_products import products
from softcall.export.graphs.nodes import (
    CONTRIBUTED,
    Nodes,
    constant,
    new_weight,
    replace_product,
    serialized,
)
from softcall.export.weights.int4 import (
    BLOCK,
    BYTE_ZERO,
    BYTES,
    INTEGERS,
    SCALES,
    ZEROS,
    block_count,
    require_whole_blocks,
)

_ROWS_IN_8_BITS = 4
"""What ONNX Runtime calls the accuracy level of such a product."""


def int4_graph(full_precision: onnx.ModelProto) -> onnx.ModelProto:
    """Return the int4 trunk of a full-precision one: the same inputs and outputs, weights left out of both.

    Its weights are `<parameter>.T.int4`, uint8 [out, blocks, 16], `<parameter>.T.scale`, float32 [out,
    blocks], and `<parameter>.T.zero`, uint8 [out, half the blocks], or several of these one after the other;
    the embedding's `.uint8` [vocabulary, blocks, 32] and `.scale` [vocabulary, blocks]; and, in float32, all
    others. Raises `SoftcallError` for products whose inputs are no multiple of 32.
    """
    model = ir.serde.deserialize_model(full_precision)
    graph = model.graph
    _quantize_embedding(graph)
    last = last_rows(graph)
    for rows, parts in products(graph):
        _quantize(graph, rows, parts, dimensions=2 if rows in last else 3)
    return serialized(model)


def byte_weights(graph: ir.Graph, parameter: str, rows: int, columns: int) -> tuple[ir.Value, ir.Value]:
    """Return the weights that a parameter [rows, columns] has in 8 bits: integers and scales."""
    require_whole_blocks(parameter, columns)
    blocks = block_count(columns)
    return (
        new_weight(graph, parameter + BYTES, ir.DataType.UINT8, [rows, blocks, BLOCK]),
        new_weight(graph, parameter + SCALES, ir.DataType.FLOAT, [rows, blocks]),
    )


def block_product(
    nodes: Nodes, rows: ir.Value, weights: Sequence[ir.Value], inputs: int, bits: int
) -> ir.Value:
    """Return the product of rows [..., inputs] with weights in blocks."""
    return nodes.add(
        "MatMulNBits",
        [rows, *weights],
        CONTRIBUTED,
        K=inputs,
        N=weights[0].shape[0],
        bits=bits,
        block_size=BLOCK,
        accuracy_level=_ROWS_IN_8_BITS,
    )


def _quantize_embedding(graph: ir.Graph) -> None:
    """Store the embedding in 8 bits, as the vocabulary head, which is often the same."""
    (ids,) = (value for value in graph.inputs if value.name == INPUT_IDS)
    (gather,) = (node for node, _ in ids.uses() if node.op_type == "Gather")
    weight = gather.inputs[0]
    rows, columns = weight.shape
    integers, scales = byte_weights(graph, weight.name, rows, columns)
    nodes = Nodes(gather.name)
    steps = nodes.add("Cast", [nodes.add("Gather", [integers, gather.inputs[1]])], to=ir.DataType.FLOAT)
    centred = nodes.add("Sub", [steps, constant(graph, "int4 zero of a byte", np.float32(BYTE_ZERO))])
    scale = nodes.add(
        "Unsqueeze",
        [nodes.add("Gather", [scales, gather.inputs[1]]), constant(graph, "int4 axis of a block", [-1])],
    )
    shape = constant(graph, "int4 embeds", [0, 0, columns])
    embeds = nodes.add("Reshape", [nodes.add("Mul", [centred, scale]), shape])
    graph.insert_before(gather, nodes.made)
    gather.outputs[0].replace_all_uses_with(embeds)
    graph.remove(gather, safe=True)
    del graph.initializers[weight.name]


def _quantize(graph: ir.Graph, rows: ir.Value, parts: Sequence[ir.Node], dimensions: int) -> None:
    """Replace products of `rows` [..., in] by products with blocks, behind which are those of their sums."""
    weights = [part.inputs[1] for part in parts]
    inputs = weights[0].shape[0]
    require_whole_blocks(weights[0].name, inputs)
    summed = block_count(inputs)
    nodes = Nodes(rows.name.rpartition("/")[0] + "/int4")
    shape = [0] * (dimensions - 1) + [-1, BLOCK]
    apart = nodes.add("Reshape", [rows, constant(graph, f"int4 blocks of {dimensions} dimensions", shape)])
    sums = nodes.add("ReduceSum", [apart, constant(graph, "int4 axis of a block", [-1])], keepdims=0)
    joint = nodes.add("Concat", [rows, sums], axis=-1)
    graph.insert_before(parts[0], nodes.made)
    for part, weight in zip(parts, weights, strict=True):
        product = Nodes(part.name)
        own = _weights(graph, weight, summed + block_count(summed))
        result = block_product(product, joint, own, inputs + summed, bits=4)
        replace_product(graph, part, product, result)


def _weights(graph: ir.Graph, weight: ir.Value, blocks: int) -> list[ir.Value]:
    """Return the new weights of a product: integers, scales and zero points."""
    outputs = weight.shape[1]
    return [
        new_weight(graph, weight.name + INTEGERS, ir.DataType.UINT8, [outputs, blocks, BLOCK // 2]),
        new_weight(graph, weight.name + SCALES, ir.DataType.FLOAT, [outputs, blocks]),
        new_weight(graph, weight.name + ZEROS, ir.DataType.UINT8, [outputs, -(-blocks // 2)]),
    ]
