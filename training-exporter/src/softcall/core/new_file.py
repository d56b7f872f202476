"""A file that appears complete or not at all, and is never another one by a link."""

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
    """Give a file beside `path` that takes its place when the block ends without an error.

    Readers see the old content or the new, never a part, also after a crash. A symbolic link at `path` is
    replaced, not followed. `SoftcallError`, with nothing left behind, where that cannot be done.
    """
    unfinished = path.with_name(f".softcall-{secrets.token_hex(8)}")
    try:
        _require_replaceable(path)
        try:
            # Not tempfile, whose files other users (the server) may not read.
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
    """The same for content that is there already."""
    with new_file(path) as file:
        file.write(content)


def _require_replaceable(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise SoftcallError(f"cannot write {path}: it exists and is no file")


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot, for folders
            raise
    finally:
        os.close(handle)
