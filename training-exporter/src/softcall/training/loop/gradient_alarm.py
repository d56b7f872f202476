"""When a run's gradients are no longer worth following. Norms are those before clipping."""

import statistics
from collections.abc import Sequence

WINDOW = 50  # steps that are looked at

# AdamW adds 1e-8 to the size of each gradient that it divides by: a prompt of 10,000 values whose gradients
# are as small as that has this norm, and hardly moves any more.
VANISHING_NORM = 1e-6

# Times the median of the window, and times the norm that gradients are clipped to: where nearly everything is
# learnt, a single hard batch is far above the median, and harmless.
EXPLODING_MEDIANS = 100.0
EXPLODING_CLIPS = 10.0
EXPLODING_STEPS = 5  # in a row: one such step is clipped, and forgotten


def window(norms: Sequence[float], norm: float) -> list[float]:
    """The norms [up to `WINDOW`] that matter after a step with `norm`."""
    return [*norms, norm][-WINDOW:]


def vanished(norms: Sequence[float]) -> bool:
    """Whether a whole window of gradients was too small to learn from."""
    return len(norms) == WINDOW and max(norms) < VANISHING_NORM


def exploding_steps(norms: Sequence[float], clip_norm: float) -> int:
    """How many of the latest steps, in a row, had a gradient far above the usual."""
    bound = max(EXPLODING_MEDIANS * statistics.median(norms), EXPLODING_CLIPS * clip_norm)
    return next((i for i, norm in enumerate(reversed(norms)) if norm <= bound), len(norms))
