"""How the heads of a trunk graph's attentions lie in memory."""

import onnx_ir as ir

from softcall.export.graphs.nodes import nodes_of


def keep_heads_side_by_side(graph: ir.Graph) -> None:
    """Leave out the transposes around attentions, whose kernels read [batch, length, heads x head] as well.

    An attention whose heads are normed one by one needs them apart, and keeps them so.
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


def _rows_of(heads: ir.Value) -> ir.Value | None:
    """What was split into heads and transposed, if that is all that was done."""
    turned = heads.producer()
    apart = turned.inputs[0].producer() if turned.op_type == "Transpose" else None
    return apart.inputs[0] if apart is not None and apart.op_type == "Reshape" else None
