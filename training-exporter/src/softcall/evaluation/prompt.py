"""Prompts in PyTorch: what an optimizer changes of them, and how they stand in front of texts."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn
from transformers import Cache, DynamicCache

from softcall.artifact.artifact import Artifact
from softcall.artifact.metadata import PromptType
from softcall.base.identity import KvShape
from softcall.core.errors import SoftcallError


class Behind(NamedTuple):
    """Texts behind a prompt, as a trunk takes them.

    `inputs` [rows, length, hidden] ends with the texts' embeddings. `past` is None, or the keys and values in
    front of each row, [2 * layers, rows, kv_heads, tokens, head_dim]: key 0, value 0, key 1 and so on.
    """

    inputs: Tensor
    past: Tensor | None


class Prompt(nn.Module, ABC):
    """A prompt of `tokens` tokens, whose only parameter is `learnt`, float32.

    Where a method takes `kept`, these are factors of `learnt`'s shape: what was learnt is multiplied by them,
    so that 0 takes a number back to its start (`softcall.training.inputs.prompt_dropout`).
    """

    type: ClassVar[PromptType]
    learnt: nn.Parameter
    tokens: int

    @property
    @abstractmethod
    def form(self) -> Hashable:
        """What prompts must have in common to stand in one run of the trunk."""

    @abstractmethod
    def cache(self, trunk: nn.Module, kept: Tensor | None = None) -> Cache | None:
        """Return the keys and values of one row, with gradients; None without tokens."""

    @abstractmethod
    def in_front_of(self, embedded: Tensor, kept: Tensor | None = None) -> Behind:
        """Return texts [rows, text, hidden] behind this prompt, in their precision and with gradients."""

    @abstractmethod
    def array(self) -> np.ndarray:
        """Return the prompt as an artifact stores it; raise `SoftcallError` if it cannot."""

    @abstractmethod
    def stored(self) -> Self:
        """Return the prompt that is read from an artifact with this one, on the same device."""

    @property
    @abstractmethod
    def norm(self) -> float:
        """The mean Euclidean norm of a token's numbers."""


class SoftPrompt(Prompt):
    """Vectors below the first layer (Lester et al. 2021): `learnt` [tokens, hidden] are these themselves."""

    type = PromptType.SOFT

    def __init__(self, vectors: np.ndarray) -> None:
        """Start from a copy of `vectors` [tokens, hidden]."""
        super().__init__()
        self.learnt = nn.Parameter(torch.tensor(vectors, dtype=torch.float32))
        self.register_buffer("start", self.learnt.detach().clone(), persistent=False)
        self.tokens = len(vectors)

    @property
    def form(self) -> Hashable:
        """Soft prompts of any length can share a run."""
        return self.type

    def cache(self, trunk: nn.Module, kept: Tensor | None = None) -> Cache | None:
        """Return what the trunk computes of the vectors."""
        if not self.tokens:
            return None
        vectors = self._vectors(kept).to(trunk.get_input_embeddings().weight.dtype)
        return trunk(inputs_embeds=vectors[None], use_cache=True).past_key_values

    def in_front_of(self, embedded: Tensor, kept: Tensor | None = None) -> Behind:
        """Return the vectors and the texts, one after the other."""
        vectors = self._vectors(kept).to(embedded.dtype).expand(len(embedded), -1, -1)
        return Behind(torch.cat([vectors, embedded], dim=1), None)

    def array(self) -> np.ndarray:
        """Return the vectors, float32 [tokens, hidden]."""
        return self.learnt.detach().cpu().numpy().copy()

    def stored(self) -> Self:
        """Return a copy: the vectors are stored as they are."""
        return type(self)(self.array()).to(self.learnt.device)

    @property
    def norm(self) -> float:
        """The mean norm of the vectors."""
        return self.learnt.detach().norm(dim=1).mean().item()

    def _vectors(self, kept: Tensor | None) -> Tensor:
        return self.learnt if kept is None else self.start + (self.learnt - self.start) * kept


class KvPrompt(Prompt):
    """Keys and values of every layer (Li and Liang 2021), without a network in front of them.

    They are `start + scale * learnt`, each [2 * layers, kv_heads, tokens, head_dim] (key 0, value 0, key 1
    and so on). `learnt` begins at 0. `scale` is the standard deviation of the start's numbers in the same
    layer, half (keys or values) and head, because these differ a hundredfold, and one learning rate shall
    suit all of them. So weight decay pulls towards the start.
    """

    type = PromptType.KV

    def __init__(self, start: np.ndarray) -> None:
        """Start from keys and values [2 * layers, kv_heads, tokens, head_dim] at the first positions."""
        super().__init__()
        begin = torch.tensor(start, dtype=torch.float32)
        deviation = begin.std(dim=(2, 3), correction=0, keepdim=True)
        self.register_buffer("start", begin, persistent=False)
        self.register_buffer("scale", torch.where(deviation > 0, deviation, 1.0), persistent=False)
        self.learnt = nn.Parameter(torch.zeros_like(begin))
        self.tokens = begin.shape[2]

    @classmethod
    def of(cls, prompt: np.ndarray, kv: KvShape) -> Self:
        """Start from an artifact's KV prompt [tokens, width]."""
        return cls(np.concatenate(kv.prefix(prompt)))

    @classmethod
    def encoded(cls, vectors: np.ndarray, trunk: nn.Module) -> Self:
        """Start from what a float32 trunk computes of `vectors` [tokens, hidden]; on the trunk's device."""
        with torch.no_grad():
            cache = SoftPrompt(vectors).to(trunk.device).cache(trunk)
            halves = [half for key, value, *_ in cache for half in (key, value)]
            return cls(torch.cat(halves).cpu().numpy()).to(trunk.device)

    @property
    def form(self) -> Hashable:
        """KV prompts of one length can share a run: their texts begin at one position."""
        return self.type, self.tokens

    def cache(self, trunk: nn.Module, kept: Tensor | None = None) -> Cache | None:
        """Return the keys and values themselves."""
        halves = self._values(kept).to(trunk.get_input_embeddings().weight.dtype)[:, None].unbind()
        return DynamicCache(list(zip(halves[::2], halves[1::2], strict=True)))

    def in_front_of(self, embedded: Tensor, kept: Tensor | None = None) -> Behind:
        """Return the texts alone, and the same keys and values for each of them."""
        halves = self._values(kept).to(embedded.dtype)[:, None]
        return Behind(embedded, halves.expand(-1, len(embedded), -1, -1, -1))

    def array(self) -> np.ndarray:
        """Return the prompt in PEFT's order, float16 [tokens, width]; refuse what float16 cannot hold."""
        halves = self._values(None).detach().cpu().numpy()
        largest = np.abs(halves).max(axis=(1, 2, 3))
        limit = float(np.finfo(np.float16).max)
        if not (worst := largest.max()) <= limit:
            layer, is_value = divmod(int(largest.argmax()), 2)
            raise SoftcallError(
                f"the KV prompt's {'values' if is_value else 'keys'} of layer {layer} reach {worst:.3g};"
                f" artifacts store them in float16, which ends at {limit:,.0f}. Try a lower --learning-rate"
                " or a higher --weight-decay"
            )
        return self._shape.prompt(list(halves[:, None])).astype(np.float16)

    def stored(self) -> Self:
        """Return the prompt with its numbers rounded to float16."""
        return self.of(self.array(), self._shape).to(self.learnt.device)

    @property
    def norm(self) -> float:
        """The mean norm of a token's keys and values."""
        return torch.linalg.vector_norm(self._values(None).detach(), dim=(0, 1, 3)).mean().item()

    @property
    def _shape(self) -> KvShape:
        halves, kv_heads, _, head_dim = self.start.shape
        return KvShape(halves // 2, kv_heads, head_dim)

    def _values(self, kept: Tensor | None) -> Tensor:
        return self.start + self.scale * (self.learnt if kept is None else self.learnt * kept)


def prompt_of(artifact: Artifact, kv: KvShape) -> Prompt:
    """Return the prompt of an artifact, for a base with these keys and values."""
    if artifact.prompt_type == PromptType.KV:
        return KvPrompt.of(artifact.prompt, kv)
    return SoftPrompt(artifact.prompt)
