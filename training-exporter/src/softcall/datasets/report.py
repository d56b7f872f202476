"""The report of `softcall data`: rows, labels and lengths of each part, and the findings of all checks."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from softcall.artifact.template import Template
from softcall.base.bundle import TOKENIZER_FILE, read_tokenizer
from softcall.base.default_base import GRAPHS, NAME
from softcall.datasets.checks import Finding, Lengths, Severity, check_lengths, check_rows, measure
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.default_template import default_template, fields_of
from softcall.datasets.folder import TEST, WHOLE, parts_of
from softcall.datasets.rows import Refusals, Row, labels_in, read_rows


@dataclass(frozen=True)
class PartReport:
    """A part: its number of rows, the rows of each label (most frequent first), and its texts' lengths.

    `labels_per_row` is the mean over labelled rows whose labels are lists; None for rows of one label.
    """

    name: str
    rows: int
    labels: dict[str, int]
    lengths: Lengths
    labels_per_row: float | None = None


@dataclass(frozen=True)
class DataReport:
    """The parts in order, the template with which texts were measured, and the findings, errors first."""

    parts: Sequence[PartReport]
    template: str
    findings: Sequence[Finding]

    @property
    def failed(self) -> bool:
        """Whether training refuses these texts."""
        return any(finding.severity == Severity.ERROR for finding in self.findings)


def report_of(
    sources: Sequence[Path], columns: ColumnChoice, template: str | None, limit: int, base: Path | None
) -> DataReport:
    """Check files, the first of which is for training, or one folder with parts.

    Texts are measured with `template` (None: that of training) against `limit` tokens of `base`'s tokenizer
    (None: the default base's). Raises `SoftcallError` for unreadable files; rows that training refuses are
    findings.
    """
    tokenizer = tokenizer_of(base)
    fields = Template(template).fields if template else None
    parts: dict[str, list[Row]] = {}
    findings: list[Finding] = []
    for name, source, part in _named(sources):
        refusals = Refusals()
        rows = read_rows(source, fields, columns=columns, part=part, labelled=part != TEST, refusals=refusals)
        findings += _refused(name, refusals)
        if rows:
            fields = fields or fields_of(rows)
            parts[name] = rows
    if not parts:
        return DataReport((), template or "", findings)
    shown = Template(template or default_template(next(iter(parts.values()))))
    lengths = {name: measure(rows, shown, tokenizer, limit) for name, rows in parts.items()}
    for name, rows in parts.items():
        findings += _unlabelled(name, rows)
    labelled = {name: rows for name, rows in parts.items() if any(row.gold is not None for row in rows)}
    findings += check_rows(labelled) + check_lengths(lengths, limit)
    counted = [
        PartReport(
            name,
            len(rows),
            dict(Counter(labels_in(rows)).most_common()),
            lengths[name],
            _labels_per_row(rows),
        )
        for name, rows in parts.items()
    ]
    return DataReport(counted, shown.source, sorted(findings, key=lambda found: found.severity))


def tokenizer_of(base: Path | None) -> Tokenizer:
    """Return the tokenizer of a base bundle or Hugging Face folder; None stands for the default base."""
    return read_tokenizer((base or GRAPHS / NAME) / TOKENIZER_FILE)


def _named(sources: Sequence[Path]) -> Iterator[tuple[str, Path, str | None]]:
    """Yield (name, source, part) of each part."""
    parts = parts_of(sources[0]) if len(sources) == 1 else {WHOLE: ()}
    if WHOLE in parts:
        names = [source.name for source in sources]
        brief = len(set(names)) == len(names)
        yield from ((source.name if brief else str(source), source, None) for source in sources)
    else:
        yield from ((part, sources[0], part) for part in parts)


def _labels_per_row(rows: Sequence[Row]) -> float | None:
    counts = [len(row.labels) for row in rows if row.labels is not None]
    return sum(counts) / len(counts) if counts else None


def _refused(name: str, refusals: Refusals) -> list[Finding]:
    if not refusals.count:
        return []
    more = "; ..." if refusals.count > len(refusals.reasons) else ""
    message = f"{name}: {refusals.count:,} rows are refused: {'; '.join(refusals.reasons)}{more}"
    return [Finding(Severity.ERROR, message)]


def _unlabelled(name: str, rows: Sequence[Row]) -> list[Finding]:
    """Find unlabelled rows. Many data sets hide the labels of their test part, which training then skips."""
    missing = sum(row.gold is None for row in rows)
    if not missing:
        return []
    if missing == len(rows):
        message = f"{name}: none of the {missing:,} rows has a label, so they are left out"
        return [Finding(Severity.WARNING, message)]
    return [Finding(Severity.ERROR, f"{name}: {missing:,} of {len(rows):,} rows have no label")]
