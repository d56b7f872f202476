"""A folder as a store. A version is the sha256 of the content, so a touched file keeps its version."""

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from softcall.artifact.bounds import max_artifact_bytes
from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.core.regular_file import open_regular
from softcall.stores.store import (
    CONFIG,
    OBJECT,
    PAGE_TASKS,
    Condition,
    Page,
    Store,
    StoredTask,
    check_task,
    valid_task,
)

MAX_LISTED_TASKS = 100_000
MAX_LISTED_FOLDERS = 400_000
LOCK_TIMEOUT_S = 10.0
_LOCK_POLL_S = 0.05
# Errors of a missing object: no such name, a file in place of a folder or vice versa, a circular link.
_ABSENT = frozenset((errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP))


class FileStore(Store):
    """Tasks in folders below `root`."""

    def __init__(self, root: Path) -> None:
        """`root` need not exist before the first `put`."""
        self.root = root.absolute()

    @classmethod
    def open(cls, address: str) -> "FileStore":
        """Return the store at `file:/dir`, `file:dir` (relative), or `file:///dir` (percent-encoded URL)."""
        path = address.removeprefix("file:")
        if path.startswith("///"):
            path = unquote(path.removeprefix("//"))
        if not path or path.startswith("//") or "\x00" in path:
            raise SoftcallError(f"store {address!r}: expected file:/dir")
        return cls(Path(path))

    @property
    def address(self) -> str:
        """`file:` and the absolute path."""
        return f"file:{self.root}"

    def get(self, task: str) -> tuple[bytes, str]:
        """See `Store.get`."""
        with self._readable(task):
            data = self._read(check_task(task))
        if data is None:
            raise self._missing(task)
        return data, _version(data)

    def put(self, task: str, data: bytes, config: bytes, expected: str | Condition = Condition.NONE) -> str:
        """See `Store.put`."""
        check_task(task)
        self._check_size(task, len(data))
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for folder in self._folders_of(task):
                folder.mkdir(exist_ok=True)
            with self._locked(folder):
                if expected is not Condition.NONE:
                    self._require(task, expected)
                write_file(folder / OBJECT, data)
                write_file(folder / CONFIG, config)
        except OSError as error:
            raise SoftcallError(f"store {self.address}: task {task} cannot be written ({error})") from None
        return _version(data)

    def delete(self, task: str) -> None:
        """See `Store.delete`; folders that become empty are removed too."""
        folder = self.root / check_task(task)
        with self._readable(task):
            found = (folder / OBJECT).is_file()
            if not found:
                self._require_root()
        if not found:
            raise self._missing(task)
        list(self._folders_of(task))
        try:
            (folder / OBJECT).unlink(missing_ok=True)
            (folder / CONFIG).unlink(missing_ok=True)
        except OSError as error:
            raise SoftcallError(f"store {self.address}: task {task} cannot be removed ({error})") from None
        _remove_empty(folder, self.root)

    def list(self, after: str = "", limit: int = PAGE_TASKS) -> Page:
        """See `Store.list`."""
        with self._readable("tasks"):
            self._require_root()
            names = sorted(key for key in self._keys() if key > after)
            tasks = tuple(self._describe(key.removesuffix(f"/{OBJECT}")) for key in names[:limit])
        return Page(
            tuple(task for task in tasks if task is not None),
            names[limit - 1] if len(names) > limit else None,
        )

    def _describe(self, task: str) -> StoredTask | None:
        """Return None if the task was removed meanwhile, or if its object is not a file."""
        try:
            with open_regular(self.root / task / OBJECT) as file:
                status = os.fstat(file.fileno())
                version = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            if error.errno in _ABSENT or error.errno == errno.EINVAL:
                return None
            raise
        return StoredTask(task, version, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def _keys(self) -> Iterator[str]:
        """Yield the keys of all objects."""
        tasks = 0
        for folders, (task, holds_object) in enumerate(self._folders("", frozenset()), 1):
            tasks += holds_object
            if tasks > MAX_LISTED_TASKS or folders > MAX_LISTED_FOLDERS:
                raise SoftcallError(
                    f"store {self.address} has more than {MAX_LISTED_TASKS} tasks, the limit,"
                    f" or {MAX_LISTED_FOLDERS} folders"
                )
            if holds_object:
                yield f"{task}/{OBJECT}"

    def _folders(self, task: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, bool]]:
        """Yield (name, whether it has an object) of each folder with a task's name, from `task` down.

        `above` has the parent folders: a link back to one of them is skipped, and so is a broken link.
        """
        folder = self.root / task
        try:
            status = folder.stat()
            here = status.st_dev, status.st_ino
            if here in above:
                return
            with os.scandir(folder) as found:
                entries = {entry.name: _is_folder(entry) for entry in found}
        except OSError as error:
            if task and error.errno in _ABSENT:  # it changed a moment ago
                return
            raise
        if task:
            yield task, OBJECT in entries and not entries[OBJECT]
        for name, is_folder in entries.items():
            inner = f"{task}/{name}" if task else name
            if is_folder and valid_task(inner):
                yield from self._folders(inner, above | {here})

    def _folders_of(self, task: str) -> Iterator[Path]:
        """Yield the folders from the root to the task's own; raise `SoftcallError` if one is a link.

        Reads follow links, which mounts use; writes through a link would change files elsewhere.
        """
        folder = self.root
        for segment in task.split("/"):
            folder /= segment
            if folder.is_symlink():
                raise SoftcallError(
                    f"store {self.address}: {folder} is a symbolic link, through which nothing is written"
                )
            yield folder

    def _read(self, task: str) -> bytes | None:
        try:
            with open_regular(self.root / task / OBJECT) as file:
                self._check_size(task, os.fstat(file.fileno()).st_size)
                data = file.read(max_artifact_bytes() + 1)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            self._require_root()
            return None
        self._check_size(task, len(data))
        return data

    def _require(self, task: str, expected: str | Condition) -> None:
        data = self._read(task)
        current = None if data is None else _version(data)
        if current != (None if expected is Condition.ABSENT else expected):
            raise self._not_as_expected(task, expected, current)

    def _require_root(self) -> None:
        """A missing folder (an unmounted disk) is an error, not an empty store."""
        if not self.root.is_dir():
            raise SoftcallError(f"store {self.address}: there is no such folder")

    @contextmanager
    def _readable(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SoftcallError(f"store {self.address}: {what} cannot be read ({error})") from None

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Lock a task for one writer, so that its condition still holds when the file is replaced."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            deadline = time.monotonic() + LOCK_TIMEOUT_S
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise SoftcallError(
                            f"store {self.address}: {folder} is locked by another writer"
                        ) from None
                    time.sleep(_LOCK_POLL_S)
            yield
        finally:
            os.close(handle)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a circular link
        return False


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # not empty: it has another task, or foreign files
            return
        folder = folder.parent
