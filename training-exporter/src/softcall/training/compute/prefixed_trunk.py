"""A trunk that hands each layer its keys and values as tensors, so that layers need no cache."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.modeling_outputs import BaseModelOutputWithPast

from softcall.base.architectures import architecture_of

ATTENTION = "softcall_causal"
"""The attention that the wrapped trunk's configuration must name."""

KeysAndValues = Iterable[tuple[Tensor, ...]]
"""Key and value of each layer, [rows, kv_heads, past, head_dim], as transformers' caches yield them."""


class PrefixedTrunk(nn.Module):
    """A trunk with the same values and gradients, whose layers can be compiled, captured and checkpointed.

    Transformers' layers read a cache by their number. So each of them would be compiled by itself, a
    captured graph would have no inputs for gradients, and checkpointed layers would run without the cache.
    """

    def __init__(self, trunk: nn.Module) -> None:
        """`trunk` computes with `ATTENTION`; its weights are not copied."""
        super().__init__()
        self.trunk = trunk

    def get_input_embeddings(self) -> nn.Module:
        """Return the trunk's input embedding."""
        return self.trunk.get_input_embeddings()

    def forward(
        self, inputs_embeds: Tensor, past_key_values: KeysAndValues | None = None, *, use_cache: bool = False
    ) -> BaseModelOutputWithPast:
        """Return the trunk's `last_hidden_state` [rows, length, hidden] for `inputs_embeds` of that shape.

        `past_key_values` is only read, whatever `use_cache` says; texts begin at the position behind it.
        """
        if past_key_values is None:
            return self.trunk(inputs_embeds=inputs_embeds, use_cache=False)
        pairs = [pair[:2] for pair in past_key_values]
        architecture = architecture_of(self.trunk)
        first = pairs[0][0].shape[2]
        positions = torch.arange(first, first + inputs_embeds.shape[1], device=inputs_embeds.device)[None]
        rotation = architecture.rotation_of(self.trunk)(inputs_embeds, position_ids=positions)
        hidden = inputs_embeds
        for layer, pair in zip(architecture.layers_of(self.trunk), pairs, strict=True):
            hidden = layer(hidden, position_embeddings=rotation, prefix=pair)
        return BaseModelOutputWithPast(last_hidden_state=architecture.norm_of(self.trunk)(hidden))


def _causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    scaling: float | None = None,
    prefix: tuple[Tensor, Tensor] | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention, perhaps behind the key and value of a `prefix`, without a mask.

    Transformers would build a mask while a graph is captured, and the fast kernels take none. Rows behind
    keys of a prefix or a cache get queries of zeros for these: the triangle is square then, and their
    answers are dropped.
    """
    if prefix is not None:
        key, value = torch.cat([prefix[0], key], dim=2), torch.cat([prefix[1], value], dim=2)
    behind = key.shape[2] - query.shape[2]
    if behind:
        query = functional.pad(query, (0, 0, behind, 0))
    attended = functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, enable_gqa=True
    )
    return attended[:, :, behind:].transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, _causal_attention)
