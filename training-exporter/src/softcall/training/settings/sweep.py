"""Sweeps: their candidates, and successive halving (Jamieson and Talwalkar 2016)."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple, Self

from softcall.artifact.metadata import PromptType
from softcall.core.errors import SoftcallError
from softcall.training.settings.prompt_init import PromptInit

MAX_CANDIDATES = 64

LEARNING_RATES = {PromptType.SOFT: 0.005, PromptType.KV: 0.01}
"""The peak learning rates of prompts where none is given."""

# After this share of the steps one candidate is left; each earlier halving comes at half the share of the
# next one. So a sweep of K computes 1 + 0.4 log2(K) times the rows of a single run: 2.2 for K = 8.
LAST_HALVING = 0.4


@dataclass(frozen=True)
class Candidate:
    """The settings of a run that a sweep varies; `settled` replaces a learning rate of None."""

    learning_rate: float | None
    init: PromptInit
    tokens: int
    seed: int
    prompt: PromptType = PromptType.SOFT

    @property
    def settled(self) -> Self:
        """These settings with a learning rate: where there is none, that of the prompt's type."""
        return (
            self
            if self.learning_rate is not None
            else replace(self, learning_rate=LEARNING_RATES[self.prompt])
        )

    @property
    def told(self) -> dict[str, Any]:
        """The settings as plain JSON."""
        return asdict(self) | {"init": self.init.value, "prompt": self.prompt.value}

    @property
    def identity(self) -> dict[str, Any]:
        """The settings as runs are compared by them: of soft prompts these say no type, and never did."""
        return {
            name: value for name, value in self.told.items() if (name, value) != ("prompt", PromptType.SOFT)
        }

    def varied(self, text: str) -> Self:
        """Return this candidate with the settings in `text`, such as `learning-rate=0.03,prompt=kv`."""
        changes: dict[str, Any] = {}
        for pair in text.split(","):
            name, equals, value = pair.partition("=")
            field = name.strip().replace("-", "_")
            if not equals or field not in _KINDS or field in changes:
                raise SoftcallError(
                    f"--candidate {text!r}: expected NAME=VALUE, joined by commas, with each of the names "
                    f"{', '.join(_KINDS).replace('_', '-')} at most once"
                )
            try:
                changes[field] = _KINDS[field](value.strip())
            except ValueError:
                raise SoftcallError(f"--candidate {text!r}: {name.strip()} cannot be {value!r}") from None
        return replace(self, **changes)


_KINDS = {"learning_rate": float, "init": PromptInit, "tokens": int, "seed": int, "prompt": PromptType}

# (start, factor of the learning rate), the most promising first; None stands for the run's own start.
_GRID: tuple[tuple[PromptInit | None, float], ...] = (
    (None, 1.0),
    (None, 3.0),
    (None, 1 / 3),
    (PromptInit.LABELS, 1.0),
    (PromptInit.VOCAB, 1.0),
    (PromptInit.LABELS, 3.0),
    (PromptInit.VOCAB, 3.0),
    (PromptInit.RANDOM, 1.0),
)


def default_candidates(own: Candidate, count: int) -> tuple[Candidate, ...]:
    """Return `count` candidates: the run's own settings, then the grid, then the grid with the next seeds."""
    candidates: list[Candidate] = []
    for number in range(count * len(_GRID)):
        init, factor = _GRID[number % len(_GRID)]
        candidate = replace(
            own,
            init=init or own.init,
            learning_rate=own.learning_rate * factor,
            seed=own.seed + number // len(_GRID),
        )
        if candidate not in candidates:  # the run's own start may be in the grid
            candidates.append(candidate)
    return tuple(candidates[:count])


def halvings(candidates: int, steps: int) -> dict[int, int]:
    """Return a map from steps to the number of candidates that continue: half of them each time, rounded up.

    In a short run several halvings may fall on one step.
    """
    kept: dict[int, int] = {}
    times = math.ceil(math.log2(candidates))
    for time in range(1, times + 1):
        candidates = (candidates + 1) // 2
        kept[max(1, round(LAST_HALVING * steps / 2 ** (times - time)))] = candidates
    return kept


def halvings_by_type(candidates: Sequence[Candidate], steps: int) -> dict[int, dict[PromptType, int]]:
    """Return a map from steps to how many candidates of each type continue from there.

    Each type is halved by itself, to its best one, because it learns at a pace of its own.
    """
    kept: dict[int, dict[PromptType, int]] = {}
    for prompt in PromptType:
        count = sum(candidate.prompt == prompt for candidate in candidates)
        for step, number in (halvings(count, steps) if count else {}).items():
            kept.setdefault(step, {})[prompt] = number
    return dict(sorted(kept.items()))


class Standing(NamedTuple):
    """A candidate's scores on dev: its best accuracy, the loss there, and the current calibrated loss."""

    accuracy: float
    loss: float
    calibrated_loss: float


def going_on(standings: Sequence[Standing], majority: float, rows: int, count: int) -> list[int]:
    """Return the indices, in order, of the `count` candidates that continue.

    Candidates that have begun to learn come first, by accuracy: it exceeds `majority`, the share of dev's
    most frequent label, by more than about a standard error of its `rows`. The others may stay at that share
    for hundreds of steps; they are ranked by their calibrated loss, which falls before accuracy rises. Losses
    that differ by less than about a standard error are equal, and of equals the first continue: before anyone
    has begun, these are the most promising.
    """
    error = 1 / math.sqrt(rows)

    def rank(i: int) -> tuple[float, ...]:
        each = standings[i]
        if each.accuracy > majority + error:
            return 0, -each.accuracy, each.loss, i
        return 1, math.floor(each.calibrated_loss / error), i

    return sorted(sorted(range(len(standings)), key=rank)[:count])


def ranking(reached: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of (dev accuracy, dev loss) at the end, the best first; the sort is stable."""
    return sorted(range(len(reached)), key=lambda i: (-reached[i][0], reached[i][1], i))
