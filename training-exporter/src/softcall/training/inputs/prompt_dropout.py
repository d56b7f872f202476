"""Prompt dropout: each step takes other numbers of a prompt back to their start, so that none is relied on.

Prefix tuning drops numbers of the keys and values themselves (Li and Liang 2021; Liu et al. 2021, "P-Tuning
v2"). These begin with those of an instruction here, without which attention would go astray, so what is
dropped is the difference from them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def kept_numbers(shape: Sequence[int], share: float, seed: int, step: int) -> Tensor | None:
    """Return factors of `shape` as a pure function of seed and step; None where nothing is dropped.

    A `share` of them is 0, and the others are 1 / (1 - share), so that their mean is 1.
    """
    if not share:
        return None
    generator = np.random.default_rng((seed, step, 1))  # token dropout draws from (seed, step)
    kept = generator.random(tuple(shape), np.float32) >= share
    return torch.from_numpy(kept).float() / (1 - share)
