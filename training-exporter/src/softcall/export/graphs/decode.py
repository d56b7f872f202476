"""Rewrites a trunk graph into one that decodes: one token a row, behind pasts of unequal lengths.

A step appends keys and values to the past where it lies, in a buffer with room for more. So it copies none of
them, and rows that end or begin leave the others where they are.
"""

import onnx
import onnx_ir as ir
from onnx_ir.passes import common as passes

from softcall.base.decoder import PAST_LENGTHS, TOTAL_LENGTH
from softcall.base.trunk import BATCH, INPUT_IDS, LAST_INDEX, LENGTH, PROMPT_EMBEDS, ROWS
from softcall.export.graphs.attention_heads import lay_heads_side_by_side
from softcall.export.graphs.nodes import CONTRIBUTED, Nodes, constant, nodes_of, upstream

HEAD_MULTIPLE = 8
"""The size of a head is a multiple of this, because ONNX Runtime's GroupQueryAttention takes no others."""

CAPACITY = "capacity"
"""The graph's name of the number of positions in the buffer of a past."""


def decode_graph(trunk: onnx.ModelProto) -> onnx.ModelProto:
    """Return the decode graph of a full-precision, int8 or int4 trunk, as docs/base-bundle.md describes it.

    Its weights have the names and the places of the trunk's: both graphs read one data file.
    """
    model = ir.serde.deserialize_model(trunk)
    graph = model.graph
    inputs = {value.name: value for value in graph.inputs}
    pasts = [value for value in graph.inputs if value.name.startswith("past_key_values.")]
    lengths = ir.Value(name=PAST_LENGTHS, type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape([BATCH]))
    total = ir.Value(name=TOTAL_LENGTH, type=ir.TensorType(ir.DataType.INT32), shape=ir.Shape([]))
    _take_no_prompt(graph, inputs[PROMPT_EMBEDS], inputs[INPUT_IDS])
    _begin_behind_each_past(graph, lengths)
    _append_in_place(graph, pasts, lengths, total)
    _keep_every_row(graph, inputs[LAST_INDEX])
    graph.inputs[:] = [inputs[INPUT_IDS], lengths, total, *pasts]
    _remove_unused(model)
    _name_sizes(graph)
    graph.name = "decode"
    model.opset_imports[CONTRIBUTED] = 1
    return ir.serde.serialize_model(model)


def _take_no_prompt(graph: ir.Graph, prompt: ir.Value, ids: ir.Value) -> None:
    """Compute the graph for one token a row and a prompt of no tokens."""
    for user, position in list(prompt.uses()):
        if user.op_type == "Concat":
            user.outputs[0].replace_all_uses_with(user.inputs[1 - position])
    for value, tokens in ((prompt, 0), (ids, 1)):
        for user, _ in list(value.uses()):
            if user.op_type != "Shape":
                continue
            if user.attributes["start"].value == 1:
                user.outputs[0].replace_all_uses_with(constant(graph, f"{tokens} tokens", [tokens]))
            else:
                user.replace_input_with(0, ids)


def _begin_behind_each_past(graph: ir.Graph, lengths: ir.Value) -> None:
    """Rotate each row's token by its own position, int64 [batch, 1]: the length of its past."""
    angles = [value for op in ("Cos", "Sin") for node in nodes_of(graph, op) for value in node.inputs]
    expanded = (v for v in upstream(angles) if v.producer() is not None and v.producer().op_type == "Expand")
    (positions,) = (value for value in expanded if not value.producer().inputs[0].is_initializer())
    nodes = Nodes("decode/positions")
    counted = nodes.add("Cast", [lengths], to=ir.DataType.INT64)
    own = nodes.add("Unsqueeze", [counted, constant(graph, "axis of tokens", [1])])
    graph.insert_before(graph[0], nodes.made)
    positions.replace_all_uses_with(own)


def _append_in_place(graph: ir.Graph, pasts: list[ir.Value], lengths: ir.Value, total: ir.Value) -> None:
    """Attend with an operator that knows each row's length, and writes into the buffer of the past."""
    _, kv_heads, _, head_dim = pasts[0].shape
    attentions = nodes_of(graph, "Attention")
    for attention, *past in zip(attentions, pasts[::2], pasts[1::2], strict=True):
        if "q_num_heads" not in attention.attributes:
            lay_heads_side_by_side(graph, attention, kv_heads, head_dim)
        nodes = Nodes(attention.name.rpartition("/")[0])
        results = nodes.add_many(
            "GroupQueryAttention",
            [*attention.inputs[:3], *past, lengths, total],
            3,
            CONTRIBUTED,
            num_heads=attention.attributes["q_num_heads"].value,
            kv_num_heads=attention.attributes["kv_num_heads"].value,
            scale=attention.attributes["scale"].value,
        )
        graph.insert_before(attention, nodes.made)
        for before, after in zip(attention.outputs, results, strict=False):
            after.type, after.shape = before.type, before.shape
            if before.is_graph_output():
                after.name = before.name
            before.replace_all_uses_with(after, replace_graph_outputs=True)
        graph.remove(attention, safe=True)


def _keep_every_row(graph: ir.Graph, last_index: ir.Value) -> None:
    """Choose no rows: each text has one, its last."""
    for node in nodes_of(graph, "Gather"):
        if last_index in upstream(node.inputs[1:2]):
            node.outputs[0].replace_all_uses_with(node.inputs[0])


def _remove_unused(model: ir.Model) -> None:
    passes.RemoveUnusedNodesPass()(model)
    for name in [name for name, value in model.graph.initializers.items() if not value.uses()]:
        del model.graph.initializers[name]


def _name_sizes(graph: ir.Graph) -> None:
    """Name the sizes that the trunk has not: rows are of one token, pasts lie in buffers with room."""
    graph.inputs[0].shape = ir.Shape([BATCH, 1])
    for value in (*graph.inputs, *graph.outputs):
        if len(value.shape) == 4:
            _, kv_heads, _, head_dim = value.shape
            value.shape = ir.Shape([BATCH, kv_heads, CAPACITY, head_dim])
    sizes = {LENGTH: 1, ROWS: BATCH}
    for node in graph:
        for value in node.outputs:
            if value.shape is not None:
                named = (size.value if isinstance(size, ir.SymbolicDim) else size for size in value.shape)
                value.shape = ir.Shape([sizes.get(size, size) for size in named])
