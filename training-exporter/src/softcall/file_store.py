"""A folder as a store. A version is the sha256 of the content, so that a touched file is no new version."""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

from softcall.errors import SoftcallError
from softcall.store import (
    CONFIG,
    MAX_ARTIFACT_BYTES,
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
LOCK_TIMEOUT_S = 10.0
_LOCK_POLL_S = 0.05


class FileStore(Store):
    """Tasks in folders below `root`."""

    def __init__(self, root: Path) -> None:
        """`root` need not exist before the first `put`."""
        self.root = root.absolute()

    @classmethod
    def open(cls, address: str) -> "FileStore":
        """The store at `file:/dir`, `file:dir` (relative), or `file:///dir` (a URL, percent-encoded)."""
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
        folder = self.root / check_task(task)
        self._check_size(task, data)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with self._locked(folder):
                if expected is not Condition.NONE:
                    self._require(task, expected)
                _replace(folder / OBJECT, data)
                _replace(folder / CONFIG, config)
        except OSError as error:
            raise SoftcallError(f"store {self.address}: task {task} cannot be written ({error})") from None
        return _version(data)

    def delete(self, task: str) -> None:
        """See `Store.delete`; folders that become empty go too."""
        folder = self.root / check_task(task)
        if not (folder / OBJECT).is_file():
            with self._readable(task):
                self._require_root()
            raise self._missing(task)
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
        """None when the task was removed meanwhile."""
        path = self.root / task / OBJECT
        try:
            status = path.stat()
            with path.open("rb") as file:
                version = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return None
        return StoredTask(task, version, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def _keys(self) -> Iterator[str]:
        """Keys of all objects. Only folders named as tasks are entered, so links in a circle end."""
        listed = 0
        for folder, names, files in os.walk(self.root, followlinks=True, onerror=_raise):
            inside = Path(folder).relative_to(self.root).as_posix()
            above = "" if inside == "." else f"{inside}/"
            names[:] = [name for name in names if valid_task(above + name)]
            if above and OBJECT in files:
                listed += 1
                if listed > MAX_LISTED_TASKS:
                    raise SoftcallError(
                        f"store {self.address} has more than {MAX_LISTED_TASKS} tasks, the limit"
                    )
                yield above + OBJECT

    def _read(self, task: str) -> bytes | None:
        path = self.root / task / OBJECT
        try:
            with path.open("rb") as file:
                data = file.read(MAX_ARTIFACT_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._require_root()
            return None
        if len(data) > MAX_ARTIFACT_BYTES:
            raise self._too_large(task, path.stat().st_size)
        return data

    def _require(self, task: str, expected: str | Condition) -> None:
        data = self._read(task)
        current = None if data is None else _version(data)
        if current != (None if expected is Condition.ABSENT else expected):
            raise self._not_as_expected(task, expected, current)

    def _require_root(self) -> None:
        """A folder that is away (an unmounted disk) must not read as "no tasks"."""
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
        """One writer at a time: a condition still holds when the file is replaced. Readers need no lock."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
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


def _replace(path: Path, data: bytes) -> None:
    """Readers see the old content or the new, never a part, also after a crash."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Not tempfile, whose files other users (the server) may not read.
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:  # not empty: another task lies below, or something that is not ours
            return
        folder = folder.parent


def _raise(error: OSError) -> None:
    raise error
