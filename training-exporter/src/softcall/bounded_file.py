"""Reading a file that a user names, and no more of it than makes sense."""

from pathlib import Path

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
