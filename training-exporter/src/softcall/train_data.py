"""What a run learns from, chooses by and reports on: three parts, read, split, and turned into token ids."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from softcall.data import PAIR, Row, file_sha256, labels_of, read_rows, split_dev
from softcall.errors import SoftcallError
from softcall.source import LoadedBase
from softcall.template import Template
from softcall.train_config import TrainConfig, pace_of

SINGLE_TEMPLATE = "{text}\nLabel:"
PAIR_TEMPLATE = "{text1}\n{text2}\nLabel:"


@dataclass(frozen=True)
class TrainingRows:
    """The rows of each part. `identity` tells them from any others: the sha256 of their files, and the split.

    Raises `SoftcallError` where a part is empty (but test) or has a label that train does not have.
    """

    train: Sequence[Row]
    dev: Sequence[Row]
    test: Sequence[Row]
    identity: dict[str, Any]
    labels: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Collect train's labels, sorted, and hold the other parts against them."""
        object.__setattr__(self, "labels", labels_of(self.train, "the training data"))
        if not self.dev:
            raise SoftcallError(
                f"{len(self.train)} rows are too few to carve a dev set out of; give one with --dev"
            )
        for name, rows in (("--dev", self.dev), ("--test", self.test)):
            for row in rows:
                if row.label not in self.labels:
                    raise SoftcallError(
                        f"{name} line {row.line}: label {row.label!r} does not occur in the training data"
                    )

    @classmethod
    def read(cls, config: TrainConfig) -> "TrainingRows":
        """The rows of the files that `config` names."""
        fields = Template(config.template).fields if config.template else None
        train = read_rows(config.data, fields)
        labels_of(train, config.data)
        identity: dict[str, Any] = {"data_sha256": file_sha256(config.data)}
        fields = fields or (PAIR if len(train[0].texts) == 2 else ("text",))
        if config.dev is None:
            fraction = (
                pace_of(len(train)).dev_fraction if config.dev_fraction is None else config.dev_fraction
            )
            train, dev = split_dev(train, fraction)
            identity["dev_fraction"] = fraction
        else:
            dev = read_rows(config.dev, fields)
            identity["dev_sha256"] = file_sha256(config.dev)
        return cls(train, dev, read_rows(config.test, fields) if config.test else [], identity)

    @property
    def default_template(self) -> str:
        """The template for rows of one text, or of two."""
        return PAIR_TEMPLATE if len(self.train[0].texts) == 2 else SINGLE_TEMPLATE

    @property
    def leaked(self) -> int:
        """Test rows whose texts are in train too."""
        seen = {row.texts for row in self.train}
        return sum(row.texts in seen for row in self.test)


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
