"""A run: what its learners share."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from softcall.training.inputs.examples import Examples
from softcall.training.settings.config import TrainConfig

MOST_POSITIVE_WEIGHT = 100.0


@dataclass(frozen=True)
class Run:
    """What the learners of a run share.

    `trunk` computes the steps; `exact`, with the same weights in float32, scores dev. `folder` keeps
    checkpoints and curves; a run without a folder cannot resume. Of several processes only the main one has a
    folder. With `halving` the worse learners are dropped on the way; without it all of them continue to the
    end.
    """

    config: TrainConfig
    trunk: nn.Module
    exact: nn.Module
    train: Examples
    dev: Examples
    labels: tuple[str, ...]
    folder: Path | None
    identity: dict[str, Any]
    console: Console
    halving: bool = True

    @cached_property
    def class_weights(self) -> Tensor | None:
        """Weights [labels] with which all labels count the same; None if all rows count the same.

        Where rows have any number of labels, these are weights of the rows that have a label, so that they
        count as much as those without it, but at most `MOST_POSITIVE_WEIGHT`.
        """
        if not self.config.class_balanced:
            return None
        answers, device = self.train.answers, next(self.exact.parameters()).device
        if answers.ndim == 2:
            positive = answers.sum(axis=0)
            weights = np.minimum((len(answers) - positive) / np.maximum(positive, 1), MOST_POSITIVE_WEIGHT)
            return torch.from_numpy(weights).float().to(device)
        counts = np.bincount(self.train.answers, minlength=len(self.labels))
        weights = len(self.train.answers) / (len(self.labels) * np.maximum(counts, 1))
        return torch.from_numpy(weights).float().to(device)
