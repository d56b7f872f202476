"""Token dropout: each step omits other tokens of a text, so that no token is memorised.

Word dropout (Iyyer et al. 2015, "Deep Unordered Composition Rivals Syntactic Methods"), applied to tokens.
"""

from collections.abc import Sequence

import numpy as np


class TokenDropout:
    """Omits a share of each row's tokens, as a pure function of seed and step."""

    def __init__(self, ids: list[list[int]], share: float, seed: int) -> None:
        """`ids` are the rows' token ids. Their common ending, which is the template, is kept."""
        self._ids, self._share, self._seed = ids, share, seed
        self._ending = _common_ending(ids)

    def ids(self, rows: np.ndarray, step: int) -> list[list[int]]:
        """Return the token ids of `rows` in `step`: the ending, and at least one more token of a text."""
        whole = [self._ids[row] for row in rows]
        if not self._share:
            return whole
        generator = np.random.default_rng((self._seed, step))
        return [self._shortened(row, generator.random(len(row))) for row in whole]

    def _shortened(self, row: list[int], drawn: np.ndarray) -> list[int]:
        text = len(row) - self._ending
        kept = np.flatnonzero(drawn[:text] >= self._share)
        if not len(kept) and text:
            kept = [int(drawn[:text].argmax())]
        return [row[i] for i in kept] + row[text:]


def _common_ending(rows: Sequence[Sequence[int]]) -> int:
    """Return how many ids all rows share at their ends."""
    first = rows[0]
    shared = min(map(len, rows))
    for row in rows:
        while first[len(first) - shared :] != row[len(row) - shared :]:
            shared -= 1
    return shared
