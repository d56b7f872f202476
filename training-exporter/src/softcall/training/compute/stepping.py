"""The trunk of training steps: in the configured precision, compiled, or replayed by CUDA graphs."""

import copy

import torch
from torch import nn

from softcall.base.architectures import architecture_of
from softcall.training.compute.cuda_graphs import GraphedTrunk
from softcall.training.compute.prefixed_trunk import ATTENTION, PrefixedTrunk
from softcall.training.settings.config import Precision, TrainConfig


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
        trunk.set_attn_implementation(ATTENTION)
    if config.compiled:
        # One layer is compiled; the others are called alike.
        for layer in architecture_of(trunk).layers_of(trunk):
            layer.compile(dynamic=True)
    if config.gradient_checkpointing:
        return PrefixedTrunk(_checkpointed(trunk))
    if trunk.device.type == "cuda":
        return GraphedTrunk(PrefixedTrunk(trunk))
    return PrefixedTrunk(trunk) if config.compiled else trunk


def _checkpointed(trunk: nn.Module) -> nn.Module:
    """Return a copy, with shared parameters, that recomputes activations in the backward pass."""
    trunk = copy.deepcopy(trunk, {id(parameter): parameter for parameter in trunk.parameters()})
    trunk.set_attn_implementation(ATTENTION)
    trunk.gradient_checkpointing_enable({"use_reentrant": False})
    for layer in architecture_of(trunk).layers_of(trunk):
        layer.training = True  # transformers requires it; the layer has no dropout
    return trunk
