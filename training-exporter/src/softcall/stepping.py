"""What takes the steps of training in place of a trunk: in its precision, compiled, and by CUDA graphs."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface

from softcall.cuda_graphs import GraphedTrunk
from softcall.train_config import Precision, TrainConfig

_ATTENTION = "softcall_causal"


def stepping_trunk(trunk: nn.Module, config: TrainConfig, *, own: bool = False) -> nn.Module:
    """A stand-in for `trunk` with the same values and gradients, to rounding.

    A frozen trunk is copied where the copy differs; one of the learner's `own`, whose weights learn, is not.
    """
    if not own and (config.dtype == Precision.BFLOAT16 or config.compiled):
        trunk = copy.deepcopy(trunk)
        if config.dtype == Precision.BFLOAT16:
            trunk = trunk.to(torch.bfloat16)
    if config.compiled or trunk.device.type == "cuda":
        trunk.set_attn_implementation(_ATTENTION)
    if config.compiled:
        for layer in trunk.layers:  # one layer is compiled; the others are called alike
            layer.compile(dynamic=True)
    return GraphedTrunk(trunk) if trunk.device.type == "cuda" else trunk


def _causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention without a mask, which transformers builds in full while a graph is captured."""
    attended = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, enable_gqa=True
    )
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(_ATTENTION, _causal_attention)
