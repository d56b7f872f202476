"""What a run learns from, chooses by and reports on: three parts, read, split, and turned into token ids."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np

from softcall.artifact.template import PAIR, SINGLE, Template
from softcall.base.source import LoadedBase
from softcall.core.errors import SoftcallError
from softcall.datasets.checks import check_rows
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.folder import DEV, TEST, TRAIN, parts_of
from softcall.datasets.rows import Row, files_sha256, labels_of, read_rows, split_dev
from softcall.training.settings.config import TrainConfig, pace_of

SINGLE_TEMPLATE = "{text}\nLabel:"
PAIR_TEMPLATE = "{text1}\n{text2}\nLabel:"


def fields_of(rows: Sequence[Row]) -> tuple[str, ...]:
    """The fields of a template for rows of one text, or of two."""
    return PAIR if len(rows[0].texts) == 2 else SINGLE


def default_template(rows: Sequence[Row]) -> str:
    """The template for rows of one text, or of two."""
    return PAIR_TEMPLATE if fields_of(rows) == PAIR else SINGLE_TEMPLATE


@dataclass(frozen=True)
class TrainingRows:
    """The rows of each part. `identity` tells them from any others: the sha256 of their files, and the split.

    `notes` is what is worth knowing of them, a sentence each. Raises `SoftcallError` where a part is empty
    (but test) or has a label that train does not have.
    """

    train: Sequence[Row]
    dev: Sequence[Row]
    test: Sequence[Row]
    identity: dict[str, Any]
    test_identity: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    labels: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Collect train's labels, in their order, and hold the other parts against them."""
        object.__setattr__(self, "labels", labels_of(self.train, "the training data"))
        if not self.dev:
            raise SoftcallError(
                f"{len(self.train)} rows are too few to carve a dev set out of; give one with --dev"
            )
        for row in (*self.dev, *self.test):
            if row.label not in self.labels:
                raise SoftcallError(f"{row.where}: label {row.label!r} does not occur in the training data")
        parts = {"train": self.train, "dev": self.dev, "test": self.test}
        found = check_rows({name: rows for name, rows in parts.items() if rows})
        object.__setattr__(self, "notes", (*self.notes, *(finding.message for finding in found)))

    @classmethod
    def read(cls, config: TrainConfig) -> "TrainingRows":
        """The rows of the files that `config` names, and of the dev and test parts of a folder."""
        fields = Template(config.template).fields if config.template else None
        columns = ColumnChoice(config.text_columns, config.label_column)
        train = read_rows(config.data, fields, columns=columns, part=TRAIN)
        labels_of(train, config.data)
        fields = fields or fields_of(train)
        identity: dict[str, Any] = {"data_sha256": files_sha256(config.data, TRAIN)}
        identity |= {} if columns == ColumnChoice() else {"columns": [*columns.texts, columns.label]}
        parts, notes = parts_of(config.data), []
        if dev_source := config.dev or (config.data if DEV in parts else None):
            dev = read_rows(dev_source, fields, columns=columns, part=DEV)
            identity["dev_sha256"] = files_sha256(dev_source, DEV)
        else:
            fraction = (
                pace_of(len(train)).dev_fraction if config.dev_fraction is None else config.dev_fraction
            )
            train, dev = split_dev(train, fraction)
            identity["dev_fraction"] = fraction
        test: list[Row] = []
        if config.test:
            test = read_rows(config.test, fields, columns=columns, part=TEST)
        elif TEST in parts:
            test = read_rows(config.data, fields, columns=columns, part=TEST, labelled=False)
            if all(row.label is None for row in test):
                notes.append(f"test: none of the {len(test):,} rows has a label, so they are left out")
                test = []
            elif any(row.label is None for row in test):
                read_rows(config.data, fields, columns=columns, part=TEST)  # refused: it says which
        test_identity = {"test_sha256": files_sha256(config.test or config.data, TEST)} if test else {}
        return cls(train, dev, test, identity, test_identity, notes)

    @property
    def default_template(self) -> str:
        """The template for rows of one text, or of two."""
        return default_template(self.train)


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
