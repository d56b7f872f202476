"""Atomic creation of folders: a folder appears complete or not at all."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softcall.core.errors import SoftcallError

ADVICE = "name a new folder"


@contextmanager
def new_folder(out: Path, replaceable: str | None = None, advice: str = ADVICE) -> Iterator[Path]:
    """Yield a temporary folder beside `out`, which is renamed to `out` when the block ends without an error.

    Raises `SoftcallError` for an existing `out`, unless it is empty or contains the file `replaceable`, which
    marks folders that may be replaced. `advice` ends the message.
    """
    out = out.absolute()
    _require_free(out, replaceable, advice)
    partial, previous = (
        out.with_name(f".{out.name}.{os.getpid()}.{state}") for state in ("partial", "previous")
    )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        partial.mkdir()
        yield partial
        _require_free(out, replaceable, advice)
        if out.exists():
            out.rename(previous)
        partial.rename(out)
    except OSError as error:
        raise SoftcallError(f"cannot write {out}: {error}") from error
    finally:
        for leftover in (partial, previous):
            shutil.rmtree(leftover, ignore_errors=True)


def _require_free(out: Path, replaceable: str | None, advice: str) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir() or out.is_symlink():
        raise SoftcallError(f"{out} exists and is not a folder; name a new one")
    if any(out.iterdir()) and not (replaceable and (out / replaceable).is_file()):
        raise SoftcallError(f"{out} exists; {advice}")
