"""The outcome of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from softcall.datasets.rows import Row
from softcall.evaluation.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """How a task did on a file: its scores, what answered, how long a text took (in batches, all stages)."""

    scores: Scores
    answered_by: str
    versions: tuple[str, ...]  # of the served task, in the order seen; empty for PyTorch
    ms_per_text: float


def gold_labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """The labels of rows that all have one."""
    return tuple(row.label for row in rows if row.label is not None)
