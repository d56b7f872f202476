"""The bounds of an artifact, as docs/task-artifact.md lists them; the server has the same."""

import os
import re
from collections.abc import Sequence

from softcall.core.errors import SoftcallError

MAX_ARTIFACT_BYTES = 64 << 20
"""The limit of an object, unless the server's variable sets another."""
MAX_ARTIFACT_BYTES_VARIABLE = "SOFTCALL_STORE_MAX_ARTIFACT_BYTES"

MAX_HEADER_BYTES = 1 << 20
MAX_HEADER_DEPTH = 8
MAX_METADATA_DEPTH = 64
MAX_JSON_TOKENS = 50_000  # brackets, names and values, of the header and of the metadata
MAX_TENSORS = 64
MAX_RANK = 8
MAX_TEMPLATE_CHARACTERS = 20_000
MAX_LABELS = 10_000
MAX_LABEL_CHARACTERS = 1_000
MAX_LABELS_BYTES = 256 << 10
MAX_PROMPT_TOKENS = 2_048

_SIZE = re.compile(r"(\d{1,12})([BKMG]?)", re.IGNORECASE)
_UNITS = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SMALLEST, _LARGEST = 1 << 10, 1 << 30


def max_artifact_bytes() -> int:
    """Return the limit of an object: the server's variable, or `MAX_ARTIFACT_BYTES` where it is unset."""
    given = os.environ.get(MAX_ARTIFACT_BYTES_VARIABLE)
    if not given:
        return MAX_ARTIFACT_BYTES
    matched = _SIZE.fullmatch(given.strip())
    size = int(matched[1]) * _UNITS[matched[2].upper()] if matched else 0
    if not _SMALLEST <= size <= _LARGEST:
        raise SoftcallError(
            f"{MAX_ARTIFACT_BYTES_VARIABLE} is {given!r}; expected a size from 1K to 1G, such as 64M"
        )
    return size


def require_artifact_bytes(size: int, what: str) -> None:
    """Raise `SoftcallError`, which begins with `what`, if `size` exceeds what servers accept."""
    limit = max_artifact_bytes()
    if size > limit:
        raise SoftcallError(
            f"{what} has {size} bytes; servers accept at most {limit} (softcall.store.max-artifact-bytes,"
            f" {MAX_ARTIFACT_BYTES_VARIABLE} here and there)"
        )


def check_labels(labels: Sequence[str]) -> None:
    """Raise `SoftcallError` unless there are 2 to `MAX_LABELS` distinct, non-empty, bounded labels."""
    if not 2 <= len(labels) <= MAX_LABELS:
        raise SoftcallError(f"{len(labels)} labels; expected 2 to {MAX_LABELS}")
    seen: set[str] = set()
    for label in labels:
        if not isinstance(label, str) or not label:
            raise SoftcallError(f"label {label!r} is empty; expected a name")
        if utf16_units(label) > MAX_LABEL_CHARACTERS:
            raise SoftcallError(
                f"label {label[:60]!r}... has {utf16_units(label)} characters;"
                f" at most {MAX_LABEL_CHARACTERS} are accepted"
            )
        if label in seen:
            raise SoftcallError(f"label {label!r} appears twice; expected distinct names")
        seen.add(label)
    size = sum(len(label.encode("utf-8", "surrogatepass")) for label in labels)
    if size > MAX_LABELS_BYTES:
        raise SoftcallError(
            f"{len(labels)} labels have {size} bytes together; at most {MAX_LABELS_BYTES} are accepted"
        )


def utf16_units(text: str) -> int:
    """Return the number of characters as Java counts them."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
