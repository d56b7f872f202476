"""The rows of a training run: the parts train, dev and test."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from softcall.artifact.metadata import Kind
from softcall.artifact.template import Template
from softcall.core.errors import SoftcallError
from softcall.datasets.checks import check_rows
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.default_template import default_template, fields_of
from softcall.datasets.folder import DEV, TEST, TRAIN, parts_of
from softcall.datasets.rows import ROW_HAS, Row, files_sha256, labels_of, read_rows, split_dev
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.pace import pace_of


@dataclass(frozen=True)
class TrainingRows:
    """The rows of each part. `identity` identifies them by the sha256 of their files, and by the split.

    `notes` has remarks on the rows, a sentence each. `kind` is that of the task: its rows have one label
    each, or lists of labels. Raises `SoftcallError` if train or dev is empty, and if a part has rows of
    another kind, or a label that train does not have.
    """

    train: Sequence[Row]
    dev: Sequence[Row]
    test: Sequence[Row]
    identity: dict[str, Any]
    test_identity: dict[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    labels: tuple[str, ...] = field(init=False)
    kind: Kind = field(init=False)

    def __post_init__(self) -> None:
        """Collect the labels of train, in order, and check the other parts against them."""
        object.__setattr__(self, "labels", labels_of(self.train, "the training data"))
        object.__setattr__(self, "kind", self.train[0].kind)
        if not self.dev:
            raise SoftcallError(
                f"{len(self.train)} rows are too few to carve a dev set out of; give one with --dev"
            )
        for row in (*self.dev, *self.test):
            if row.kind != self.kind:
                raise SoftcallError(
                    f"{row.where}: has {ROW_HAS[row.kind]}; a row of the training data {ROW_HAS[self.kind]}"
                )
            for label in set(row.gold or ()) - set(self.labels):
                raise SoftcallError(f"{row.where}: label {label!r} does not occur in the training data")
        parts = {"train": self.train, "dev": self.dev, "test": self.test}
        found = check_rows({name: rows for name, rows in parts.items() if rows})
        object.__setattr__(self, "notes", (*self.notes, *(finding.message for finding in found)))

    @classmethod
    def read(cls, config: TrainConfig) -> "TrainingRows":
        """Read the files that `config` names, and the dev and test parts of a folder."""
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
            if all(row.gold is None for row in test):
                notes.append(f"test: none of the {len(test):,} rows has a label, so they are left out")
                test = []
            elif any(row.gold is None for row in test):
                read_rows(config.data, fields, columns=columns, part=TEST)  # raises, naming the row
        test_identity = {"test_sha256": files_sha256(config.test or config.data, TEST)} if test else {}
        return cls(train, dev, test, identity, test_identity, notes)

    @property
    def is_multi_label(self) -> bool:
        """Whether a row has any number of labels."""
        return self.kind == Kind.MULTI_LABEL

    @property
    def default_template(self) -> str:
        """The template of these rows if none is given."""
        return default_template(self.train)
