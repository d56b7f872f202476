"""The state of a training run on disk, written so that a kill at any moment leaves a whole one."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from softcall.errors import SoftcallError

FILE = "checkpoint.pt"
SCHEMA = 1


@dataclass
class RunState:
    """What a run needs to go on as if nothing had happened.

    `classifier` and `optimizer` are state dicts after `step` steps. `best` is the classifier's state with the
    highest dev accuracy so far (of equals, the lowest dev loss), reached at `best_step`; `stale` counts the
    evaluations since.
    """

    step: int = 0
    classifier: dict[str, Tensor] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_step: int = 0
    best_accuracy: float = -1.0
    best_loss: float = float("inf")
    stale: int = 0

    def advance(
        self, step: int, accuracy: float, loss: float, classifier: nn.Module, optimizer: torch.optim.Optimizer
    ) -> bool:
        """Take over what `step` reached on dev; whether it is the best so far."""
        better = (accuracy, -loss) > (self.best_accuracy, -self.best_loss)
        if better:
            self.best_step, self.best_accuracy, self.best_loss = step, accuracy, loss
            self.best = {
                name: value.detach().cpu().clone() for name, value in classifier.state_dict().items()
            }
        self.stale = 0 if better else self.stale + 1
        self.step, self.classifier, self.optimizer = step, classifier.state_dict(), optimizer.state_dict()
        return better


def save(folder: Path, identity: dict[str, Any], state: RunState) -> None:
    """Replace the folder's checkpoint in one step."""
    draft = folder / (FILE + ".draft")
    with draft.open("wb") as file:
        torch.save({"schema": SCHEMA, "identity": identity, "state": vars(state)}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(folder / FILE)


def load(folder: Path, identity: dict[str, Any]) -> RunState | None:
    """The folder's checkpoint, on the CPU, or None where it has none.

    Raises `SoftcallError` when the checkpoint belongs to a run of another identity, or is no checkpoint.
    """
    path = folder / FILE
    advice = "delete it or give another --run-dir"
    if not path.exists():
        return None
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        schema, found, state = stored["schema"], stored["identity"], stored["state"]
    except Exception as error:  # torch.load raises whatever its unpickler meets
        reason = str(error).partition("\n")[0]
        raise SoftcallError(f"{path} is not a checkpoint of a training run ({reason}); {advice}") from None
    if schema != SCHEMA:
        raise SoftcallError(f"{path} has schema {schema}, expected {SCHEMA}; {advice}")
    differing = [
        f"{name} is {found.get(name)!r} there and {identity.get(name)!r} here"
        for name in sorted(found.keys() | identity.keys())
        if found.get(name) != identity.get(name)
    ]
    if differing:
        raise SoftcallError(f"{path} belongs to another run: {'; '.join(differing)}; {advice}")
    return RunState(**state)
