"""The checkpoint of a training run; it is complete even after a kill."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.core.printable import printable
from softcall.core.regular_file import open_regular

FILE = "checkpoint.pt"
SCHEMA = 3


@dataclass
class LearnerState:
    """The state of a learner.

    `learnt` and `optimizer` are those of the run's last checkpoint, or of the step after which the learner
    was dropped. `best` has the values with the highest dev accuracy so far (of equals, the lowest dev loss),
    from `best_step`; `stale` counts the evaluations since. `steps` counts its steps. `curve` has the points
    (step, loss, gradient norm), `evaluations` the points (step, dev accuracy, dev loss), `norms` the latest
    gradient norms. Where rows have any number of labels, micro-F1 stands for the accuracy.
    """

    learnt: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    stale: int = 0
    steps: int = 0
    norms: list[float] = field(default_factory=list)
    dropped: str = ""  # the reason for dropping it; empty while it learns
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)


@dataclass
class RunState:
    """The state that a run needs to resume: its step, and the states of its learners."""

    step: int
    learners: list[LearnerState]


def save(folder: Path, identity: dict[str, Any], state: RunState) -> None:
    """Replace the folder's checkpoint atomically."""
    stored = {"step": state.step, "learners": [vars(learner) for learner in state.learners]}
    content = io.BytesIO()  # in memory, because torch.save has its own errors for a full disk
    torch.save({"schema": SCHEMA, "identity": identity, "state": stored}, content)
    write_file(folder / FILE, content.getbuffer())


def load(folder: Path, identity: dict[str, Any]) -> RunState | None:
    """Return the folder's checkpoint, on the CPU, or None if there is none.

    Raises `SoftcallError` for a checkpoint of another run, and for a file that is not a checkpoint.
    """
    path = folder / FILE
    advice = "delete it or give another --run-dir"
    if not path.exists():
        return None
    try:
        with open_regular(path) as file:
            stored = torch.load(file, map_location="cpu", weights_only=True)
        schema, found, state = stored["schema"], stored["identity"], stored["state"]
    except Exception as error:  # torch.load raises many types of error
        reason = str(error).partition("\n")[0][:200]
        raise SoftcallError(f"{path} is not a checkpoint of a training run ({reason}); {advice}") from None
    if schema != SCHEMA:
        raise SoftcallError(f"{path} has schema {schema}, expected {SCHEMA}; {advice}")
    differing = [
        f"{name} is {found.get(name)!r} there and {identity.get(name)!r} here"
        for name in sorted(found.keys() | identity.keys())
        if found.get(name) != identity.get(name)
    ]
    if differing:
        told = printable("; ".join(differing), 300)  # a longer text would cut off the advice
        raise SoftcallError(f"{path} belongs to another run: {told}; {advice}")
    return RunState(state["step"], [LearnerState(**learner) for learner in state["learners"]])
