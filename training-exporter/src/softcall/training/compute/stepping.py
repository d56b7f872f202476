"""The trunk of training steps: in the configured precision, compiled, or replayed by CUDA graphs."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

from softcall.base.architectures import architecture_of
from softcall.training.compute.cuda_graphs import GraphedTrunk
from softcall.training.settings.config import Precision, TrainConfig

_ATTENTION = "softcall_causal"


def stepping_trunk(trunk: nn.Module, config: TrainConfig, *, own: bool = False) -> nn.Module:
    """Return a substitute for `trunk` with the same values and gradients, to rounding.

    A frozen trunk is copied before it is changed. A trunk of the learner's `own`, whose weights are trained,
    is not copied.
    """
    if not own and (config.dtype == Precision.BFLOAT16 or config.compiled):
        trunk = copy.deepcopy(trunk)
        if config.dtype == Precision.BFLOAT16:
            trunk = trunk.to(torch.bfloat16)
    if config.compiled or trunk.device.type == "cuda":
        trunk.set_attn_implementation(_ATTENTION)
    if config.compiled:
        # One layer is compiled; the others are called alike.
        for layer in architecture_of(trunk).layers_of(trunk):
            layer.compile(dynamic=True)
    if config.gradient_checkpointing:
        return _checkpointed(trunk)
    return GraphedTrunk(trunk) if trunk.device.type == "cuda" else trunk


def _checkpointed(trunk: nn.Module) -> nn.Module:
    """Return a copy, with shared parameters, that recomputes activations in the backward pass."""
    trunk = copy.deepcopy(trunk, {id(parameter): parameter for parameter in trunk.parameters()})
    trunk.gradient_checkpointing_enable({"use_reentrant": False})
    for layer in architecture_of(trunk).layers_of(trunk):
        layer.training = True  # transformers requires it; the layer has no dropout
    return trunk


def _causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention without a mask, which transformers would build while a graph is captured.

    Only rows behind a prompt's keys and values, which are fewer than the keys, need a mask.
    """
    rows, keys = query.shape[2], key.shape[2]
    behind = None
    if rows < keys:
        behind = torch.ones(rows, keys, dtype=torch.bool, device=query.device).tril(keys - rows)
    attended = functional.scaled_dot_product_attention(
        query, key, value, behind, is_causal=behind is None, scale=scaling, enable_gqa=True
    )
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, _causal_attention)
