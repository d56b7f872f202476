"""What a variant needs to write texts: its decode graph, its vocabulary head, logits to check them by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from softcall.core.errors import SoftcallError

GOLDEN_LOGITS = 8


@dataclass(frozen=True, eq=False)
class GoldenLogits:
    """The largest logits, float32 [8], that PyTorch computed behind the golden row, and their token ids."""

    ids: tuple[int, ...]
    logits: np.ndarray
    tolerance: float

    def __post_init__(self):
        if len(self.ids) != GOLDEN_LOGITS or len(set(self.ids)) != GOLDEN_LOGITS or min(self.ids) < 0:
            raise SoftcallError(
                f"generation.golden.ids: {list(self.ids)}; {GOLDEN_LOGITS} token ids are expected"
            )
        if self.logits.shape != (GOLDEN_LOGITS,):
            raise SoftcallError(
                f"generation.golden.logits: {self.logits.shape}; [{GOLDEN_LOGITS}] is expected"
            )
        if not (np.isfinite(self.logits).all() and np.abs(self.logits).max() > 0):
            raise SoftcallError("generation.golden.logits: finite numbers, not all zero, are expected")
        if not 0 < self.tolerance < 1:
            raise SoftcallError(
                f"generation.golden.tolerance: {self.tolerance}; a number between 0 and 1 is expected"
            )

    @classmethod
    def largest_of(cls, logits: np.ndarray, tolerance: float) -> "GoldenLogits":
        """Return the largest of the logits [vocabulary]; of equal ones those with lower ids."""
        ids = np.argsort(-logits, kind="stable")[:GOLDEN_LOGITS]
        return cls(tuple(ids.tolist()), logits[ids], tolerance)

    def difference(self, logits: np.ndarray) -> float:
        """Return the error of logits [vocabulary], relative to the largest expected one.

        It counts how far these logits are off, and how far any other exceeds them. Not finite is infinity.
        """
        others = np.delete(logits, self.ids)
        wrong = max(np.abs(logits[list(self.ids)] - self.logits).max(), others.max() - self.logits.min(), 0)
        difference = float(wrong / np.abs(self.logits).max())
        return difference if np.isfinite(logits).all() else np.inf


@dataclass(frozen=True, eq=False)
class Generation:
    """The graphs of a variant that writes texts, and the sha256 of their files, as paths inside the bundle.

    The files of the variant itself, which these graphs also read, are not among them.
    """

    decode: str
    lm_head: str
    files: Mapping[str, str]
    golden: GoldenLogits

    def __post_init__(self):
        for graph in self.graphs:
            if graph not in self.files:
                raise SoftcallError(
                    f"generation: the graph {graph} is missing among its files {sorted(self.files)}"
                )

    @property
    def graphs(self) -> tuple[str, str]:
        """The two graphs."""
        return self.decode, self.lm_head

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Generation":
        """Read what `record` returns."""
        golden = record["golden"]
        logits = np.array(golden["logits"], np.float32)
        return cls(
            record["decode"],
            record["lm_head"],
            record["files"],
            GoldenLogits(tuple(map(int, golden["ids"])), logits, golden["tolerance"]),
        )

    def record(self) -> dict[str, Any]:
        """Return the fields as `base.json` has them."""
        return {
            "decode": self.decode,
            "lm_head": self.lm_head,
            "files": dict(self.files),
            "golden": {
                "ids": list(self.golden.ids),
                "logits": [shortest_float(x) for x in self.golden.logits],
                "tolerance": self.golden.tolerance,
            },
        }


def shortest_float(value: np.float32) -> float:
    """Return the number with the fewest digits that is read back as the same float32."""
    return float(str(np.float32(value)))
