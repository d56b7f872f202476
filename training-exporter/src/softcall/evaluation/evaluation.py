"""The outcome of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

from softcall.core.errors import SoftcallError
from softcall.datasets.rows import Row
from softcall.evaluation.multi_label import LabelSetScores
from softcall.evaluation.scores import Scores


@dataclass(frozen=True)
class Evaluation:
    """The scores of a task on a file, what answered, and the time per text (in batches, all stages)."""

    scores: Scores | LabelSetScores
    answered_by: str
    versions: tuple[str, ...]  # of the served task, in order of appearance; empty for PyTorch
    ms_per_text: float


def gold_labels(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the labels of labelled rows; raise `SoftcallError` for a row with a list of them."""
    for row in rows:
        if row.labels is not None:
            raise SoftcallError(f"{row.where}: has a list of labels; the task gives one label to a text")
    return tuple(row.label for row in rows if row.label is not None)


def gold_sets(rows: Sequence[Row]) -> tuple[tuple[str, ...], ...]:
    """Return the sets of labels of labelled rows; a row of one label has a set of one."""
    return tuple(row.gold for row in rows if row.gold is not None)
