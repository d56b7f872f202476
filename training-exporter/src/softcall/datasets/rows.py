"""Labelled texts: the rows of a file or of a data set's folder, and the split into train and dev."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from softcall.artifact.bounds import check_labels
from softcall.artifact.metadata import Kind
from softcall.core.errors import SoftcallError
from softcall.core.regular_file import file_sha256
from softcall.core.surrogates import has_half, without_halves
from softcall.datasets.columns import ColumnChoice, Columns, shown
from softcall.datasets.folder import files_of
from softcall.datasets.formats import open_records
from softcall.datasets.record_file import kind

MAX_ROWS = 2_000_000
MAX_TEXT_BYTES = 1 << 20
MAX_LABEL_CHARACTERS = 200
MAX_DEV_ROWS = 1_000

_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]+)?")
ROW_HAS = {Kind.CLASSIFICATION: "one label", Kind.MULTI_LABEL: "a list of labels"}
"""What a row of a task of each kind has, for messages."""

_HIDDEN_LABEL = -1  # the value of a ClassLabel whose label is secret


@dataclass(frozen=True)
class Row:
    """An example: its texts in the order of the fields, its label or labels, and its place.

    `label` is None for an unlabelled row, and where the column holds a list: `labels` has it then, perhaps
    empty. `ranks` are the labels' indices among the names of a ClassLabel, if the file has them.
    """

    texts: tuple[str, ...]
    label: str | None
    line: int = field(default=0, compare=False)
    file: Path | None = field(default=None, compare=False)
    ranks: tuple[int | None, ...] = field(default=(), compare=False)
    unit: str = field(default="line", compare=False)  # what `line` counts: lines, or rows
    labels: tuple[str, ...] | None = None

    @property
    def gold(self) -> tuple[str, ...] | None:
        """All labels of the row; None if it is unlabelled."""
        return (self.label,) if self.label is not None else self.labels

    @property
    def kind(self) -> Kind:
        """The kind of the task of which a labelled row is an example."""
        return Kind.CLASSIFICATION if self.labels is None else Kind.MULTI_LABEL

    @property
    def where(self) -> str:
        """File and line, for a message."""
        return f"{self.file} {self.unit} {self.line}"


@dataclass
class Refusals:
    """Counts refused rows, and keeps the reasons of the first ones."""

    count: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, reason: str, limit: int = 5) -> None:
        """Count a row, and keep its reason if there is room."""
        self.count += 1
        if len(self.reasons) < limit:
            self.reasons.append(reason)


def read_rows(
    path: str | Path,
    fields: Sequence[str] | None = None,
    *,
    labelled: bool = True,
    columns: ColumnChoice = ColumnChoice(),  # noqa: B008 (immutable)
    part: str | None = None,
    refusals: Refusals | None = None,
) -> list[Row]:
    """Read every row of a file (JSONL, CSV, also `.gz`, Parquet, Arrow), or of one `part` of a folder.

    A row has as many texts as the template has `fields` (None: one, or two if the columns have the names of a
    pair). Other columns are ignored. The label column holds a label in each row, or a list of labels in each.
    With `labelled=False` a row may lack its label. Raises `SoftcallError` with file, line and column for
    values that are missing, empty, of another type, or too large; with `refusals` such rows are counted there
    instead.
    """
    rows: list[Row] = []
    for file in files_of(Path(path), part):
        _read_file(file, rows, len(fields) if fields else None, labelled, columns, refusals)
    if not rows and not (refusals and refusals.count):
        raise SoftcallError(f"{path} holds no rows")
    return rows


def _read_file(
    path: Path,
    rows: list[Row],
    texts: int | None,
    labelled: bool,
    choice: ColumnChoice,
    refusals: Refusals | None,
) -> None:
    """Append the rows of a file to `rows`."""
    file = open_records(path)
    names = file.columns()
    if not names:
        return
    try:
        columns = choice.among(names, texts, labelled=labelled)
    except SoftcallError as error:
        raise SoftcallError(f"{path}: {error}") from None
    wanted = (*columns.texts, *filter(None, [columns.label]))
    label_names = file.label_names(columns.label) if columns.label else None
    ranks = {name: rank for rank, name in enumerate(label_names or ())}
    first = next((row for row in rows if row.gold is not None), None)
    for line, record in file.records(wanted):
        where = f"{path} {file.unit} {line}"
        if len(rows) == MAX_ROWS:
            raise SoftcallError(f"{where}: more than {MAX_ROWS:,} rows, which is the limit")
        try:
            texts_of_row = tuple(_text(record, name, where) for name in columns.texts)
            label, labels = _label(record, columns, where, labelled, label_names)
            row = Row(texts_of_row, label, line, path, (), file.unit, labels)
            row = replace(row, ranks=tuple(ranks.get(each) for each in row.gold or ()))
            if first and row.gold is not None and row.kind != first.kind:
                raise SoftcallError(
                    f"{where}: field {columns.label!r} holds {ROW_HAS[row.kind]}, but not in {first.where}"
                )
        except SoftcallError as error:
            if refusals is None:
                raise
            refusals.add(str(error))
            continue
        rows.append(row)
        first = first or (row if row.gold is not None else None)


def labels_of(rows: Sequence[Row], where: str | Path) -> tuple[str, ...]:
    """Return the distinct labels of `rows`; raise `SoftcallError` for fewer than two, or beyond bounds.

    The labels have the order of their ClassLabel, else that of `in_order`.
    """
    ranks = {
        label: rank
        for row in rows
        if row.gold is not None
        for label, rank in zip(row.gold, row.ranks or [None] * len(row.gold), strict=True)
    }
    labels = in_order(ranks)
    if None not in ranks.values() and len(set(ranks.values())) == len(ranks):
        labels = tuple(sorted(ranks, key=ranks.__getitem__))
    if len(labels) < 2:
        raise SoftcallError(
            f"{where} has only the label {labels[0]!r}; at least two labels are needed"
            if labels
            else f"{where} has no labels"
        )
    try:
        check_labels(labels)
    except SoftcallError as error:
        raise SoftcallError(f"{where}: {error}") from None
    return labels


def labels_in(rows: Iterable[Row]) -> Iterator[str]:
    """Yield every label of every row."""
    return (label for row in rows for label in row.gold or ())


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Sort labels by value if all are numbers (2 before 10), else as text."""
    labels = sorted(labels)
    return tuple(sorted(labels, key=float) if all(map(is_number, labels)) else labels)


def is_number(label: str) -> bool:
    """Whether a label is a decimal number."""
    return _NUMBER.fullmatch(label) is not None


def split_dev(rows: Sequence[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """Split into (train, dev) deterministically, stratified by label where each row has one.

    The rows of a label are sorted by the sha256 of their texts, and the first `fraction` becomes dev (at most
    about `MAX_DEV_ROWS` in total). The split depends neither on the order of the file nor on a seed, and rows
    with equal texts stay on one side. A label with too few rows stays in train.
    """
    fraction = min(fraction, MAX_DEV_ROWS / len(rows))
    by_label: dict[str | None, list[tuple[bytes, int]]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_label[row.label].append((hashlib.sha256("\x00".join(row.texts).encode()).digest(), index))
    dev: set[int] = set()
    for ordered in by_label.values():
        ordered.sort()
        count = round(fraction * len(ordered))
        if count:
            last = ordered[count - 1][0]
            chosen = [index for digest, index in ordered if digest <= last]
            dev.update(chosen if len(chosen) < len(ordered) else ())
    return [row for i, row in enumerate(rows) if i not in dev], [rows[i] for i in sorted(dev)]


def files_sha256(path: str | Path, part: str | None = None) -> str:
    """Return the sha256 of a file; for several files, the sha256 of what `sha256sum` prints for them."""
    files = files_of(Path(path), part)
    if len(files) == 1:
        return file_sha256(files[0])
    lines = "".join(f"{file_sha256(file)}  {file.name}\n" for file in files)
    return hashlib.sha256(lines.encode()).hexdigest()


def _text(record: dict[str, Any], name: str, where: str) -> str:
    if name not in record:
        raise SoftcallError(f"{where}: no field {name!r}; it has {shown(tuple(record))}")
    text = record[name]
    if not isinstance(text, str):
        raise SoftcallError(f"{where}: field {name!r} holds {kind(text)}, expected a string")
    if not text.strip():
        raise SoftcallError(f"{where}: field {name!r} is empty")
    if len(text) > MAX_TEXT_BYTES:
        raise SoftcallError(
            f"{where}: field {name!r} has {len(text):,} characters; the limit is {MAX_TEXT_BYTES:,}"
        )
    return without_halves(text)


def _label(
    record: dict[str, Any], columns: Columns, where: str, labelled: bool, names: tuple[str, ...] | None
) -> tuple[str | None, tuple[str, ...] | None]:
    """Return the one label of a record, or the labels of its list; twice None for an unlabelled one."""
    name = columns.label
    value = record.get(name) if name is not None else None
    if names is not None and value == _HIDDEN_LABEL:
        value = None
    if value is None and not labelled:
        return None, None
    if value is None:
        raise SoftcallError(f"{where}: no label in field {name!r}; it has {shown(tuple(record))}")
    if not isinstance(value, list):
        return _one_label(value, name, where, names), None
    labels = tuple(_one_label(each, name, where, names) for each in value)
    if len(set(labels)) < len(labels):
        raise SoftcallError(f"{where}: field {name!r} names a label twice")
    return None, labels


def _one_label(label: Any, name: str, where: str, names: tuple[str, ...] | None) -> str:
    if isinstance(label, int) and not isinstance(label, bool):
        label = _named(label, names, name, where)
    if not isinstance(label, str):
        raise SoftcallError(f"{where}: field {name!r} holds {kind(label)}, expected a string or an integer")
    if not label.strip():
        raise SoftcallError(f"{where}: field {name!r} is empty")
    if label != label.strip():
        raise SoftcallError(f"{where}: field {name!r} is {label!r}, with spaces around it")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise SoftcallError(
            f"{where}: field {name!r} has {len(label)} characters; the limit is {MAX_LABEL_CHARACTERS}"
        )
    if has_half(label):
        raise SoftcallError(
            f"{where}: field {name!r} holds half of a surrogate pair, which is not Unicode text"
        )
    return label


def _named(label: int, names: tuple[str, ...] | None, column: str | None, where: str) -> str:
    """Return the name of an integer label: the ClassLabel's, else its digits."""
    if names is None:
        return str(label)
    if not 0 <= label < len(names):
        raise SoftcallError(
            f"{where}: field {column!r} is {label}; its file names the labels 0 to {len(names) - 1}"
        )
    return names[label]
