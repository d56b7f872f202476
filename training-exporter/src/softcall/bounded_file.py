"""Reading a file that a user names, and no more of it than makes sense."""

import json
from pathlib import Path
from typing import Any

from softcall.errors import SoftcallError


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of `path`; `SoftcallError` when it cannot be read or has more than `limit` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise SoftcallError(f"{path}: cannot be read ({error.strerror or error})") from None
    if len(data) > limit:
        raise SoftcallError(f"{path}: larger than {limit} bytes, the limit")
    return data


def read_json_object(path: Path, limit: int) -> dict[str, Any]:
    """The JSON object of at most `limit` bytes in `path`; `SoftcallError` for anything else."""
    try:
        value = json.loads(read_bounded(path, limit))
    except (ValueError, RecursionError) as error:
        raise SoftcallError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(value, dict):
        raise SoftcallError(f"{path}: not a JSON object")
    return value
