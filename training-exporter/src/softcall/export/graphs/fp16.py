"""Rewrite a traced trunk graph for a GPU: half precision, prefixes that stay on the device (docs/cuda.md).

Weights, rows, keys and values are float16. Products, norms and softmax add up in float32 inside ONNX
Runtime's kernels. Float32 are: the prompt input, the positions' sines and cosines until they are rounded, and
the final norm, whose output is `hidden`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnx_ir as ir

from softcall.base.trunk import (
    BATCH,
    HIDDEN,
    KEY_ORDER,
    KV_PAGES,
    PAIRS,
    PREFIX_PAGES,
    PROMPT_EMBEDS,
)
from softcall.export.graphs.attention_heads import lay_heads_side_by_side
from softcall.export.graphs.joint_heads import join_heads
from softcall.export.graphs.nodes import Nodes, constant, nodes_of, serialized, upstream
from softcall.export.graphs.norms import add_in_norms

_HALF = ir.DataType.FLOAT16


def fp16_graph(traced: onnx.ModelProto) -> onnx.ModelProto:
    """Return the fp16 trunk of a traced one; weights left out of both.

    `softcall.export.weights.fp16` gives its weights. Instead of a past for each layer it takes `KV_PAGES`,
    float16 [pages, 2 x layers, kv_heads, head_dim], a page being one prompt token's keys and values of all
    layers in turn, and `PREFIX_PAGES`, int64 [batch, past]: the pages that a row's prefix consists of. So
    rows of any tasks share a run, and their prefixes are where the GPU is. Its metadata says in which order
    it wants a key's elements (`KEY_ORDER`). It gives no prefix: full precision does.
    """
    model = ir.serde.deserialize_model(traced)
    graph = model.graph
    prefixes = _prefixes(graph)
    if join_heads(graph, _named(graph, KV_PAGES).shape[-1]):
        model.metadata_props[KEY_ORDER] = PAIRS
    _attend(graph, prefixes)
    _halve(graph)
    add_in_norms(graph)
    return serialized(model)


def _prefixes(graph: ir.Graph) -> Sequence[ir.Value]:
    """Gather the rows' prefixes once: keys and values in turn, each [batch, kv_heads, past, head_dim].

    Attention wants its past by head, although a page has heads side by side.
    """
    pasts = [value for value in graph.inputs if value.name.startswith("past_key_values.")]
    _, kv_heads, _, head_dim = pasts[0].shape
    pages = _input(graph, KV_PAGES, _HALF, ["pages", len(pasts), kv_heads, head_dim])
    index = _input(graph, PREFIX_PAGES, ir.DataType.INT64, [BATCH, "past"])
    page_heads = len(pasts) * kv_heads
    in_page = np.arange(page_heads).reshape(len(pasts), 1, kv_heads, 1)
    nodes = Nodes("trunk/prefixes")
    first = nodes.add("Mul", [index, constant(graph, "heads of a page", np.int64(page_heads))])
    first = nodes.add("Unsqueeze", [first, constant(graph, "axis of heads", [1])])
    places = nodes.add("Add", [first, constant(graph, "heads in a page", in_page)])
    heads = nodes.add("Reshape", [pages, constant(graph, "heads of all pages", [-1, head_dim])])
    chosen = nodes.add("Gather", [heads, places], axis=0)
    parts = nodes.add_many("Split", [chosen], len(pasts), axis=0, num_outputs=len(pasts))
    axis = constant(graph, "axis of parts", [0])
    prefixes = [nodes.add("Squeeze", [part, axis]) for part in parts]
    for past in pasts:
        for user, position in list(past.uses()):
            if user.op_type == "Shape":  # the length of the past
                user.replace_input_with(position, index)
                for name, axis in (("start", 1), ("end", 2)):
                    user.attributes[name] = ir.AttrInt64(name, axis)
    graph.insert_before(graph[0], nodes.made)
    return prefixes


def _attend(graph: ir.Graph, prefixes: Sequence[ir.Value]) -> None:
    """Make attention start at the prefixes; its query, key and value have heads side by side.

    ONNX Runtime then appends key and value to the past in one kernel (its Concat would copy sizes and
    addresses to the GPU each time), and uses its fastest attention kernel.
    """
    *_, kv_heads, head_dim = _named(graph, KV_PAGES).shape
    for attention, *past in zip(nodes_of(graph, "Attention"), prefixes[::2], prefixes[1::2], strict=True):
        if "q_num_heads" not in attention.attributes:
            lay_heads_side_by_side(graph, attention, kv_heads, head_dim)
        for position, part in enumerate(past, 4):
            attention.replace_input_with(position, part)
    del graph.outputs[1:]  # presents
    _remove_unused(graph)
    for value in [value for value in graph.inputs if value.name.startswith("past_key_values.")]:
        graph.inputs.remove(value)


def _halve(graph: ir.Graph) -> None:
    """Make all weights, rows, keys and values float16."""
    angles = list(_angles(graph))
    exact = upstream(angles)
    final = next(value for value in graph.outputs if value.name == HIDDEN).producer()
    for value in graph.initializers.values():
        if value.dtype == ir.DataType.FLOAT and value not in exact and value is not final.inputs[1]:
            value.type = ir.TensorType(_HALF)
            if value.const_value is not None and not isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = ir.tensor(value.const_value.numpy().astype("float16"), name=value.name)
    prompt = _named(graph, PROMPT_EMBEDS)
    for value in (*angles, prompt):
        _cast(graph, value, _HALF)
    for node in graph:
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT and value not in exact and value is not final.outputs[0]:
                value.type = ir.TensorType(_HALF)
    _cast(graph, final.inputs[0], ir.DataType.FLOAT)


def _angles(graph: ir.Graph) -> Iterator[ir.Value]:
    """Yield the positions' sines and cosines, after the factor of some position scalings."""
    for op_type in ("Cos", "Sin"):
        for node in nodes_of(graph, op_type):
            (value,) = node.outputs
            users = [user for user, _ in value.uses()]
            scaled = len(users) == 1 and users[0].op_type == "Mul" and users[0].inputs[1].is_initializer()
            yield users[0].outputs[0] if scaled else value


def _cast(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> None:
    """Make all readers of `value` read it in another type."""
    nodes = Nodes(value.name.partition(":")[0])
    cast = nodes.add("Cast", [value], to=dtype)
    value.replace_all_uses_with(cast)
    cast.producer().replace_input_with(0, value)
    if value.producer() is None:
        graph.insert_before(graph[0], nodes.made)
    else:
        graph.insert_after(value.producer(), nodes.made)


def _named(graph: ir.Graph, name: str) -> ir.Value:
    return next(value for value in graph.inputs if value.name == name)


def _input(graph: ir.Graph, name: str, dtype: ir.DataType, shape) -> ir.Value:
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    graph.inputs.append(value)
    return value


def _remove_unused(graph: ir.Graph) -> None:
    """Remove unused nodes, and the constants that only they read."""
    outputs = set(graph.outputs)
    for node in reversed(list(graph)):
        if not any(value.uses() or value in outputs for value in node.outputs):
            graph.remove(node, safe=True)
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        del graph.initializers[name]
