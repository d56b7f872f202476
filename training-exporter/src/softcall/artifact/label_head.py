"""Label heads from verbalizers: rows of the language model's own output embedding."""

from collections.abc import Callable, Sequence

import numpy as np
from tokenizers import Tokenizer

from softcall.core.errors import SoftcallError


def default_verbalizer(label: str) -> str:
    """Return the words of a label that has no verbalizer: " card arrival" for `card_arrival`."""
    return " " + label.replace("_", " ")


def verbalizer_head(
    rows: Callable[[Sequence[int]], np.ndarray], tokenizer: Tokenizer, verbalizers: Sequence[str]
) -> np.ndarray:
    """Return a label head, float32 [labels, hidden]: row *i* is the mean output embedding of verbalizer *i*.

    For a verbalizer of one token, the label's logit equals the token's logit in the language model. `rows`
    returns output-embedding rows [n, hidden] for n token ids. Raises `SoftcallError` for a verbalizer without
    tokens, and for two verbalizers with the same tokens, because no input could distinguish their labels.
    """
    seen: dict[tuple[int, ...], str] = {}
    head = []
    for verbalizer in verbalizers:
        ids = tuple(tokenizer.encode(verbalizer, add_special_tokens=False).ids)
        if not ids:
            raise SoftcallError(f"the verbalizer {verbalizer!r} has no tokens; expected a word or a phrase")
        if ids in seen:
            raise SoftcallError(
                f"the verbalizers {seen[ids]!r} and {verbalizer!r} are the same tokens; expected others"
            )
        seen[ids] = verbalizer
        head.append(np.asarray(rows(ids), np.float32).mean(axis=0, dtype=np.float64))
    return np.stack(head).astype(np.float32)
