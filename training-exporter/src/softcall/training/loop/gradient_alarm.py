"""Detects vanishing and exploding gradients from their norms before clipping."""

import statistics
from collections.abc import Sequence

WINDOW = 50  # steps

# AdamW divides by the size of each gradient plus 1e-8. A prompt of 10,000 values with gradients of that size
# has this norm, and hardly moves. A KV prompt has twenty times as many, so its run ends later than it could.
VANISHING_NORM = 1e-6

# Multiples of the window's median, and of the clipping norm. The second one matters late in training, when a
# single hard batch is far above the median, and harmless.
EXPLODING_MEDIANS = 100.0
EXPLODING_CLIPS = 10.0
EXPLODING_STEPS = 5  # consecutive; clipping handles a single one


def window(norms: Sequence[float], norm: float) -> list[float]:
    """Return the norms [up to `WINDOW`] to keep after a step with `norm`."""
    return [*norms, norm][-WINDOW:]


def vanished(norms: Sequence[float]) -> bool:
    """Whether the gradients of a whole window were too small to learn from."""
    return len(norms) == WINDOW and max(norms) < VANISHING_NORM


def exploding_steps(norms: Sequence[float], clip_norm: float) -> int:
    """Return how many of the latest consecutive steps had a gradient far above the usual."""
    bound = max(EXPLODING_MEDIANS * statistics.median(norms), EXPLODING_CLIPS * clip_norm)
    return next((i for i, norm in enumerate(reversed(norms)) if norm <= bound), len(norms))
