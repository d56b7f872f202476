"""The memory layout of attention heads in a trunk graph."""

import onnx_ir as ir

from softcall.export.graphs.nodes import Nodes, constant, nodes_of


def keep_heads_side_by_side(graph: ir.Graph) -> None:
    """Remove the transposes around attentions, whose kernels also read [batch, length, heads x head].

    An attention that norms single heads needs them apart, and keeps its transposes.
    """
    for attention in nodes_of(graph, "Attention"):
        query, key = (value.producer() for value in attention.inputs[:2])
        (turned,) = (node for node, _ in attention.outputs[0].uses())
        (joined,) = (node for node, _ in turned.outputs[0].uses())
        rows = [_rows_of(v) for v in (query.inputs[0], key.inputs[0], attention.inputs[2])]
        if None in rows:
            continue
        for position, (rotation, source) in enumerate(zip((query, key), rows, strict=False)):
            rotation.replace_input_with(0, source)
            heads = rotation.attributes["num_heads"].value
            name = ("q_num_heads", "kv_num_heads")[position]
            attention.attributes[name] = ir.AttrInt64(name, heads)
        attention.replace_input_with(2, rows[2])
        joined.outputs[0].replace_all_uses_with(attention.outputs[0])
        graph.remove([turned, joined], safe=True)


def lay_heads_side_by_side(graph: ir.Graph, attention: ir.Node, kv_heads: int, head_dim: int) -> None:
    """Put heads side by side that were apart, because each is normed or positions are scaled."""
    (turned,) = (node for node, _ in attention.outputs[0].uses())
    (joined,) = (node for node, _ in turned.outputs[0].uses())
    heads = joined.outputs[0].shape[-1] // head_dim
    for name, count in (("q_num_heads", heads), ("kv_num_heads", kv_heads)):
        attention.attributes[name] = ir.AttrInt64(name, count)
    for position, count in enumerate((heads, kv_heads, kv_heads)):
        rows = _side_by_side(graph, attention.inputs[position], count * head_dim)
        attention.replace_input_with(position, rows)
    joined.outputs[0].replace_all_uses_with(attention.outputs[0])


def _rows_of(heads: ir.Value) -> ir.Value | None:
    """Return the value that was split into heads and transposed; None if anything else was done to it."""
    turned = heads.producer()
    apart = turned.inputs[0].producer() if turned.op_type == "Transpose" else None
    return apart.inputs[0] if apart is not None and apart.op_type == "Reshape" else None


def _side_by_side(graph: ir.Graph, heads: ir.Value, size: int) -> ir.Value:
    """Return [batch, heads, length, head_dim] as [batch, length, heads x head_dim], `size` in all."""
    nodes = Nodes(heads.producer().name)
    turned = nodes.add("Transpose", [heads], perm=[0, 2, 1, 3])
    rows = nodes.add("Reshape", [turned, constant(graph, f"rows of {size}", [0, 0, size])])
    graph.insert_after(heads.producer(), nodes.made)
    return rows
