"""Which cores what is measured has, and which the store, the load and the bench itself.

Undivided, all share all. Divided, what is measured has its cores to itself, as a function has that is not on
one machine with its store and its callers.
"""

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Indivisible(Exception):
    """Cores that this process has not, or that leave none to others."""


_measured: frozenset[int] | None = None


def divide(chosen: Collection[int]) -> None:
    """Keep `chosen` for what is measured; this process, and what it starts, have the others from now on.

    Raises `Indivisible` where this process may not use one of them, or where none is left.
    """
    global _measured
    here = os.sched_getaffinity(0)
    if unknown := sorted(set(chosen) - here):
        raise Indivisible(f"there is no core {', '.join(map(str, unknown))}, expected some of {sorted(here)}")
    if not chosen or not here - set(chosen):
        raise Indivisible(
            f"cores {sorted(set(chosen))} leave none to what is measured, or none to the store and the load;"
            f" expected some of {sorted(here)}, not all"
        )
    _measured = frozenset(chosen)
    os.sched_setaffinity(0, here - _measured)


@contextlib.contextmanager
def at_most_measured(count: int) -> Iterator[None]:
    """Leave `count` cores to what is measured in the block. Where it has no more of them, nothing changes.

    Raises `Indivisible` where `count` is 1 and there is only one core.
    """
    global _measured
    before, here = _measured, os.sched_getaffinity(0)
    all_measured = sorted(before or here)
    if count >= len(all_measured) and (before or count > 1):
        yield
        return
    os.sched_setaffinity(0, here | (before or frozenset()))
    try:
        divide(all_measured[-count:])
        yield
    finally:
        _measured = before
        os.sched_setaffinity(0, here)


def measured_count() -> int:
    """How many cores what is measured has."""
    return len(_measured or os.sched_getaffinity(0))


def other_count() -> int:
    """How many cores the store, the load and the bench have to themselves."""
    return len(os.sched_getaffinity(0)) if _measured else 0


@contextlib.contextmanager
def measured() -> Iterator[None]:
    """Give processes that this thread starts in the block the cores of what is measured."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, _measured or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def in_measured_process(work: Callable[[], T]) -> T:
    """The result of `work`, called in a new process whose libraries see the measured cores alone."""
    with measured(), ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()
