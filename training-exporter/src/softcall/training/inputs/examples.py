"""Examples: rows as the model sees them, which is as token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from softcall.artifact.template import Template
from softcall.base.source import LoadedBase
from softcall.datasets.rows import Row


@dataclass(frozen=True)
class Examples:
    """Rows as the model sees them: token ids of the filled template, and the index of the label.

    `cut` counts rows that were longer than the limit.
    """

    ids: list[list[int]]
    answers: np.ndarray  # int64 [rows]
    cut: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(ids) for ids in self.ids]

    def part(self, rows: np.ndarray) -> Self:
        """Some of the rows, by their indices; `cut` is not counted."""
        return type(self)([self.ids[i] for i in rows], self.answers[rows], 0)


def encode(
    rows: Sequence[Row], labels: tuple[str, ...], template: Template, base: LoadedBase, limit: int
) -> Examples:
    """Token ids of each row, at most `limit`: the text is cut where need be, the template never."""
    index = {label: i for i, label in enumerate(labels)}
    whole = partial(template.encode, base.tokenizer)
    ids, cut = [], 0
    for row in rows:
        tokens = whole(row.texts)
        if len(tokens) > limit:
            tokens = whole(row.texts, limit, truncate=True)
            cut += 1
        ids.append(tokens)
    return Examples(ids, np.array([index[row.label] for row in rows], np.int64), cut)
