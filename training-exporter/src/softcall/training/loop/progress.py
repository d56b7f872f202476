"""Progress of training: a bar with the remaining time on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from softcall.core.console import print_plain

LINE_EVERY_S = 30.0


class TrainingProgress:
    """Shows finished steps and the latest loss; without a terminal, in a line every `LINE_EVERY_S` or so."""

    def __init__(self, console: Console, steps: int, first: int) -> None:
        """An earlier process did the `first` steps; the remaining time follows from this one's pace."""
        self._console = console
        self._steps, self._first = steps, first
        self._started = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=steps, completed=first, loss=float("nan"))

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the bar."""
        self._bar.stop()

    def step(self, step: int, loss: float) -> None:
        """Show that `step` is finished."""
        self._bar.update(self._task, completed=step, loss=loss)
        if not self._console.is_terminal and time.monotonic() - self._last_line > LINE_EVERY_S:
            self.line(step, f"loss {loss:.3f}")

    def line(self, step: int, text: str) -> None:
        """Print a permanent line that begins with the step and the remaining time."""
        self._last_line = time.monotonic()
        pace = (self._last_line - self._started) / max(step - self._first, 1)
        left = timedelta(seconds=round(pace * (self._steps - step)))
        print_plain(self._console, f"step {step:>5}/{self._steps}  {left} left  {text}")
