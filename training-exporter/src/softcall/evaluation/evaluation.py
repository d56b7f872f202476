"""The outcome of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from softcall.datasets.rows import Row
from softcall.evaluation.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """The scores of a task on a file, what answered, and the time per text (in batches, all stages)."""

    scores: Scores
    answered_by: str
    versions: tuple[str, ...]  # of the served task, in order of appearance; empty for PyTorch
    ms_per_text: float


def gold_labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the labels of labelled rows."""
    return tuple(row.label for row in rows if row.label is not None)
