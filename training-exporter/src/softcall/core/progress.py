"""Progress of long work: a live line while a step runs, and a permanent line when it ends."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from softcall.core.printable import printable

QUIET = Console(quiet=True)


@contextmanager
def step(
    console: Console, description: str, total_bytes: int | None = None
) -> Iterator[Callable[[int], None]]:
    """Show that `description` is running; yield a function that adds the number of processed bytes."""
    description = escape(printable(description))  # it may name a file
    columns = [SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()]
    if total_bytes:
        columns += [BarColumn(), DownloadColumn()]
    start = time.monotonic()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=total_bytes)
        yield lambda count: progress.advance(task, count)
    size = f", {total_bytes:,} bytes" if total_bytes else ""
    console.print(f"  {description}{size}, {time.monotonic() - start:.1f} s", highlight=False)
