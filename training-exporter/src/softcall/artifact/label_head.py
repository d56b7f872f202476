"""Label heads from verbalizers: the rows that the language model itself would score a label's words with."""

from collections.abc import Callable, Sequence

import numpy as np
from tokenizers import Tokenizer

from softcall.core.errors import SoftcallError


def default_verbalizer(label: str) -> str:
    """What stands for a label unless told otherwise: `card_arrival` is read as " card arrival"."""
    return " " + label.replace("_", " ")


def verbalizer_head(
    rows: Callable[[Sequence[int]], np.ndarray], tokenizer: Tokenizer, verbalizers: Sequence[str]
) -> np.ndarray:
    """A label head, float32 [labels, hidden]: row *i* is the mean output embedding of verbalizer *i*.

    For a verbalizer of one token the label's logit is exactly that token's logit in the language model.
    `rows` gives output-embedding rows [n, hidden] for n token ids. `SoftcallError` for a verbalizer without
    tokens, and for two verbalizers of the same tokens, since no input could tell their labels apart.
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
