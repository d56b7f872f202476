"""Cross-validation: logits of training rows, by prompts that were trained without them, for calibration."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from softcall.core.console import print_plain
from softcall.training.loop.faults import require_all
from softcall.training.loop.fit import fit
from softcall.training.loop.learner import Learner
from softcall.training.loop.run import Run
from softcall.training.loop.scoring import Result, score

# All runs have the same folds, whatever their seed.
_SEED = 0


def out_of_fold(run: Run, begin: Callable[[], Sequence[Learner]], folds: int) -> list[Result]:
    """Return logits of all training rows by learners trained without them: one result per learner.

    `begin` makes new learners for each fold. They train as in `run`, on the rows of the other folds and to
    its last step; their best step on dev scores the fold. Each fold has a folder in the run's folder. Raises
    `SoftcallError` as `softcall.training.loop.fit.fit` does.
    """
    answered: list[list[Result]] = []
    for number, held_out in enumerate(folds_of(run.train.answers, folds), 1):
        print_plain(run.console, f"calibration: fold {number} of {folds}, {len(held_out):,} rows")
        others = np.setdiff1d(np.arange(len(run.train.answers)), held_out)
        name = f"fold-{number}-of-{folds}"
        folder = run.folder and run.folder / name
        if folder:
            folder.mkdir(exist_ok=True)
        identity = run.identity | {"fold": name}
        learners = begin()
        fit(
            replace(run, train=run.train.part(others), folder=folder, identity=identity, halving=False),
            learners,
        )
        require_all(learners, f"calibration, fold {number}")
        rows = run.train.part(held_out)
        answered.append([score(each.classifier.stored(), run.exact, rows, run.labels) for each in learners])
    return [reduce(Result.beside, parts) for parts in zip(*answered, strict=True)]


def folds_of(answers: np.ndarray, folds: int) -> list[np.ndarray]:
    """Return the sorted row indices of each fold; each label's rows are spread evenly over the folds.

    `answers` are those of `Examples`; rows with any number of labels are spread by chance.
    """
    order = np.random.default_rng(_SEED).permutation(len(answers))
    if answers.ndim == 1:
        order = order[np.argsort(answers[order], kind="stable")]
    return [np.sort(order[start::folds]) for start in range(folds)]
