"""The curves of a run, in TensorBoard and in trackers, by transformers' integrations."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from torch.utils.tensorboard import SummaryWriter

from softcall.core.errors import SoftcallError
from softcall.training.settings.config import Tracker


class Curves:
    """Writes the points (step, value) of each candidate of a run until it is closed."""

    def __init__(
        self,
        folder: Path | None,
        trackers: Sequence[Tracker],
        settings: Mapping[str, Any],
        candidates: int,
        step: int,
    ) -> None:
        """Open the curves of a run that continues after `step`; without a folder they write nothing.

        TensorBoard writes into the folder, or for a sweep into its folders `candidate-N`. Trackers show
        `settings`.
        """
        self._boards: list[SummaryWriter] = []
        self._trackers: list[_TrackedRun] = []
        self._candidates = candidates
        with ExitStack() as stack:
            if folder is not None:
                own = (
                    [folder / f"candidate-{i + 1}" for i in range(candidates)] if candidates > 1 else [folder]
                )
                for each in own:
                    self._boards.append(stack.enter_context(SummaryWriter(str(each), purge_step=step + 1)))
                for tracker in trackers:
                    self._trackers.append(stack.enter_context(_TrackedRun(tracker, folder, settings)))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return the open curves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Flush and close all writers."""
        self._stack.close()

    def trained(self, candidate: int, step: int, values: Mapping[str, float]) -> None:
        """Write points of the training, such as `loss`."""
        self._add("train", "", candidate, step, values)

    def scored(self, candidate: int, step: int, values: Mapping[str, float]) -> None:
        """Write points of an evaluation on dev, such as `accuracy`."""
        self._add("dev", "eval_", candidate, step, values)
        for board in self._boards:
            board.flush()

    def _add(self, part: str, prefix: str, candidate: int, step: int, values: Mapping[str, float]) -> None:
        if self._boards:
            for name, value in values.items():
                self._boards[candidate].add_scalar(f"{part}/{name}", value, step)
        if self._candidates > 1:
            prefix += f"candidate_{candidate + 1}_"
        for tracker in self._trackers:
            tracker.log(step, {prefix + name: value for name, value in values.items()})


@dataclass(frozen=True)
class _Arguments:
    """The attributes of a Trainer's arguments that the integrations read, with our settings."""

    run_name: str
    output_dir: str
    settings: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return self.settings


class _TrackedRun:
    """A run of a tracker; its callback gets the same calls as from transformers' Trainer."""

    def __init__(self, tracker: Tracker, folder: Path, settings: Mapping[str, Any]) -> None:
        from transformers import TrainerControl, TrainerState
        from transformers.integrations import MLflowCallback, WandbCallback

        try:
            self._callback = {Tracker.MLFLOW: MLflowCallback, Tracker.WANDB: WandbCallback}[tracker]()
        except RuntimeError:  # the package is missing
            raise SoftcallError(
                f"--report-to {tracker}: {tracker} is not installed: pip install 'softcall[monitor]'"
            ) from None
        self._tracker = tracker
        self._arguments = _Arguments(folder.name, str(folder), dict(settings))
        self._state, self._control = TrainerState(), TrainerControl()

    def __enter__(self) -> Self:
        try:
            self._callback.on_train_begin(self._arguments, self._state, self._control)
        except Exception as error:  # trackers share no type of error
            raise SoftcallError(f"--report-to {self._tracker}: {error}") from error
        return self

    def __exit__(self, *_ending: object) -> None:
        self._callback.on_train_end(self._arguments, self._state, self._control)

    def log(self, step: int, values: dict[str, float]) -> None:
        self._state.global_step = step
        self._callback.on_log(self._arguments, self._state, self._control, logs=values)
