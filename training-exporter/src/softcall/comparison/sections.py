"""The records of a comparison by data set and method, with means and intervals over their seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from softcall.comparison.config import Method
from softcall.comparison.record import RunRecord
from softcall.core.printable import printable
from softcall.evaluation.scores import wilson_interval

MOST_LABELS = 12  # up to so many, the whole confusion matrix is shown
TOP_CONFUSIONS = 10


@dataclass(frozen=True)
class Line:
    """A method on a data set, over its seeds."""

    method: str
    records: tuple[RunRecord, ...]

    @property
    def accuracy(self) -> float:
        """The mean over seeds, computed from counts, since all seeds have the same test rows."""
        return sum(record.right for record in self.records) / sum(record.total for record in self.records)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval: Student's over seeds, or Wilson's over the test rows of a single run."""
        if len(self.records) == 1:
            return wilson_interval(self.records[0].right, self.records[0].total)
        accuracies = [record.accuracy for record in self.records]
        error = stats.sem(accuracies)
        if error == 0:
            return accuracies[0], accuracies[0]
        low, high = stats.t.interval(0.95, len(accuracies) - 1, loc=self.accuracy, scale=error)
        return max(0.0, float(low)), min(1.0, float(high))

    @property
    def cells(self) -> list[str]:
        """The cells of the method's line in the table."""
        low, high = self.interval
        first = self.records[0]
        seconds = np.mean([record.seconds for record in self.records])
        return [
            self.method,
            f"{self.accuracy:.4f}",
            f"{low:.4f} to {high:.4f}",
            str(len(self.records)),
            f"{np.mean([record.macro_f1 for record in self.records]):.4f}",
            f"{np.mean([correlation(np.array(record.confusion)) for record in self.records]):.3f}",
            f"{np.mean([record.calibration_error for record in self.records]):.3f}",
            f"{first.trained_parameters:,}",
            f"{first.learnt_bytes:,}",
            f"{seconds:.1f}",
            f"{max(record.peak_bytes for record in self.records) / 1e6:,.0f}",
            f"{1e3 * np.median([record.switch_seconds for record in self.records]):,.1f}",
        ]


COLUMNS = (
    "method",
    "accuracy",
    "95 % interval",
    "runs",
    "macro-F1",
    "MCC",
    "ECE",
    "trained parameters",
    "bytes to keep",
    "seconds",
    "peak MB",
    "ms to switch",
)


@dataclass(frozen=True)
class Section:
    """A data set."""

    name: str
    lines: tuple[Line, ...]

    @property
    def summary(self) -> str:
        """The rows, and the budget of the methods that train on the base."""
        record = self.lines[0].records[0]
        rows = ", ".join(f"{record.rows[part]:,} {part}" for part in ("train", "dev", "test"))
        steps, batch = record.settings["steps"], record.settings["batch_size"]
        shared = f", shared by {record.jobs} runs at a time" if record.jobs > 1 else ""
        budget = f"{steps:,} steps of {batch} rows"
        return f"{rows} rows, {len(record.labels)} labels; {budget}; {record.device}{shared}"

    def confusion(self, line: Line) -> np.ndarray:
        """Return the counts [gold, predicted] over the runs of a method."""
        return np.sum([record.confusion for record in line.records], axis=0)

    @property
    def labels(self) -> list[str]:
        """The labels, in the order of the confusion matrix."""
        return self.lines[0].records[0].labels

    @property
    def is_small(self) -> bool:
        """Whether the whole confusion matrix fits on a page."""
        return len(self.labels) <= MOST_LABELS

    def mistakes(self, line: Line) -> list[tuple[str, str, int]]:
        """Return (gold, predicted, count) of the most frequent mistakes."""
        counts = self.confusion(line)
        cells = [(int(counts[i, j]), i, j) for i, j in zip(*np.nonzero(counts), strict=True) if i != j]
        cells.sort(key=lambda cell: (-cell[0], cell[1:]))
        return [
            (printable(self.labels[i]), printable(self.labels[j]), count)
            for count, i, j in cells[:TOP_CONFUSIONS]
        ]


def correlation(confusion: np.ndarray) -> float:
    """Return Matthews' correlation coefficient of counts [gold, predicted] (Gorodkin 2004: several labels).

    It is 0 if every row has one label, or if every answer is the same.
    """
    gold, predicted, rows = confusion.sum(1), confusion.sum(0), confusion.sum()
    covariance = np.trace(confusion) * rows - gold @ predicted
    spread = np.sqrt(float(rows**2 - gold @ gold)) * np.sqrt(float(rows**2 - predicted @ predicted))
    return 0.0 if spread == 0 else float(covariance / spread)


def sections(records: Sequence[RunRecord]) -> list[Section]:
    """Group records by data set and method, in the given order."""
    by_data: dict[str, dict[str, list[RunRecord]]] = {}
    for record in records:
        by_data.setdefault(record.data, {}).setdefault(record.method, []).append(record)
    order = list(Method)
    return [
        Section(name, tuple(Line(m, tuple(runs[m])) for m in sorted(runs, key=order.index)))
        for name, runs in by_data.items()
    ]
