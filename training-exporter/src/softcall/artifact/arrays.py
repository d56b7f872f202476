"""The arrays of an artifact: their types, shapes and values."""

from typing import Any

import numpy as np

from softcall.artifact.bounds import MAX_PROMPT_TOKENS
from softcall.artifact.metadata import PromptType
from softcall.core.errors import SoftcallError

PROMPT = "prompt_embeddings"  # PEFT's own name
LABEL_HEAD, LABEL_BIAS = "label_head", "label_bias"


def stored_type(prompt_type: PromptType | None, prompt: Any) -> type[np.floating]:
    """Return the type in which a prompt is stored: a KV prompt in float16 stays so, others are float32."""
    halves = prompt_type == PromptType.KV and np.asarray(prompt).dtype == np.float16
    return np.float16 if halves else np.float32


def check_prompt(prompt: np.ndarray) -> None:
    """Raise `SoftcallError` unless `prompt` [tokens, width] is finite and servers accept its length."""
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise SoftcallError(f"{PROMPT} has shape {list(prompt.shape)}; expected [tokens, hidden]")
    if len(prompt) > MAX_PROMPT_TOKENS:
        raise SoftcallError(f"{PROMPT} has {len(prompt)} tokens; at most {MAX_PROMPT_TOKENS} are accepted")
    require_finite(PROMPT, prompt)


def frozen(values: Any, dtype: type[np.floating]) -> np.ndarray:
    """Return a read-only copy."""
    with np.errstate(over="ignore"):  # a value that overflows becomes infinite, which is refused later
        array = np.array(values, dtype=dtype, order="C")
    array.flags.writeable = False
    return array


def require_finite(name: str, tensor: np.ndarray) -> None:
    """Raise `SoftcallError`, which begins with `name`, for a value that is not finite."""
    finite = np.isfinite(tensor)
    if not finite.all():
        element = int(np.argmin(finite))
        raise SoftcallError(
            f"{name} holds {tensor.flat[element]} at element {element}; expected finite values"
        )


def require_shape(name: str, tensor: np.ndarray, expected: tuple[int, ...]) -> None:
    """Raise `SoftcallError`, which begins with `name`, for another shape."""
    if tensor.shape != expected:
        raise SoftcallError(f"{name} has shape {list(tensor.shape)}; expected {list(expected)}")
