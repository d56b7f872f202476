"""Reads files that a user names, up to a limit."""

from pathlib import Path
from typing import Any

from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import JSON, LOOKED_AT, stand_in, tell
from softcall.core.regular_file import open_regular
from softcall.core.strict_json import MAX_DEPTH, MAX_TOKENS, MalformedJsonError, read_json

MAX_SOURCE_BYTES = 64 << 20
"""The limit of a file that may hold a prompt, in any format."""


def read_bounded(path: Path, limit: int) -> bytes:
    """Return the content of `path`; raise `SoftcallError` if it is unreadable or exceeds `limit` bytes."""
    try:
        with open_regular(path) as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SoftcallError(f"{path}: cannot be read ({error.strerror or error})") from None
    if len(data) > limit:
        raise SoftcallError(f"{path}: larger than {limit} bytes, the limit")
    return data


def require_file(path: Path) -> None:
    """Raise `SoftcallError` unless `path` is a readable file; for libraries that open files themselves.

    A Git LFS pointer or a web page in place of the file is refused too.
    """
    try:
        with open_regular(path) as file:
            other = stand_in(file.read(LOOKED_AT))
    except OSError as error:
        raise SoftcallError(f"{path}: cannot be read ({error.strerror or error})") from None
    if other:
        raise SoftcallError(f"{path}: it is {other}")


def read_json_object(path: Path, limit: int, max_tokens: int = MAX_TOKENS) -> dict[str, Any]:
    """Return the JSON object in `path`, of at most `limit` bytes; raise `SoftcallError` for anything else."""
    data = read_bounded(path, limit)
    try:
        value = read_json(data, MAX_DEPTH, max_tokens)
    except MalformedJsonError as error:
        other = tell(data, accepted=(JSON,))
        raise SoftcallError(f"{path}: {f'it is {other}' if other else error}") from None
    if not isinstance(value, dict):
        raise SoftcallError(f"{path}: not a JSON object")
    return value
