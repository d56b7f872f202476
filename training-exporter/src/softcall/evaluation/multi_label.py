"""Tasks of any number of labels for a text: thresholds, and F1 scores."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from softcall.artifact.metadata import DEFAULT_THRESHOLD
from softcall.datasets.label_matrix import label_matrix
from softcall.evaluation.scores import LabelScore, f1_score

_LOWEST_THRESHOLD = 1e-6


@dataclass(frozen=True, eq=False)
class LabelSetScores:
    """Gold and predicted sets of labels of the same rows, as bool [rows, labels]."""

    labels: tuple[str, ...]
    gold: np.ndarray
    predicted: np.ndarray

    def __post_init__(self) -> None:
        """Refuse no rows, and arrays of other shapes."""
        shape = (len(self.gold), len(self.labels))
        if not len(self.gold) or self.gold.shape != shape or self.predicted.shape != shape:
            raise ValueError(
                f"gold {self.gold.shape} and predicted {self.predicted.shape} of {len(self.labels)} labels"
            )

    @classmethod
    def of_sets(
        cls,
        labels: tuple[str, ...],
        gold: Sequence[Iterable[str]],
        predicted: Sequence[Iterable[str]],
    ) -> "LabelSetScores":
        """Return the scores of sets of labels; raise `ValueError` for a label that is not listed."""
        return cls(labels, label_matrix(labels, gold), label_matrix(labels, predicted))

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.gold)

    @property
    def micro_f1(self) -> float:
        """F1 over all decisions, a decision a row and label; 0 without a label in gold and predictions."""
        return f1_score(
            int((self.gold & self.predicted).sum()), int(self.predicted.sum()), int(self.gold.sum())
        )

    @property
    def macro_f1(self) -> float:
        """The mean F1 over labels that occur in gold or predictions; 0 without any."""
        occurs = (self.gold | self.predicted).any(axis=0)
        found = [score.f1 for score, seen in zip(self.per_label, occurs, strict=True) if seen]
        return float(np.mean(found)) if found else 0.0

    @property
    def exact_match(self) -> float:
        """The share of rows whose set is predicted without a fault."""
        return float((self.gold == self.predicted).all(axis=1).mean())

    @cached_property
    def per_label(self) -> tuple[LabelScore, ...]:
        """Precision, recall and F1 of each label, in the order of `labels`."""
        right, predicted, rows = (
            each.sum(axis=0) for each in (self.gold & self.predicted, self.predicted, self.gold)
        )
        return tuple(
            LabelScore(label, float(r / max(p, 1)), float(r / max(n, 1)), f1_score(r, p, n), int(n))
            for label, r, p, n in zip(self.labels, right, predicted, rows, strict=True)
        )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return probabilities of `logits`, float64 of the same shape."""
    return np.exp(-np.logaddexp(0, -np.asarray(logits, np.float64)))


def fit_thresholds(probabilities: np.ndarray, gold: np.ndarray) -> tuple[float, ...]:
    """Return a threshold in (0, 1] for each label, with the highest F1 on these rows.

    `probabilities` [rows, labels], `gold` bool of that shape. A threshold lies in the middle between two
    neighbouring probabilities; of equal ones the nearest to `DEFAULT_THRESHOLD` is taken, and that itself for
    a label that no row has.
    """
    return tuple(
        _best_threshold(np.asarray(column, np.float64), rows)
        for column, rows in zip(probabilities.T, gold.T, strict=True)
    )


def _best_threshold(probability: np.ndarray, gold: np.ndarray) -> float:
    if not gold.any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-probability, kind="stable")
    ordered, right = probability[order], np.cumsum(gold[order])
    # Rows of equal probability are predicted together, so only the last of them can be a border.
    borders = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
    scores = 2 * right[borders] / (borders + 1 + gold.sum())
    below = np.append(ordered, 0.0)[borders + 1]
    middles = (ordered[borders] + below) / 2
    best = np.flatnonzero(scores == scores.max())
    # The default lies between these two: it predicts the same rows.
    held = [i for i in best if below[i] < DEFAULT_THRESHOLD <= ordered[borders[i]]]
    if held:
        return DEFAULT_THRESHOLD
    nearest = best[np.abs(middles[best] - DEFAULT_THRESHOLD).argmin()]
    return float(np.clip(middles[nearest], _LOWEST_THRESHOLD, 1.0))
