"""Scoring: the logits of examples, and the metrics that follow from them."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from accelerate.utils import gather_object
from torch import nn

from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.scores import Scores
from softcall.evaluation.temperature import confidences, cross_entropy, fit_temperature
from softcall.training.compute.processes import rows_of_process
from softcall.training.inputs.examples import Examples


@dataclass(frozen=True)
class Result:
    """Scored examples: logits [rows, labels] and the right answers int [rows]."""

    labels: tuple[str, ...]
    logits: np.ndarray
    answers: np.ndarray
    temperature: float = 1.0

    @cached_property
    def scores(self) -> Scores:
        """The predicted labels beside the right ones."""
        gold = tuple(self.labels[i] for i in self.answers)
        predicted = tuple(self.labels[i] for i in self.logits.argmax(axis=1))
        return Scores(self.labels, gold, predicted, tuple(self.confidence.tolist()))

    @property
    def confidence(self) -> np.ndarray:
        """The largest probability of each row, float64 [rows]."""
        return confidences(self.logits, self.temperature)

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
    def metrics(self) -> dict[str, float]:
        """The metrics that are recorded."""
        scores = self.scores
        return {
            "accuracy": scores.accuracy,
            "macro_f1": scores.macro_f1,
            "loss": self.loss,
            "calibration_error": scores.calibration_error,
            "rows": scores.rows,
        }

    @property
    def told(self) -> str:
        """The metrics in words."""
        return (
            f"accuracy {self.scores.accuracy:.4f}, macro-F1 {self.scores.macro_f1:.4f}, loss {self.loss:.3f}"
        )


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
    return Result(labels, logits, examples.answers)
