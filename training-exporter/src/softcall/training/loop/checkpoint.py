"""The state of a training run on disk, written so that a kill at any moment leaves a whole one."""

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
    """What one candidate of a run has reached.

    `learnt` and `optimizer` are as of the run's step, or as of the step after which it was dropped. `best` is
    what it had learnt with the highest dev accuracy so far (of equals, the lowest dev loss), at `best_step`;
    `stale` counts the evaluations since. `steps` are those it took; `curve` and `evaluations` are points
    (step, loss, gradient norm) and (step, dev accuracy, dev loss), `norms` those of the latest gradients.
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
    dropped: str = ""  # why it was dropped; empty while it goes on
    curve: list[tuple[int, float, float]] = field(default_factory=list)
    evaluations: list[tuple[int, float, float]] = field(default_factory=list)


@dataclass
class RunState:
    """What a run needs to go on as if nothing had happened: its step, and the state of each candidate."""

    step: int
    learners: list[LearnerState]


def save(folder: Path, identity: dict[str, Any], state: RunState) -> None:
    """Replace the folder's checkpoint in one step."""
    stored = {"step": state.step, "learners": [vars(learner) for learner in state.learners]}
    content = io.BytesIO()  # torch.save has errors of its own for a disk that is full
    torch.save({"schema": SCHEMA, "identity": identity, "state": stored}, content)
    write_file(folder / FILE, content.getbuffer())


def load(folder: Path, identity: dict[str, Any]) -> RunState | None:
    """The folder's checkpoint, on the CPU, or None where it has none.

    Raises `SoftcallError` when the checkpoint belongs to a run of another identity, or is no checkpoint.
    """
    path = folder / FILE
    advice = "delete it or give another --run-dir"
    if not path.exists():
        return None
    try:
        with open_regular(path) as file:
            stored = torch.load(file, map_location="cpu", weights_only=True)
        schema, found, state = stored["schema"], stored["identity"], stored["state"]
    except Exception as error:  # torch.load raises whatever its unpickler meets
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
        told = printable("; ".join(differing), 300)  # or it would push the advice out of the message
        raise SoftcallError(f"{path} belongs to another run: {told}; {advice}")
    return RunState(state["step"], [LearnerState(**learner) for learner in state["learners"]])
