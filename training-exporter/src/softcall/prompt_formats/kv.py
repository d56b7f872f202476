"""Prefix tuning (Li and Liang 2021) and cartridges (Eyuboglu et al. 2025): keys and values of every layer."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from softcall.artifact.arrays import PROMPT
from softcall.core.errors import SoftcallError
from softcall.prompt_formats.tensor_file import Tensors, bare, shown

_EMBEDDING = "embedding.weight"
_PROJECTION = ("transform.0.weight", "transform.0.bias", "transform.2.weight", "transform.2.bias")
_CARTRIDGE = ("frozen_embedding", "trainable_embedding")


def compose(tensors: Tensors, config: Mapping[str, Any], task_id: int | None) -> tuple[np.ndarray, dict]:
    """Return the KV prompt [tokens, width]: the stored one, or the output of the stored encoder.

    PEFT's `save_pretrained` has run the encoder already and stores its output, `prompt_embeddings`. A
    training run (`model.prompt_encoder.state_dict()`) stores the encoder itself: `embedding.weight`, with
    `transform.*` if there is a projection; or a cartridge's `frozen_embedding` and `trainable_embedding`.
    """
    names = {bare(name): name for name in tensors.names}
    if set(names) == {PROMPT}:
        return tensors.floats(PROMPT), {}
    found = {name: tensors.floats(stored) for name, stored in names.items()}
    if set(found) == {_EMBEDDING}:
        return found[_EMBEDDING], {}
    if set(found) == {_EMBEDDING, *_PROJECTION}:
        return _projected(found), {"prompt_encoder": "projection"}
    if _CARTRIDGE[1] in found and not set(found) - set(_CARTRIDGE):
        parts = [found[name] for name in _CARTRIDGE if name in found]
        if len({part.shape[1:] for part in parts}) != 1 or parts[0].ndim != 2:
            raise SoftcallError(
                f"its cartridge has the shapes {[list(part.shape) for part in parts]}; expected one width"
            )
        return np.concatenate(parts), {"prompt_encoder": "cartridge"}
    raise SoftcallError(
        f"holds the tensors {shown(tensors.names)}; expected {PROMPT} alone, or a prompt encoder's"
        f" {_EMBEDDING} and {', '.join(_PROJECTION)}, or a cartridge's {' and '.join(_CARTRIDGE)}"
    )


def _projected(weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return `Linear(tanh(Linear(embedding)))`, PEFT's projection; it has no other activation."""
    embedding, first, first_bias, second, second_bias = (
        weights[name].astype(np.float32) for name in (_EMBEDDING, *_PROJECTION)
    )
    fits = embedding.ndim == first.ndim == second.ndim == 2
    fits = fits and embedding.shape[1] == first.shape[1] and first_bias.shape == first.shape[:1]
    fits = fits and second.shape[1] == first.shape[0] and second_bias.shape == second.shape[:1]
    if not fits:
        shapes = ", ".join(f"{name} {list(weight.shape)}" for name, weight in weights.items())
        raise SoftcallError(f"its projection's tensors do not fit each other: {shapes}")
    return np.tanh(embedding @ first.T + first_bias) @ second.T + second_bias
