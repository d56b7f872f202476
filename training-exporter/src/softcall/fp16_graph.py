"""Rewrite a trunk graph for a GPU: in half precision, behind prefixes that stay on the device (docs/cuda.md).

Weights, rows, keys and values are float16. Products, norms and softmax add up in float32 inside ONNX
Runtime's kernels. Float32 are: the prompt input, the positions' sines and cosines until they are rounded, and
the final norm, whose output is `hidden`.
"""

from collections.abc import Iterable, Iterator, Sequence

import onnx
import onnx_ir as ir

from softcall.graph_nodes import CONTRIBUTED, Nodes, constant, nodes_of, place_weights
from softcall.norms import add_in_norms
from softcall.trunk import BATCH, HIDDEN, KV_PAGES, PREFIX_PAGES, PROMPT_EMBEDS

_HALF = ir.DataType.FLOAT16
_OPSET = 24
"""Whose Attention can be told how many keys there are."""


def fp16_graph(full_precision: onnx.ModelProto) -> onnx.ModelProto:
    """Return the fp16 trunk of a full-precision one; weights left out of both.

    Its weights are called as the full-precision ones. Instead of a past for each layer it takes `KV_PAGES`,
    float16 [pages, 2 x layers, kv_heads, head_dim], a page being one prompt token's keys and values of all
    layers in turn, and `PREFIX_PAGES`, int64 [batch, past]: the pages that a row's prefix consists of. So
    rows of any tasks share a run, and their prefixes are where the GPU is. It gives no prefix: full
    precision does.
    """
    model = ir.serde.deserialize_model(full_precision)
    graph = model.graph
    parts = _prefixes(graph)
    _attend_to_whole_rows(graph, parts)
    _halve(graph)
    add_in_norms(graph)
    place_weights(graph)
    model.opset_imports.update({"": _OPSET, CONTRIBUTED: 1})
    return ir.serde.serialize_model(model)


def _prefixes(graph: ir.Graph) -> list[ir.Value]:
    """Gather the rows' pages once: keys and values in turn, each [batch, past, kv_heads x head_dim]."""
    pasts = [value for value in graph.inputs if value.name.startswith("past_key_values.")]
    _, kv_heads, _, head_dim = pasts[0].shape
    pages = _input(graph, KV_PAGES, _HALF, ["pages", len(pasts), kv_heads, head_dim])
    index = _input(graph, PREFIX_PAGES, ir.DataType.INT64, [BATCH, "past"])
    row = constant(graph, "row of a page", [0, 0, kv_heads * head_dim])
    nodes = Nodes("trunk/prefixes")
    tokens = nodes.add("Gather", [pages, index], axis=0)
    each = nodes.add_many("Split", [tokens], len(pasts), axis=2, num_outputs=len(pasts))
    rows = [nodes.add("Reshape", [part, row]) for part in each]
    for past in pasts:
        for user, position in list(past.uses()):
            if user.op_type == "Shape":  # the one question how long the past is
                user.replace_input_with(position, index)
                for name, axis in (("start", 1), ("end", 2)):
                    user.attributes[name] = ir.AttrInt64(name, axis)
    graph.insert_before(graph[0], nodes.made)
    return rows


def _attend_to_whole_rows(graph: ir.Graph, prefixes: Sequence[ir.Value]) -> None:
    """Put prefixes before keys and values, and hand attention the whole of them, heads side by side.

    Attention's own past would be put there head by head, with a transpose to and fro; and ONNX Runtime has
    its fastest kernel for keys that are whole. How many there are aligns the causal mask to their end.
    """
    *_, kv_heads, head_dim = _named(graph, KV_PAGES).shape
    lengths = _lengths(graph)
    attentions = nodes_of(graph, "Attention")
    for attention, *parts in zip(attentions, prefixes[::2], prefixes[1::2], strict=True):
        query, *own = _rows(graph, attention, kv_heads, head_dim)
        nodes = Nodes(attention.name.rsplit("/", 1)[0] + "/whole")
        whole = [nodes.add("Concat", pair, axis=1) for pair in zip(parts, own, strict=True)]
        attended = nodes.add(
            "Attention",
            [query, *whole, None, None, None, lengths],
            q_num_heads=attention.attributes["q_num_heads"].value,
            kv_num_heads=kv_heads,
            scale=attention.attributes["scale"].value,
            is_causal=1,
        )
        graph.insert_before(attention, nodes.made)
        attention.outputs[0].replace_all_uses_with(attended)
    del graph.outputs[1:]  # presents
    _remove_unused(graph)
    for value in [value for value in graph.inputs if value.name.startswith("past_key_values.")]:
        graph.inputs.remove(value)


def _lengths(graph: ir.Graph) -> ir.Value:
    """How many keys each row has, int64 [batch]: prefix, prompt, text, and the pads behind it."""
    index = _named(graph, PREFIX_PAGES)
    embeds = next(v for n in graph if n.op_type == "Concat" and _reads(n, PROMPT_EMBEDS) for v in n.outputs)
    nodes = Nodes("trunk/lengths")
    batch, past = (nodes.add("Shape", [index], start=axis, end=axis + 1) for axis in (0, 1))
    total = nodes.add("Add", [past, nodes.add("Shape", [embeds], start=1, end=2)])
    lengths = nodes.add("Expand", [total, batch])
    graph.insert_after(embeds.producer(), nodes.made)
    return lengths


def _rows(graph: ir.Graph, attention: ir.Node, kv_heads: int, head_dim: int) -> Sequence[ir.Value]:
    """Return query, key and value as [batch, length, heads x head_dim], as `attention` gives rows then."""
    if "q_num_heads" not in attention.attributes:  # heads are apart: each is normed, or positions are scaled
        (turned,) = (node for node, _ in attention.outputs[0].uses())
        (joined,) = (node for node, _ in turned.outputs[0].uses())
        heads = joined.outputs[0].shape[-1] // head_dim
        attention.attributes["q_num_heads"] = ir.AttrInt64("q_num_heads", heads)
        for position, count in enumerate((heads, kv_heads, kv_heads)):
            rows = _side_by_side(graph, attention.inputs[position], count * head_dim)
            attention.replace_input_with(position, rows)
        joined.outputs[0].replace_all_uses_with(attention.outputs[0])
    return attention.inputs[:3]


def _side_by_side(graph: ir.Graph, heads: ir.Value, size: int) -> ir.Value:
    """Return [batch, heads, length, head_dim] as [batch, length, heads x head_dim], `size` in all."""
    nodes = Nodes(heads.producer().name)
    turned = nodes.add("Transpose", [heads], perm=[0, 2, 1, 3])
    rows = nodes.add("Reshape", [turned, constant(graph, f"rows of {size}", [0, 0, size])])
    graph.insert_after(heads.producer(), nodes.made)
    return rows


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
    prompt = _named(graph, PROMPT_EMBEDS)
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
        for node in nodes_of(graph, op_type):
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


def _named(graph: ir.Graph, name: str) -> ir.Value:
    return next(value for value in graph.inputs if value.name == name)


def _reads(node: ir.Node, name: str) -> bool:
    return any(value is not None and value.name == name for value in node.inputs)


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
