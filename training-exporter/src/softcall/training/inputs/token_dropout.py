"""Token dropout: what is trained on lacks other tokens each time, so that no token is learnt by heart.

Word dropout (Iyyer et al. 2015, "Deep Unordered Composition Rivals Syntactic Methods"), on tokens.
"""

from collections.abc import Sequence

import numpy as np


class TokenDropout:
    """Leaves out a share of each row's tokens, as a pure function of seed and step."""

    def __init__(self, ids: list[list[int]], share: float, seed: int) -> None:
        """`ids` are the token ids of each row. How all of them end, which is the template, stays."""
        self._ids, self._share, self._seed = ids, share, seed
        self._ending = _common_ending(ids)

    def ids(self, rows: np.ndarray, step: int) -> list[list[int]]:
        """The token ids of `rows` in `step`, at least the ending's and one more where there is one."""
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
    """How many ids all rows share at their ends."""
    first = rows[0]
    shared = min(map(len, rows))
    for row in rows:
        while first[len(first) - shared :] != row[len(row) - shared :]:
            shared -= 1
    return shared
