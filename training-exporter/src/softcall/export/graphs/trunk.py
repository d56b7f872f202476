"""Exports a model's trunk as an ONNX graph without weights.

The graph depends only on the model's configuration: its weights are names and offsets, which
`softcall.export.weights.external_data` fills. A checkpoint and random weights give the same graph, so it can
be kept.
"""

import ast
import contextlib
import logging
import math
import warnings
from collections import Counter
from collections.abc import Iterator

import onnx
import onnx_ir as ir
import onnxscript.optimizer
import onnxscript.rewriter.onnx_fusions
import torch
from onnx_ir.passes import common as passes
from transformers import AttentionInterface, PreTrainedModel

from softcall.base.architectures import Architecture, architecture_of
from softcall.base.identity import head_dim
from softcall.base.trunk import (
    BATCH,
    HIDDEN,
    INPUT_IDS,
    LAST_INDEX,
    LENGTH,
    PROMPT_EMBEDS,
    ROWS,
    past_names,
    present_names,
)
from softcall.export.graphs.attention_heads import keep_heads_side_by_side
from softcall.export.weights.external_data import DATA_ALIGNMENT_BYTES, TRANSPOSED
from softcall.export.weights.variants import DATA_FILE

OPSET = 23
_ATTENTION = "softcall_trunk"
_BY_ROW = {"Add", "Gelu", "MatMul", "Mul", "RMSNormalization", "Sigmoid", "Swish", "Tanh"}
"""Operators that compute each row of states from that row, and from weights."""


def trunk_graph(model: PreTrainedModel) -> onnx.ModelProto:
    """Return the trunk of a causal language model, as docs/base-bundle.md describes it, without weights.

    The weights are external data of `DATA_FILE`, in the order of `named_parameters()`. The model must have
    one of `softcall.base.architectures`; its weights are not read.
    """
    architecture = architecture_of(model)
    with _quiet_exporter(), _attention(model, _ATTENTION), torch.no_grad():
        program = torch.export.export(
            _Trunk(model, architecture), _sample(model.config), dynamic_shapes=_dynamic(model.config)
        )
        traced = torch.onnx.export(
            program, dynamo=True, opset_version=OPSET, optimize=False, verbose=False
        ).model
        parameters = [name for name, _ in model.named_parameters()]
        _forget_weights(traced, parameters)
        _fuse(traced)
    _store_transposed(traced.graph)
    _run_last_rows_alone(traced.graph)
    keep_heads_side_by_side(traced.graph)
    passes.RemoveUnusedNodesPass()(traced)
    _name_inputs_and_outputs(traced.graph, model.config)
    _share_past(traced.graph)
    _name_inside(traced.graph, parameters, architecture)
    _place_weights(traced.graph, parameters)
    return _serialize(traced)


class _Trunk(torch.nn.Module):
    """The exported module. The submodule has its name in the model, so parameters keep their names."""

    def __init__(self, causal_lm: PreTrainedModel, architecture: Architecture):
        super().__init__()
        self._name = architecture.trunk
        self.add_module(self._name, causal_lm.get_submodule(self._name))

    def forward(self, input_ids, prompt_embeds, last_index, past):
        trunk = self.get_submodule(self._name)
        embeds = torch.cat([prompt_embeds, trunk.get_input_embeddings()(input_ids)], dim=1)
        batch, length, hidden_size = embeds.shape
        start = past[0][0].shape[2]
        present = [None] * len(past)
        states = trunk(
            inputs_embeds=embeds,
            # Expanded, because ONNX's RotaryEmbedding requires cos and sin caches of the batch's size.
            position_ids=torch.arange(start, start + length)[None].expand(batch, length),
            use_cache=False,
            trunk_past=past,
            trunk_present=present,
        ).last_hidden_state
        # One Gather over all rows: indexing [row, column] would become GatherND, which breaks CUDA graphs.
        rows = torch.arange(batch) * length + last_index
        return torch.index_select(states.reshape(batch * length, hidden_size), 0, rows), present


def _onnx_attention(module, query, key, value, attention_mask, scaling, dropout=0.0, **trunk):
    """ONNX's Attention, whose `is_causal` is aligned to the bottom right, so a past needs no mask.

    (torch's own `scaled_dot_product_attention` aligns to the top left and cannot express a past.)
    """
    past_key, past_value = trunk["trunk_past"][module.layer_idx]
    output, present_key, present_value, _ = torch.onnx.ops.attention(
        query, key, value, None, past_key, past_value, is_causal=True, scale=scaling
    )
    trunk["trunk_present"][module.layer_idx] = (present_key, present_value)
    return output.transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, _onnx_attention)


@contextlib.contextmanager
def _attention(model: PreTrainedModel, implementation: str) -> Iterator[None]:
    before = model.config._attn_implementation
    model.set_attn_implementation(implementation)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporters' messages about torchvision and about weights without values."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnx_ir", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _sample(config) -> tuple:
    """Return inputs of distinct sizes above 1, because a size of 0 or 1 would become a constant."""
    batch, text, prompt, past = 2, 5, 3, 4

    def key_or_value() -> (
        torch.Tensor
    ):  # a new tensor each time, because torch.export identifies inputs by object
        return torch.zeros(batch, config.num_key_value_heads, past, head_dim(config))

    return (
        torch.zeros(batch, text, dtype=torch.long),
        torch.zeros(batch, prompt, config.hidden_size),
        torch.zeros(batch, dtype=torch.long),
        [(key_or_value(), key_or_value()) for _ in range(config.num_hidden_layers)],
    )


def _dynamic(config) -> tuple:
    size = torch.export.Dim.DYNAMIC
    past = {0: size, 2: size}
    return ({0: size, 1: size}, {0: size, 1: size}, {0: size}, [(past, past)] * config.num_hidden_layers)


def _forget_weights(model: ir.Model, parameters: list[str]) -> None:
    """Remove the weights' values, so that no pass folds, merges or reorders weights by their values."""
    for name in model.graph.initializers.keys() & set(parameters):
        model.graph.initializers[name].const_value = None


def _fuse(model: ir.Model) -> None:
    """Simplify, and fuse RMSNormalization and RotaryEmbedding."""
    onnxscript.optimizer.optimize(model, onnx_shape_inference=False)
    onnxscript.rewriter.onnx_fusions.fuse(model)
    # The fusions repeat cos and sin in every layer.
    passes.CommonSubexpressionEliminationPass()(model)
    passes.RemoveUnusedNodesPass()(model)


def _store_transposed(graph: ir.Graph) -> None:
    """Replace every Transpose of a weight by a transposed weight."""
    for node in list(graph):
        if node.op_type != "Transpose" or not node.inputs[0].is_initializer():
            continue
        weight, product = node.inputs[0], node.outputs[0]
        stored = ir.Value(
            name=weight.name + TRANSPOSED, type=weight.type, shape=ir.Shape(reversed(weight.shape.dims))
        )
        graph.initializers.add(stored)
        product.replace_all_uses_with(stored)
        graph.remove(node, safe=True)
        if not weight.uses():
            del graph.initializers[weight.name]


def _run_last_rows_alone(graph: ir.Graph) -> None:
    """Select the rows at `last_index` right after the last attention, since no others are read."""
    choice = graph.outputs[0].producer()
    joined, index = choice.inputs[0].producer(), choice.inputs[1]
    after = {joined}
    for node in reversed(graph):
        if node.op_type in _BY_ROW and all(user in after for user, _ in node.outputs[0].uses()):
            after.add(node)
    for value in dict.fromkeys(value for node in graph if node in after for value in node.inputs):
        if value.producer() is None or value.producer() in after:
            continue
        width = ir.Value(name=f"width {value.name}", const_value=ir.tensor([-1, value.shape[-1]]))
        graph.initializers.add(width)
        rows = ir.node("Reshape", [value, width])
        chosen = ir.node("Gather", [*rows.outputs, index], {"axis": 0})
        for output in (*rows.outputs, *chosen.outputs):
            output.type, output.shape = value.type, ir.Shape([None, value.shape[-1]])
        for user, position in list(value.uses()):
            if user in after:
                user.replace_input_with(position, chosen.outputs[0])
        graph.extend([rows, chosen])
    graph.outputs[0] = joined.inputs[0]
    flat = joined.inputs[1]
    graph.remove([choice, joined], safe=True)
    if not flat.uses():
        del graph.initializers[flat.name]
    graph.sort()


def _name_inputs_and_outputs(graph: ir.Graph, config) -> None:
    layers, heads, head = config.num_hidden_layers, config.num_key_value_heads, head_dim(config)
    shapes = {
        INPUT_IDS: [BATCH, "text"],
        PROMPT_EMBEDS: [BATCH, "prompt", config.hidden_size],
        LAST_INDEX: [BATCH],
        **{name: ["past_batch", heads, "past", head] for name in past_names(layers)},
        HIDDEN: [BATCH, config.hidden_size],
        **{name: [BATCH, heads, "past + prompt + text", head] for name in present_names(layers)},
    }
    values = [*graph.inputs, *graph.outputs]
    for value, (name, shape) in zip(values, shapes.items(), strict=True):
        value.name, value.shape = name, ir.Shape(shape)


def _share_past(graph: ir.Graph) -> None:
    """Let all rows share a past whose first dimension is 1: expand it to the batch of `input_ids`.

    The expansion is a product with ones, which is faster in ONNX Runtime than Expand; a lone text pays for 60
    of them.
    """
    one = ir.Value(name="one", const_value=ir.tensor(1.0, ir.DataType.FLOAT))
    ones_sizes = ir.Value(name="past_sizes", const_value=ir.tensor([1, 1, 1], ir.DataType.INT64))
    for constant in (one, ones_sizes):
        graph.initializers.add(constant)
    batch = ir.node("Shape", [graph.inputs[0]], {"start": 0, "end": 1})
    shape = ir.node("Concat", [*batch.outputs, ones_sizes], {"axis": 0})
    ones = ir.node("Expand", [one, *shape.outputs])
    products = []
    for past in graph.inputs:
        if past.name.startswith("past_key_values."):
            product = ir.node("Mul", [past, *ones.outputs])
            for attention, index in past.uses():
                if attention.op_type == "Attention":
                    attention.replace_input_with(index, product.outputs[0])
            products.append(product)
    graph.insert_before(graph[0], [batch, shape, ones, *products])


def _name_inside(graph: ir.Graph, parameters: list[str], architecture: Architecture) -> None:
    """Name nodes `<module>/<operator>` and their outputs `<node>:<output>`; number the constants.

    The shapes of inner values have the tracer's dimension names; they get ours, or none.
    """
    used = Counter()
    ends = {*graph.inputs, *graph.outputs}
    for node in graph:
        scopes = ast.literal_eval(node.metadata_props.get("pkg.torch.onnx.name_scopes", "[]"))
        module = next(
            (scope for scope in reversed(scopes[:-1]) if scope.startswith(architecture.trunk)), "trunk"
        )
        name = f"{module}/{node.op_type}"
        node.name = f"{name}_{used[name]}" if used[name] else name
        used[name] += 1
        for index, value in enumerate(node.outputs):
            if value not in ends:
                value.name = f"{node.name}:{index}"
                value.shape, value.type = _sizes(node.op_type, value)
    constants = [v for v in graph.initializers.values() if v.name.removesuffix(TRANSPOSED) not in parameters]
    for number, value in enumerate(constants):
        value.name = f"constant.{number}"


def _sizes(op_type: str, value: ir.Value) -> tuple[ir.Shape | None, ir.TypeProtocol | None]:
    """Return shape and type of a value if inference loses them; ONNX Runtime infers the rest from them.

    Unknown sizes slow down its plan of which buffers share memory, which takes longer than the rest of
    opening.
    """
    leading = {
        ("Gather", 2): [BATCH],
        ("Reshape", 2): [ROWS],
        ("Reshape", 3): [BATCH, LENGTH],
        ("Reshape", 4): [BATCH, LENGTH],
        ("Concat", 3): [BATCH, LENGTH],
    }.get((op_type, len(value.shape or ())))
    if leading is None or value.dtype != ir.DataType.FLOAT:
        return None, None
    return ir.Shape([*leading, *value.shape[len(leading) :]]), value.type


def _place_weights(graph: ir.Graph, parameters: list[str]) -> None:
    """Assign every weight its place in the data file, in the order of `parameters`."""
    offset = 0
    for parameter in parameters:
        for name in (parameter, parameter + TRANSPOSED):
            if (weight := graph.initializers.get(name)) is None:
                continue
            length = int(math.prod(weight.shape) * weight.dtype.itemsize)
            weight.const_value = ir.ExternalTensor(
                DATA_FILE, offset, length, weight.dtype, shape=weight.shape, name=name
            )
            offset += -(-length // DATA_ALIGNMENT_BYTES) * DATA_ALIGNMENT_BYTES


def _serialize(model: ir.Model) -> onnx.ModelProto:
    """Serialize without what differs between machines: stack traces, producer, source paths."""
    passes.ClearMetadataAndDocStringPass()(model)
    model.graph.name = "trunk"
    bare = ir.Model(model.graph, ir_version=model.ir_version, producer_name="softcall")
    bare.opset_imports.update({"": OPSET})
    return ir.serde.serialize_model(bare)
