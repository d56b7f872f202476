"""Rewrite a trunk graph for a GPU: in half precision, behind prefixes that stay on the device (docs/cuda.md).

Weights, rows, keys and values are float16. Products, norms and softmax add up in float32 inside ONNX
Runtime's kernels. Float32 are: the prompt input, the positions' sines and cosines until they are rounded, and
the final norm, whose output is `hidden`.
"""

from collections.abc import Iterable, Iterator

import onnx
import onnx_ir as ir

from softcall.graph_nodes import CONTRIBUTED, Nodes, place_weights
from softcall.norms import add_in_norms
from softcall.trunk import BATCH, HIDDEN, KV_PAGES, PREFIX_PAGES, PROMPT_EMBEDS

_HALF = ir.DataType.FLOAT16


def fp16_graph(full_precision: onnx.ModelProto) -> onnx.ModelProto:
    """Return the fp16 trunk of a full-precision one; weights left out of both.

    Its weights are called as the full-precision ones. Instead of a past for each layer it takes `KV_PAGES`,
    float16 [pages, 2 x layers, kv_heads, head_dim], a page being one prompt token's keys and values of all
    layers in turn, and `PREFIX_PAGES`, int64 [batch, past]: the pages that a row's prefix consists of. So
    rows of any tasks share a run, and their prefixes are where the GPU is.
    """
    model = ir.serde.deserialize_model(full_precision)
    graph = model.graph
    _page_prefixes(graph)
    _halve(graph)
    add_in_norms(graph)
    place_weights(graph)
    model.opset_imports[CONTRIBUTED] = 1
    return ir.serde.serialize_model(model)


def _page_prefixes(graph: ir.Graph) -> None:
    """Gather the rows' pages once, and hand each layer its keys and values: [batch, kv_heads, past, head]."""
    pasts = [value for value in graph.inputs if value.name.startswith("past_key_values.")]
    _, kv_heads, _, head_dim = pasts[0].shape
    pages = _input(graph, KV_PAGES, _HALF, ["pages", len(pasts), kv_heads, head_dim])
    index = _input(graph, PREFIX_PAGES, ir.DataType.INT64, [BATCH, "past"])
    first = ir.Value(name="axis of parts", const_value=ir.tensor([0], ir.DataType.INT64))
    graph.initializers.add(first)
    nodes = Nodes("trunk/prefixes")
    tokens = nodes.add("Gather", [pages, index], axis=0)
    parts = nodes.add("Transpose", [tokens], perm=[2, 0, 3, 1, 4])
    each = nodes.add_many("Split", [parts], len(pasts), axis=0, num_outputs=len(pasts))
    for past, part in zip(pasts, each, strict=True):
        for user, position in list(past.uses()):
            if user.op_type == "Mul":
                user.outputs[0].replace_all_uses_with(nodes.add("Squeeze", [part, first]))
                graph.remove(user, safe=True)
            else:  # the one question how long the past is
                user.replace_input_with(position, index)
                for name, axis in (("start", 1), ("end", 2)):
                    user.attributes[name] = ir.AttrInt64(name, axis)
        graph.inputs.remove(past)
    graph.insert_before(graph[0], nodes.made)
    _remove_unused(graph)


def _halve(graph: ir.Graph) -> None:
    """Make every weight, row, key and value a float16."""
    angles = list(_angles(graph))
    exact = _upstream(angles)
    final = next(value for value in graph.outputs if value.name == HIDDEN).producer()
    for value in graph.initializers.values():
        if value.dtype == ir.DataType.FLOAT and value not in exact and value is not final.inputs[1]:
            value.type = ir.TensorType(_HALF)
            if not isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = ir.tensor(value.const_value.numpy().astype("float16"), name=value.name)
    prompt = next(value for value in graph.inputs if value.name == PROMPT_EMBEDS)
    for value in (*angles, prompt):
        _cast(graph, value, _HALF)
    for node in graph:
        for value in node.outputs:
            if value.dtype == ir.DataType.FLOAT and value not in exact and value is not final.outputs[0]:
                value.type = ir.TensorType(_HALF)
    _cast(graph, final.inputs[0], ir.DataType.FLOAT)


def _angles(graph: ir.Graph) -> Iterator[ir.Value]:
    """The positions' sines and cosines, after the factor that some scalings of positions put to them."""
    for op_type in ("Cos", "Sin"):
        for node in _all(graph, op_type):
            (value,) = node.outputs
            users = [user for user, _ in value.uses()]
            scaled = len(users) == 1 and users[0].op_type == "Mul" and users[0].inputs[1].is_initializer()
            yield users[0].outputs[0] if scaled else value


def _cast(graph: ir.Graph, value: ir.Value, dtype: ir.DataType) -> None:
    """Let all that reads `value` read it in another type."""
    nodes = Nodes(value.name.partition(":")[0])
    cast = nodes.add("Cast", [value], to=dtype)
    value.replace_all_uses_with(cast)
    cast.producer().replace_input_with(0, value)
    if value.producer() is None:
        graph.insert_before(graph[0], nodes.made)
    else:
        graph.insert_after(value.producer(), nodes.made)


def _all(graph: ir.Graph, op_type: str) -> Iterator[ir.Node]:
    yield from [node for node in graph if node.op_type == op_type]


def _input(graph: ir.Graph, name: str, dtype: ir.DataType, shape) -> ir.Value:
    value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
    graph.inputs.append(value)
    return value


def _upstream(values: Iterable[ir.Value]) -> set[ir.Value]:
    """These values, and all that they are computed from."""
    found: set[ir.Value] = set()
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        if value is not None and value not in found:
            found.add(value)
            waiting.extend(value.producer().inputs if value.producer() is not None else ())
    return found


def _remove_unused(graph: ir.Graph) -> None:
    """Remove the nodes that nobody reads any more, and the constants that only they read."""
    outputs = set(graph.outputs)
    for node in reversed(list(graph)):
        if not any(value.uses() or value in outputs for value in node.outputs):
            graph.remove(node, safe=True)
    for name in [name for name, value in graph.initializers.items() if not value.uses()]:
        del graph.initializers[name]
