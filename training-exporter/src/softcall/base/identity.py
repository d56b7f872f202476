"""What a prompt must fit: the name, the weights and the sizes of a base."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from softcall.base.trunk import Prefix
from softcall.core.errors import SoftcallError


@dataclass(frozen=True)
class KvShape:
    """The sizes of a base's keys and values: layers, key-value heads of each, and dimensions of each head."""

    layers: int
    kv_heads: int
    head_dim: int

    @property
    def width(self) -> int:
        """How many numbers a token of a KV prompt has."""
        return 2 * self.layers * self.kv_heads * self.head_dim

    @classmethod
    def of_config(cls, config: Any) -> "KvShape":
        """Return the sizes of a transformers configuration."""
        return cls(config.num_hidden_layers, config.num_key_value_heads, head_dim(config))

    def prefix(self, prompt: np.ndarray) -> Prefix:
        """Return the keys and values of a KV prompt [tokens, width], as the trunk takes them."""
        parts = np.asarray(prompt, np.float32).reshape(
            len(prompt), 2 * self.layers, self.kv_heads, self.head_dim
        )
        return list(parts.transpose(1, 2, 0, 3)[:, None])

    def prompt(self, prefix: Prefix) -> np.ndarray:
        """Return the KV prompt [tokens, width] of keys and values, each [1, kv_heads, tokens, head_dim]."""
        return np.concatenate(prefix).transpose(2, 0, 1, 3).reshape(-1, self.width)

    def require_width(self, width: int, what: str) -> None:
        """Raise `SoftcallError`, which begins with `what`, unless a KV prompt of this width fits."""
        if width == self.width:
            return
        reason = ""
        if width % (2 * self.layers * self.head_dim) == 0:
            reason = f"; in {self.layers} layers it has {width // (2 * self.layers * self.head_dim)} heads"
        elif width % (2 * self.kv_heads * self.head_dim) == 0:
            reason = f"; it has {width // (2 * self.kv_heads * self.head_dim)} layers"
        raise SoftcallError(
            f"{what} has {width} numbers a token, and the base takes {self.width}: a key and a value of"
            f" {self.layers} layers, {self.kv_heads} heads each, of {self.head_dim} numbers{reason}"
        )


@dataclass(frozen=True)
class BaseIdentity:
    """The name and fingerprint of a base, and the sizes that prompts have for it."""

    name: str
    fingerprint: str
    hidden_size: int
    kv: KvShape
    positions: int


def head_dim(config: Any) -> int:
    """Return the size of one attention head; Qwen2's configuration leaves it to be computed."""
    return getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
