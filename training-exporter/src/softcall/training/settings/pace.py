"""Defaults that follow from the number of training rows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """Defaults for up to `rows` rows: few rows are repeated often, in small batches that keep the noise."""

    rows: float
    dev_fraction: float
    batch_size: int
    steps: int
    eval_every: int


PACES = (
    Pace(512, dev_fraction=0.25, batch_size=8, steps=400, eval_every=40),
    Pace(4_096, dev_fraction=0.2, batch_size=16, steps=800, eval_every=80),
    Pace(float("inf"), dev_fraction=0.1, batch_size=32, steps=1_000, eval_every=100),
)


def pace_of(rows: int) -> Pace:
    """Return the defaults for this number of training rows."""
    return next(pace for pace in PACES if rows <= pace.rows)
