"""The interface of a store of tasks: `s3://bucket/prefix` on any S3-compatible server, or `file:/dir`.
A store knows task names, bytes and versions; it does not interpret the bytes. A task is one object,
`<task>/adapter_model.safetensors`; beside it lies `adapter_config.json`, which lets PEFT load the folder and
which servers never read.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from softcall.artifact.bounds import require_artifact_bytes
from softcall.core.errors import SoftcallError

OBJECT = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
MAX_TASK_CHARACTERS = 200
PAGE_TASKS = 1_000

_SEGMENT = "[a-z0-9][a-z0-9._-]*"
_TASK = re.compile(f"{_SEGMENT}(?:/{_SEGMENT})*")
_SHOWN_CHARACTERS = 60


class Condition(Enum):
    """A precondition for writing a task, other than a given version."""

    NONE = "whatever is stored is replaced"
    ABSENT = "the task is not stored yet"


@dataclass(frozen=True)
class StoredTask:
    """A task in a listing; `version` changes with the content."""

    task: str
    version: str
    bytes: int
    modified: datetime


@dataclass(frozen=True)
class Page:
    """Tasks in ascending order of their keys; `next` is the `after` of the next page, None on the last."""

    tasks: tuple[StoredTask, ...]
    next: str | None


def valid_task(name: str) -> bool:
    """Whether `name` is a task name; no other name reaches a store."""
    return len(name) <= MAX_TASK_CHARACTERS and _TASK.fullmatch(name) is not None


def check_task(name: str) -> str:
    """Return `name`; raise `SoftcallError` unless it is a task name."""
    if not valid_task(name):
        shown = repr(name[:_SHOWN_CHARACTERS]) + ("..." if len(name) > _SHOWN_CHARACTERS else "")
        raise SoftcallError(
            f"task name {shown}: expected segments of a-z 0-9 . _ - that begin with a letter or digit,"
            f" joined by '/', at most {MAX_TASK_CHARACTERS} characters"
        )
    return name


class Store(ABC):
    """A store of tasks.

    Every method raises `SoftcallError` for an invalid task name, and if the store is unreachable, does not
    exist, or refuses the credentials.
    """

    @property
    @abstractmethod
    def address(self) -> str:
        """The address of the store, as users write it."""

    @abstractmethod
    def get(self, task: str) -> tuple[bytes, str]:
        """Return (bytes, version) of a task's object; raise `SoftcallError` if it is missing or too large."""

    @abstractmethod
    def put(self, task: str, data: bytes, config: bytes, expected: str | Condition = Condition.NONE) -> str:
        """Write a task's object atomically, then its `adapter_config.json`; return the new version.

        `expected` is the version that must be stored now, or a condition. If it does not hold, nothing is
        written, and `SoftcallError` says what is stored instead.
        """

    @abstractmethod
    def delete(self, task: str) -> None:
        """Remove a task's object and its `adapter_config.json`; raise `SoftcallError` for a missing task."""

    @abstractmethod
    def list(self, after: str = "", limit: int = PAGE_TASKS) -> Page:
        """Return at most `limit` tasks after `after` (a page's `next`; empty for the first page)."""

    def tasks(self) -> Iterator[StoredTask]:
        """Yield all tasks, page by page."""
        page = self.list()
        yield from page.tasks
        while page.next is not None:
            page = self.list(page.next)
            yield from page.tasks

    def _missing(self, task: str) -> SoftcallError:
        return SoftcallError(f"store {self.address} has no task {task}")

    def _check_size(self, task: str, size: int) -> None:
        require_artifact_bytes(size, f"store {self.address}: task {task}")

    def _not_as_expected(self, task: str, expected: str | Condition, current: str | None) -> SoftcallError:
        """Return the error of a conditional write that found version `current` (None: no such task)."""
        stored = f"is at version {current}" if current is not None else "is not stored"
        wanted = "expected no such task" if expected is Condition.ABSENT else f"expected version {expected}"
        return SoftcallError(f"store {self.address}: task {task} {stored}; {wanted}, so nothing was written")
