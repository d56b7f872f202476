"""Scoring: the logits of examples, and the metrics that follow from them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from accelerate.utils import gather_object
from torch import nn

from softcall.artifact.metadata import DEFAULT_THRESHOLD
from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.multi_label import LabelSetScores, sigmoid
from softcall.evaluation.scores import Scores
from softcall.evaluation.temperature import confidences, cross_entropy, fit_temperature
from softcall.training.compute.processes import rows_of_process
from softcall.training.inputs.examples import Examples


@dataclass(frozen=True, eq=False)
class Result(ABC):
    """Scored examples: logits [rows, labels], and answers as `Examples` has them.

    `quality` is the metric that decides which prompt is better; `quality_name` names it.
    """

    labels: tuple[str, ...]
    logits: np.ndarray
    answers: np.ndarray
    temperature: float = 1.0

    quality_name: ClassVar[str]

    @property
    @abstractmethod
    def quality(self) -> float:
        """The share of right answers, or what takes its place, from 0 to 1."""

    @property
    @abstractmethod
    def chance(self) -> float:
        """The quality of a prompt that has learnt nothing."""

    @property
    @abstractmethod
    def metrics(self) -> dict[str, float]:
        """The metrics that are recorded."""

    @cached_property
    def loss(self) -> float:
        """Mean cross-entropy."""
        return cross_entropy(self.logits / self.temperature, self.answers)

    @property
    def calibrated(self) -> Self:
        """The same logits with the temperature that fits these answers."""
        return replace(self, temperature=fit_temperature(self.logits, self.answers))

    def beside(self, other: Self) -> Self:
        """Append the rows of another result with the same labels."""
        logits = np.concatenate([self.logits, other.logits])
        return replace(self, logits=logits, answers=np.concatenate([self.answers, other.answers]))

    @property
    def quality_told(self) -> str:
        """The name of the quality, for people."""
        return self.quality_name.replace("_f1", "-F1")

    @property
    def told(self) -> str:
        """The metrics in words."""
        return (
            f"{self.quality_told} {self.quality:.4f}, macro-F1 {self.metrics['macro_f1']:.4f},"
            f" loss {self.loss:.3f}"
        )


class LabelResult(Result):
    """Scored examples of one label each: answers int [rows]."""

    quality_name = "accuracy"

    @cached_property
    def scores(self) -> Scores:
        """The predicted labels beside the right ones."""
        gold = tuple(self.labels[i] for i in self.answers)
        predicted = tuple(self.labels[i] for i in self.logits.argmax(axis=1))
        return Scores(self.labels, gold, predicted, tuple(self.confidence.tolist()))

    @property
    def quality(self) -> float:
        """The accuracy."""
        return self.scores.accuracy

    @property
    def chance(self) -> float:
        """The share of the most frequent label."""
        return float(np.bincount(self.answers).max() / len(self.answers))

    @property
    def confidence(self) -> np.ndarray:
        """The largest probability of each row, float64 [rows]."""
        return confidences(self.logits, self.temperature)

    @property
    def metrics(self) -> dict[str, float]:
        """Accuracy, macro-F1, loss, calibration error, and the number of rows."""
        scores = self.scores
        return {
            "accuracy": scores.accuracy,
            "macro_f1": scores.macro_f1,
            "loss": self.loss,
            "calibration_error": scores.calibration_error,
            "rows": scores.rows,
        }


@dataclass(frozen=True, eq=False)
class LabelSetResult(Result):
    """Scored examples of any number of labels each: answers bool [rows, labels], and labels' thresholds."""

    quality_name = "micro_f1"

    thresholds: tuple[float, ...] | None = None  # None: `DEFAULT_THRESHOLD` for each label

    @property
    def probabilities(self) -> np.ndarray:
        """The probability of each label, float64 [rows, labels]."""
        return sigmoid(self.logits / self.temperature)

    @cached_property
    def scores(self) -> LabelSetScores:
        """The predicted sets of labels beside the right ones."""
        thresholds = DEFAULT_THRESHOLD if self.thresholds is None else np.array(self.thresholds)
        return LabelSetScores(self.labels, self.answers, self.probabilities >= thresholds)

    @property
    def quality(self) -> float:
        """Micro-F1."""
        return self.scores.micro_f1

    @property
    def chance(self) -> float:
        """A prompt that has learnt nothing predicts no label."""
        return 0.0

    @property
    def metrics(self) -> dict[str, float]:
        """Micro-F1, macro-F1, the share of sets without a fault, loss, and the number of rows."""
        scores = self.scores
        return {
            "micro_f1": scores.micro_f1,
            "macro_f1": scores.macro_f1,
            "exact_match": scores.exact_match,
            "loss": self.loss,
            "rows": scores.rows,
        }


def recorded(results: Mapping[str, Result]) -> dict[str, float]:
    """Return the metrics of results by the names of parts, such as `dev_accuracy`."""
    return {
        f"{name}_{key}": value for name, result in results.items() for key, value in result.metrics.items()
    }


def score(
    classifier: PromptedClassifier, exact: nn.Module, examples: Examples, labels: tuple[str, ...]
) -> Result:
    """Score examples with the float32 trunk, as servers compute them.

    Each process scores its share of the rows, and all of them get the whole result.
    """
    parts = gather_object([classifier.score(exact, examples.ids[rows_of_process()])])
    logits = np.empty((len(examples.ids), len(labels)), np.float64)
    for process, part in enumerate(parts):
        logits[rows_of_process(process)] = part
    kind = LabelSetResult if examples.answers.ndim == 2 else LabelResult
    return kind(labels, logits, examples.answers)
