"""Examples: rows as token ids, which are the model's inputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import numpy as np

from softcall.artifact.metadata import Kind
from softcall.artifact.template import Template
from softcall.base.source import LoadedBase
from softcall.datasets.label_matrix import label_matrix
from softcall.datasets.rows import Row


@dataclass(frozen=True)
class Examples:
    """Rows as the model's inputs: token ids of the filled template, and their answers.

    `answers` are the indices of the labels, int64 [rows], or which labels each row has, bool [rows, labels].
    `cut` counts rows that were longer than the limit.
    """

    ids: list[list[int]]
    answers: np.ndarray
    cut: int

    @property
    def lengths(self) -> list[int]:
        """The number of tokens of each row."""
        return [len(ids) for ids in self.ids]

    def part(self, rows: np.ndarray) -> Self:
        """Return the rows with these indices; their `cut` is 0."""
        return type(self)([self.ids[i] for i in rows], self.answers[rows], 0)


def encode(
    rows: Sequence[Row], labels: tuple[str, ...], template: Template, base: LoadedBase, limit: int
) -> Examples:
    """Return the token ids of each row, at most `limit`: longer texts are cut, the template never is."""
    whole = partial(template.encode, base.tokenizer)
    ids, cut = [], 0
    for row in rows:
        tokens = whole(row.texts)
        if len(tokens) > limit:
            tokens = whole(row.texts, limit, truncate=True)
            cut += 1
        ids.append(tokens)
    return Examples(ids, _answers(rows, labels), cut)


def _answers(rows: Sequence[Row], labels: tuple[str, ...]) -> np.ndarray:
    if rows and rows[0].kind == Kind.MULTI_LABEL:
        return label_matrix(labels, [row.labels for row in rows])
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index[row.label] for row in rows], np.int64)
