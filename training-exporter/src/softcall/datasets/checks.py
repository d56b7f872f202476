"""Checks of labelled texts before training: errors, and warnings for a person to judge."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

from tokenizers import Tokenizer

from softcall.artifact.bounds import check_labels
from softcall.artifact.metadata import Kind
from softcall.artifact.template import Template
from softcall.core.errors import SoftcallError
from softcall.core.printable import printable
from softcall.datasets.rows import ROW_HAS, Row, in_order, is_number, labels_in

FEW_ROWS = 8  # per label; published few-shot results begin about here
DOMINANT_SHARE = 0.8
BATCH_TEXTS = 1_000

MAX_MESSAGE = 3_000  # characters; room for five reasons with a name and a count

_HIDDEN = ("-1", "-1.0")
_DECIMAL = re.compile(r"[-+]?[0-9]+\.0+")
_SHOWN_LABELS = 5
_SHOWN_CHARACTERS = 60

_Keyed = Mapping[str, Sequence[tuple[bytes, Row]]]  # each row with the key of its text


class Severity(StrEnum):
    """An error stops training; a warning is for a person to judge."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class Finding:
    """The result of a check. Its message names the place and quotes files, so it is made printable here."""

    severity: Severity
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", printable(self.message, MAX_MESSAGE))


def check_rows(parts: Mapping[str, Sequence[Row]]) -> list[Finding]:
    """Return the findings of named parts, the first of which is for training; errors come first."""
    keyed = {name: [(_key(row), row) for row in rows] for name, rows in parts.items()}
    found = [
        *_kinds(parts),
        *_labels(parts),
        *_odd_labels(parts),
        *_balance(parts),
        *_conflicts(keyed),
        *_repeats(keyed),
        *_shared(keyed),
    ]
    return sorted(found, key=lambda finding: finding.severity)


@dataclass(frozen=True)
class Lengths:
    """Tokens of a part's rows with a template: the median, the maximum, and the rows above a limit."""

    median: int
    longest: int
    above: int


def measure(rows: Sequence[Row], template: Template, tokenizer: Tokenizer, limit: int) -> Lengths:
    """Return the lengths of at least one row; `tokenizer` neither truncates nor pads."""
    lengths = []
    for start in range(0, len(rows), BATCH_TEXTS):
        filled = [template.fill(row.texts) for row in rows[start : start + BATCH_TEXTS]]
        lengths += [
            len(encoding.ids) for encoding in tokenizer.encode_batch(filled, add_special_tokens=False)
        ]
    lengths.sort()
    return Lengths(lengths[len(lengths) // 2], lengths[-1], sum(length > limit for length in lengths))


def check_lengths(lengths: Mapping[str, Lengths], limit: int) -> list[Finding]:
    """Return a warning for each part with texts longer than `limit` tokens."""
    return [
        Finding(
            Severity.WARNING,
            f"{name}: {of.above:,} texts have more than {limit} tokens with their template and are cut"
            f" (the longest has {of.longest:,}; --max-text-tokens)",
        )
        for name, of in lengths.items()
        if of.above
    ]


def _kinds(parts: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """Find parts whose rows have one label, where those of training have lists of labels, or the reverse."""
    kinds = {name: {row.kind for row in rows if row.gold is not None} for name, rows in parts.items()}
    first, *others = kinds
    for name in others:
        if len(kinds[first] | kinds[name]) > 1:
            yield Finding(
                Severity.ERROR,
                f"{name}: its rows have {told(kinds[name])}, and those of {first} have {told(kinds[first])}",
            )


def told(kinds: Iterable[Kind]) -> str:
    """Return what rows of these kinds have, in words."""
    return " and ".join(sorted(ROW_HAS[kind] for kind in kinds))


def _labels(parts: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """Find too few labels, labels that training never sees, and labels that are not words."""
    (first, rows), *others = parts.items()
    labels = set(labels_in(rows))
    if len(labels) < 2:
        only = f"only the label {next(iter(labels))!r}" if labels else "no labels"
        yield Finding(Severity.ERROR, f"{first}: has {only}; at least two labels are needed")
    else:
        try:
            check_labels(in_order(labels))
        except SoftcallError as error:
            yield Finding(Severity.ERROR, f"{first}: {error}")
    for name, others_rows in others:
        unseen = Counter(label for label in labels_in(others_rows) if label not in labels)
        if unseen:
            yield Finding(
                Severity.ERROR,
                f"{name}: has labels that {first} does not have: {_counted(unseen.most_common())}",
            )
    if labels and all(map(is_number, labels)):
        yield Finding(
            Severity.WARNING,
            f"{first}: the labels are numbers ({_listed(in_order(labels))}), which say nothing;"
            " --verbalizer gives them words, --label-column names a column that has them",
        )


def _odd_labels(parts: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    """Find placeholders of missing labels, and several spellings of one label."""
    for name, rows in parts.items():
        if hidden := sum(any(label in _HIDDEN for label in row.gold or ()) for row in rows):
            yield Finding(
                Severity.WARNING,
                f"{name}: {hidden:,} of {len(rows):,} rows have the label -1, with which data sets mark rows"
                " whose label is missing or kept secret; leave them out if so",
            )
    labels = in_order({label for rows in parts.values() for label in labels_in(rows)})
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        spellings[" ".join(label.casefold().split())].append(label)
    if several := [" and ".join(map(repr, same)) for same in spellings.values() if len(same) > 1]:
        yield Finding(
            Severity.WARNING, f"labels that differ in case or spaces alone are several: {_listed(several)}"
        )
    if decimals := [label for label in labels if _DECIMAL.fullmatch(label)]:
        yield Finding(
            Severity.WARNING,
            f"the labels {_listed(decimals)} look like whole numbers that a table wrote with a decimal point,"
            " as it does where a value is missing; 1.0 and another file's 1 are two labels",
        )


def _balance(parts: Mapping[str, Sequence[Row]]) -> Iterator[Finding]:
    first, rows = next(iter(parts.items()))
    counts = Counter(labels_in(rows)).most_common()
    if len(counts) < 2:
        return
    label, most = counts[0]
    share = most / sum(count for _, count in counts)
    if share >= DOMINANT_SHARE and any(row.label is not None for row in rows):
        yield Finding(
            Severity.WARNING,
            f"{first}: {share:.0%} of the rows have the label {label!r}, so an accuracy of {share:.2f} shows"
            " nothing yet; go by macro-F1",
        )
    rare = [(label, count) for label, count in reversed(counts) if count < FEW_ROWS]
    if rare:
        yield Finding(
            Severity.WARNING,
            f"{first}: {len(rare)} labels have fewer than {FEW_ROWS} rows: {_counted(rare)}",
        )


def _conflicts(parts: _Keyed) -> Iterator[Finding]:
    """Find texts with several labels, within and across parts."""
    labels: dict[bytes, set[str]] = defaultdict(set)
    examples: dict[bytes, Row] = {}
    for keyed in parts.values():
        for key, row in keyed:
            if row.gold is not None:
                labels[key].add(" and ".join(sorted(row.gold)) or "none")
                examples.setdefault(key, row)
    conflicting = [key for key, names in labels.items() if len(names) > 1]
    if conflicting:
        row, names = examples[conflicting[0]], sorted(labels[conflicting[0]])
        yield Finding(
            Severity.WARNING,
            f"{len(conflicting):,} texts have several labels each, such as {_excerpt(row)} ({_listed(names)};"
            f" {row.where})",
        )


def _repeats(parts: _Keyed) -> Iterator[Finding]:
    for name, keyed in parts.items():
        if repeated := len(keyed) - len({key for key, _ in keyed}):
            yield Finding(
                Severity.WARNING,
                f"{name}: {repeated:,} rows repeat the text of another (but for case and spaces)",
            )


def _shared(parts: _Keyed) -> Iterator[Finding]:
    """Find texts that two parts share, on which scores mean little."""
    for one, other in combinations(parts, 2):
        seen = {key for key, _ in parts[one]}
        if shared := [row for key, row in parts[other] if key in seen]:
            yield Finding(
                Severity.WARNING,
                f"{len(shared):,} of the {other} rows have a text that is in the {one} rows too, such as"
                f" {_excerpt(shared[0])} ({shared[0].where})",
            )


def _key(row: Row) -> bytes:
    """Return a key that is equal for texts that differ only in case and white space."""
    folded = "\0".join(" ".join(text.casefold().split()) for text in row.texts)
    return hashlib.blake2b(folded.encode(), digest_size=16).digest()


def _excerpt(row: Row) -> str:
    text = " | ".join(row.texts)
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "...")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_LABELS]) + (", ..." if len(names) > _SHOWN_LABELS else "")


def _counted(counts: Sequence[tuple[str, int]]) -> str:
    return _listed([f"{label!r} ({count:,})" for label, count in counts])
