"""Atomic writes: a file appears complete or not at all, and links are never followed."""

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from softcall.core.errors import SoftcallError


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a temporary file that replaces `path` when the block ends without an error.

    Readers see the old content or the new, never a part, even after a crash. A symbolic link at `path` is
    replaced, not followed. Raises `SoftcallError`, and leaves nothing behind, if the file cannot be written.
    """
    unfinished = path.with_name(f".softcall-{secrets.token_hex(8)}")
    try:
        _require_replaceable(path)
        try:
            # Files of tempfile are unreadable for other users, such as the server's.
            with unfinished.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        _sync(path.parent)
    except OSError as error:
        raise SoftcallError(f"cannot write {path}: {error.strerror or error}") from error


def write_file(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` atomically, as `new_file` does."""
    with new_file(path) as file:
        file.write(content)


def _require_replaceable(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise SoftcallError(f"cannot write {path}: it exists and is not a file")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot sync folders
            raise
    finally:
        os.close(handle)
