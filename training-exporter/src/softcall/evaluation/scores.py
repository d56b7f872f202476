"""Scores of a classifier: accuracy with its interval, macro-F1, calibration error, labels, confusions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

CALIBRATION_BINS = 15
Z_95 = 1.959963984540054  # the normal distribution's 97.5 % point


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of a proportion (Wilson 1927), valid for few trials and near 0 and 1 too."""
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes of {trials} trials")
    share, square = successes / trials, Z_95 * Z_95
    centre = (share + square / (2 * trials)) / (1 + square / trials)
    half = (
        Z_95
        * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
        / (1 + square / trials)
    )
    return max(0.0, centre - half), min(1.0, centre + half)


def f1_score(right: int, predicted: int, rows: int) -> float:
    """Return F1 of `rows` in gold, `predicted` in predictions and `right` in both; 0 without any."""
    return float(2 * right / max(predicted + rows, 1))


def expected_calibration_error(confidence: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error, with 15 bins of equal width (Guo et al. 2017).

    `confidence` float [rows] in [0, 1], `right` bool [rows]; a bin includes its upper end.
    """
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.zeros(CALIBRATION_BINS)
    np.add.at(gaps, bins, right.astype(float) - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


@dataclass(frozen=True)
class LabelScore:
    """The scores of a label."""

    label: str
    precision: float  # 0 where it was never predicted
    recall: float  # 0 where it has no rows
    f1: float
    rows: int


@dataclass(frozen=True)
class Scores:
    """Gold and predicted labels of the same rows. The prediction None abstains, and counts as wrong.

    `confidences` are the probabilities of the best labels, if they are known.
    """

    labels: tuple[str, ...]
    gold: tuple[str, ...]
    predicted: tuple[str | None, ...]
    confidences: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse different numbers of rows, no rows, and unknown labels."""
        if not self.gold or len(self.gold) != len(self.predicted):
            raise ValueError(f"{len(self.gold)} gold labels and {len(self.predicted)} predictions")
        if self.confidences is not None and len(self.confidences) != len(self.gold):
            raise ValueError(f"{len(self.gold)} gold labels and {len(self.confidences)} confidences")
        unknown = (set(self.gold) | set(self.predicted)) - set(self.labels) - {None}
        if unknown:
            raise ValueError(f"labels {sorted(unknown)} are not listed")

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.gold)

    @property
    def abstained(self) -> int:
        """The number of predictions that abstained."""
        return sum(label is None for label in self.predicted)

    @property
    def right(self) -> int:
        """The number of predictions that equal their gold label."""
        return int(np.trace(self.confusion[:, :-1]))

    @property
    def accuracy(self) -> float:
        """The share of right predictions."""
        return self.right / self.rows

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the accuracy."""
        return wilson_interval(self.right, self.rows)

    @property
    def macro_f1(self) -> float:
        """The mean F1 over labels that occur in gold or predictions, as scikit-learn defines it."""
        predicted = self.confusion[:, :-1].sum(axis=0)
        return float(
            np.mean([score.f1 for score, n in zip(self.per_label, predicted, strict=True) if score.rows or n])
        )

    @property
    def calibration_error(self) -> float | None:
        """The expected calibration error of the answered rows; None without confidences or answers."""
        if self.confidences is None or self.abstained == self.rows:
            return None
        answered = [
            (confidence, gold == predicted)
            for confidence, gold, predicted in zip(self.confidences, self.gold, self.predicted, strict=True)
            if predicted is not None
        ]
        confidence, right = map(np.array, zip(*answered, strict=True))
        return expected_calibration_error(confidence, right)

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts int [labels, labels + 1]: row gold, column predicted, the last column abstained."""
        index = {label: i for i, label in enumerate(self.labels)}
        counts = np.zeros((len(self.labels), len(self.labels) + 1), int)
        columns = [len(self.labels) if label is None else index[label] for label in self.predicted]
        np.add.at(counts, ([index[label] for label in self.gold], columns), 1)
        return counts

    @cached_property
    def per_label(self) -> tuple[LabelScore, ...]:
        """Precision, recall and F1 of each label, in the order of `labels`."""
        right = np.diagonal(self.confusion[:, :-1])
        predicted, rows = self.confusion[:, :-1].sum(axis=0), self.confusion.sum(axis=1)
        precision, recall = right / np.maximum(predicted, 1), right / np.maximum(rows, 1)
        f1 = 2 * right / np.maximum(predicted + rows, 1)
        table = zip(self.labels, precision, recall, f1, rows, strict=True)
        return tuple(LabelScore(label, float(p), float(r), float(f), int(n)) for label, p, r, f, n in table)

    def confusions(self) -> list[tuple[str, str | None, int]]:
        """Return (gold, predicted, count) of every kind of mistake, the most frequent first."""
        columns: Sequence[str | None] = (*self.labels, None)
        pairs = [
            (self.labels[i], columns[j], int(self.confusion[i, j]))
            for i, j in zip(*np.nonzero(self.confusion), strict=True)
            if i != j
        ]
        return sorted(pairs, key=lambda pair: -pair[2])
