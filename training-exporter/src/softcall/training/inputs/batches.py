"""Batches of rows of similar length, as a pure function of seed and step."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from softcall.training.inputs.token_dropout import TokenDropout

# Rows are sorted by length within this many batches: enough to pad little, and few enough to mix rows.
POOL_BATCHES = 32


class Batch(NamedTuple):
    """The rows of a step (from 0): their indices, int64 [rows], and their token ids."""

    step: int
    rows: np.ndarray
    ids: list[list[int]]

    @property
    def longest(self) -> int:
        """The number of tokens of the longest row."""
        return max(map(len, self.ids))

    def part(self, of: slice) -> Self:
        """Return some of the rows."""
        return self._replace(rows=self.rows[of], ids=self.ids[of])


class TrainBatches:
    """The batches of one seed, with token dropout."""

    def __init__(self, ids: list[list[int]], batch_size: int, token_dropout: float, seed: int) -> None:
        """`ids` are the rows' token ids; the last batch of an epoch may have fewer rows than `batch_size`."""
        self._buckets = LengthBuckets([*map(len, ids)], batch_size, seed)
        self._dropout = TokenDropout(ids, token_dropout, seed)

    def batch(self, step: int) -> Batch:
        """Return the batch of `step` (from 0)."""
        rows = self._buckets.batch(step)
        return Batch(step, rows, self._dropout.ids(rows, step))


class LengthBuckets:
    """Chooses the rows of each step.

    Every epoch visits each row once: the rows are shuffled, pools of `POOL_BATCHES` batches are sorted by
    length and cut into batches, and the batches are shuffled. No state is carried from step to step, so a
    resumed run sees the same batches as an uninterrupted one.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        """`lengths` [rows] in tokens; a batch has `batch_size` rows, an epoch's last may have fewer."""
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = -1
        self._batches: list[np.ndarray] = []

    @property
    def batches_per_epoch(self) -> int:
        """The number of steps in which every row is visited once."""
        return -(-len(self._lengths) // self._batch_size)

    def batch(self, step: int) -> np.ndarray:
        """Return the indices of the rows of `step` (from 0)."""
        epoch, index = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._batches = epoch, self._shuffle(epoch)
        return self._batches[index]

    def _shuffle(self, epoch: int) -> list[np.ndarray]:
        generator = np.random.default_rng((self._seed, epoch))
        order = generator.permutation(len(self._lengths))
        pool = self._batch_size * POOL_BATCHES
        batches = []
        for start in range(0, len(order), pool):
            rows = order[start : start + pool]
            rows = rows[np.argsort(self._lengths[rows], kind="stable")]
            batches += [rows[i : i + self._batch_size] for i in range(0, len(rows), self._batch_size)]
        return [batches[i] for i in generator.permutation(len(batches))]
