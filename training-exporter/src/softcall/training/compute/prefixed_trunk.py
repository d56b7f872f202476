"""A trunk that hands each layer its keys and values as tensors, so that layers need no cache."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AttentionInterface
from transformers.modeling_outputs import BaseModelOutputWithPast

from softcall.base.architectures import architecture_of

ATTENTION = "softcall_causal"
"""The attention that the wrapped trunk's configuration must name."""


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

    def forward(self, inputs_embeds: Tensor, *, use_cache: bool = False) -> BaseModelOutputWithPast:
        """Return the trunk's `last_hidden_state` [rows, length, hidden] for `inputs_embeds` of that shape."""
        return self.trunk(inputs_embeds=inputs_embeds, use_cache=use_cache)

    def behind(self, past: Tensor, inputs_embeds: Tensor) -> Tensor:
        """Return the last hidden states [rows, length, hidden] of `inputs_embeds` behind keys and values.

        `past` [2 * layers, rows, kv_heads, tokens, head_dim] holds key 0, value 0, key 1 and so on. The
        position of the first embedding is `tokens`.
        """
        architecture = architecture_of(self.trunk)
        first, length = past.shape[3], inputs_embeds.shape[1]
        positions = torch.arange(first, first + length, device=inputs_embeds.device)[None]
        rotation = architecture.rotation_of(self.trunk)(inputs_embeds, position_ids=positions)
        halves, hidden = past.unbind(), inputs_embeds
        for layer, *prefix in zip(architecture.layers_of(self.trunk), halves[::2], halves[1::2], strict=True):
            hidden = layer(hidden, position_embeddings=rotation, prefix=prefix)
        return architecture.norm_of(self.trunk)(hidden)


def _causal_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: None,
    scaling: float | None = None,
    prefix: list[Tensor] | None = None,
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
