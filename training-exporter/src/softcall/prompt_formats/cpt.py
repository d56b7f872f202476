"""Context-aware prompt tuning (Blau et al. 2024): embeddings of examples with bounded learned changes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from softcall.artifact.arrays import PROMPT
from softcall.core.errors import SoftcallError
from softcall.prompt_formats.tensor_file import Tensors, bare, shown

_EMBEDDING, _DELTA = "embedding.weight", "delta_embedding.weight"
_SMALLEST = 1e-10  # the bound on changes of tokens that may not change
_NORMAL_WIDTH = 2048  # the width to which the configuration's bounds refer


def compose(tensors: Tensors, config: Mapping[str, Any], task_id: int | None) -> tuple[np.ndarray, dict]:
    """Return the prompt [tokens, hidden]: the stored one, or the sum of a training run's two embeddings.

    PEFT bounds the norm of each token's change when it computes a prompt, by the type of the token
    (`cpt_tokens_type_mask`, `opt_projection_epsilon`, `opt_projection_format_epsilon`). A stored
    `prompt_embeddings` is such a sum already.
    """
    names = {bare(name): name for name in tensors.names}
    if set(names) == {PROMPT}:
        return tensors.floats(PROMPT), {}
    if set(names) != {_EMBEDDING, _DELTA}:
        raise SoftcallError(
            f"holds the tensors {shown(tensors.names)}; expected {PROMPT} alone, or a prompt encoder's"
            f" {_EMBEDDING} and {_DELTA}"
        )
    embedding, delta = (tensors.floats(names[name]).astype(np.float32) for name in (_EMBEDDING, _DELTA))
    if embedding.ndim != 2 or embedding.shape != delta.shape:
        raise SoftcallError(
            f"{_EMBEDDING} has shape {list(embedding.shape)}, {_DELTA} {list(delta.shape)};"
            " expected [tokens, hidden] of both"
        )
    bounds = _bounds(config, *embedding.shape)
    norms = np.linalg.norm(delta, axis=1)
    changed = norms > 0
    delta[changed] *= (bounds[changed] / np.maximum(norms[changed], bounds[changed]))[:, None]
    return embedding + delta, {"prompt_encoder": "CPT"}


def _bounds(config: Mapping[str, Any], tokens: int, hidden: int) -> np.ndarray:
    """Return the largest norm of each token's change, float32 [tokens]."""
    types = config.get("cpt_tokens_type_mask")
    if not isinstance(types, list) or len(types) != tokens or not all(type(kind) is int for kind in types):
        raise SoftcallError(
            f"cpt_tokens_type_mask of its configuration is {str(types)[:80]}; expected {tokens} numbers"
        )
    scale = (hidden / _NORMAL_WIDTH) ** 0.5
    epsilons = {}
    for name in ("opt_projection_epsilon", "opt_projection_format_epsilon"):
        value = config.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise SoftcallError(f"{name} of its configuration is {value!r}; expected a number")
        epsilons[name] = value * scale
    by_kind = {
        1: epsilons["opt_projection_format_epsilon"],
        2: epsilons["opt_projection_epsilon"],
        3: epsilons["opt_projection_format_epsilon"],
    }
    return np.array(
        [by_kind.get(kind % 4, _SMALLEST) if kind > 0 else _SMALLEST for kind in types], np.float32
    )
