"""A context: a text whose own keys and values stand in front of every text of a task, without training."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from softcall.artifact.bounds import MAX_PROMPT_TOKENS
from softcall.artifact.metadata import PromptType
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import tell
from softcall.prompt_formats.prompt import Prompt

if TYPE_CHECKING:
    from softcall.base.bundle import Bundle

MAX_BYTES = 1 << 20


def read_context(path: Path, bundle: "Bundle") -> Prompt:
    """Return the KV prompt of a UTF-8 text, as it stands: instructions, examples, a document.

    The full-precision trunk computes it, in float16 unless a value is too large for that. Raises
    `SoftcallError` for what is no text, for no tokens, and for more than servers accept or the base has
    positions for.
    """
    data = read_bounded(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        other = tell(data) or f"not UTF-8 (byte {error.start})"
        raise SoftcallError(f"{path}: it is {other}; expected a text") from None
    ids = bundle.tokenizer().encode(text, add_special_tokens=False).ids
    most = min(MAX_PROMPT_TOKENS, bundle.max_position_embeddings - 1)
    if not 1 <= len(ids) <= most:
        raise SoftcallError(f"{path}: has {len(ids)} tokens as a context; expected 1 to {most}")
    vectors = bundle.identity.kv.prompt(bundle.trunk().read(ids))
    if np.abs(vectors).max() <= np.finfo(np.float16).max:
        vectors = vectors.astype(np.float16)
    return Prompt(vectors, "a context", PromptType.KV)
