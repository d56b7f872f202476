"""Labelled texts: JSONL and CSV files, read strictly and within bounds; how a dev set is carved out."""

import csv
import gzip
import hashlib
import json
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softcall.errors import SoftcallError

MAX_ROWS = 2_000_000
MAX_FILE_BYTES = 1 << 30  # after decompression
MAX_LINE_BYTES = 1 << 20
MAX_LABEL_CHARACTERS = 200
MAX_DEV_ROWS = 1_000

SINGLE = ("text",)
PAIR = ("text1", "text2")


@dataclass(frozen=True)
class Row:
    """One example: its texts in the order of the fields, its label (None: unlabelled), its line."""

    texts: tuple[str, ...]
    label: str | None
    line: int = field(default=0, compare=False)


def read_rows(path: str | Path, fields: Sequence[str] | None = None, *, labelled: bool = True) -> list[Row]:
    """Read every row of a `.jsonl` or `.csv` file (also `.gz`).

    `fields` names the text columns (a template's `fields`); None takes `text`, or `text1` and `text2` where
    the first row has no `text`. Other columns and blank lines are ignored. With `labelled=False` a row may
    lack its label. Raises `SoftcallError` with file, line and field for whatever is missing, empty, of
    another type, or too large.
    """
    path = Path(path)
    rows: list[Row] = []
    for line, record in _records(path):
        where = f"{path} line {line}"
        if fields is None:
            fields = SINGLE if SINGLE[0] in record else PAIR
        if len(rows) == MAX_ROWS:
            raise SoftcallError(f"{where}: more than {MAX_ROWS:,} rows, which is the limit")
        texts = tuple(_text(record, name, where) for name in fields)
        rows.append(Row(texts, _label(record, where, labelled), line))
    if not rows:
        raise SoftcallError(f"{path} holds no rows")
    return rows


def labels_of(rows: Sequence[Row], where: str | Path) -> tuple[str, ...]:
    """The distinct labels of `rows`, sorted; `SoftcallError` unless there are at least two."""
    labels = tuple(sorted({row.label for row in rows if row.label is not None}))
    if len(labels) < 2:
        raise SoftcallError(
            f"{where} has only the label {labels[0]!r}; at least two labels are needed"
            if labels
            else f"{where} has no labels"
        )
    return labels


def split_dev(rows: Sequence[Row], fraction: float) -> tuple[list[Row], list[Row]]:
    """Split into (train, dev) by a fixed rule, stratified by label.

    Within a label the rows are ordered by the sha256 of their texts, and the first `fraction` becomes dev
    (about `MAX_DEV_ROWS` in all at most). So the split depends neither on the order of the file nor on a
    seed, and rows with equal texts stay on one side. A label with too few rows stays in train.
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


def file_sha256(path: str | Path) -> str:
    """The sha256 of a file as it lies on disk, as `sha256sum` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, record) for each record of the file; a record of several lines counts by its first."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".jsonl"):
        yield from _json_records(path)
    elif name.endswith(".csv"):
        yield from _csv_records(path)
    else:
        raise SoftcallError(
            f"{path}: cannot tell its format; names ending in .jsonl or .csv (also with .gz) are read"
        )


def _json_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SoftcallError(f"{path} line {number}: not valid JSON ({error})") from None
        if not isinstance(record, dict):
            raise SoftcallError(f"{path} line {number}: holds {_kind(record)}, expected a JSON object")
        yield number, record


def _csv_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(_lines(path), strict=True)
    header: list[str] | None = None
    line = 0
    try:
        for cells in reader:
            first, line = line + 1, reader.line_num
            if not cells:
                continue
            if header is None:
                header = cells
                if len(set(header)) < len(header):
                    raise SoftcallError(
                        f"{path} line {first}: the header names a column twice ({', '.join(header)})"
                    )
                continue
            if len(cells) != len(header):
                raise SoftcallError(
                    f"{path} line {first}: has {len(cells)} column(s), the header names {len(header)}"
                )
            yield first, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise SoftcallError(f"{path} line {line + 1}: not valid CSV ({error})") from None


def _lines(path: Path) -> Iterator[str]:
    """Decoded lines with their ends; bounded in length and in total."""
    total = 0
    number = 0
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                total += len(line)
                if len(line) > MAX_LINE_BYTES:
                    raise SoftcallError(
                        f"{path} line {number}: longer than {MAX_LINE_BYTES:,} bytes, which is the limit"
                    )
                if total > MAX_FILE_BYTES:
                    raise SoftcallError(
                        f"{path} line {number}: the file has more than {MAX_FILE_BYTES:,} bytes, the limit"
                    )
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise SoftcallError(
            f"{path} line {number}: not UTF-8 ({error.reason} at byte {error.start})"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SoftcallError(f"{path}: not a whole gzip file ({error})") from None
    except FileNotFoundError:
        raise SoftcallError(f"{path}: no such file") from None
    except OSError as error:
        raise SoftcallError(f"{path}: cannot be read ({error.strerror or error})") from None


def _text(record: dict[str, Any], name: str, where: str) -> str:
    if name not in record:
        raise SoftcallError(f"{where}: no field {name!r}; it has {_names(record)}")
    text = record[name]
    if not isinstance(text, str):
        raise SoftcallError(f"{where}: field {name!r} holds {_kind(text)}, expected a string")
    if not text.strip():
        raise SoftcallError(f"{where}: field {name!r} is empty")
    return _unicode(text, name, where)


def _label(record: dict[str, Any], where: str, labelled: bool) -> str | None:
    label = record.get("label")
    if label is None and not labelled:
        return None
    if label is None:
        raise SoftcallError(f"{where}: no field 'label'; it has {_names(record)}")
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)  # 0 and 1 are what many data sets call their classes
    if not isinstance(label, str):
        raise SoftcallError(f"{where}: field 'label' holds {_kind(label)}, expected a string or an integer")
    if not label.strip():
        raise SoftcallError(f"{where}: field 'label' is empty")
    if label != label.strip():
        raise SoftcallError(f"{where}: field 'label' is {label!r}, with spaces around it")
    if len(label) > MAX_LABEL_CHARACTERS:
        raise SoftcallError(
            f"{where}: field 'label' has {len(label)} characters, at most {MAX_LABEL_CHARACTERS} are accepted"
        )
    return _unicode(label, "label", where)


def _unicode(text: str, name: str, where: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SoftcallError(
            f"{where}: field {name!r} holds half of a surrogate pair, which is no Unicode text"
        ) from None
    return text


def _names(record: dict[str, Any]) -> str:
    names = [repr(name) for name in list(record)[:10]]
    return ", ".join(names) + (", ..." if len(record) > 10 else "") if names else "no fields"


def _kind(value: Any) -> str:
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return kinds.get(type(value), "null")
