"""The interface of a file of rows, whatever its format: named columns, and records in order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 1 << 30  # after decompression


class RecordFile(ABC):
    """A file of rows, each a record from column to value; errors name the file and the line."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is read yet."""
        self.path = path

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, in order; none for an empty file."""

    @abstractmethod
    def records(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (line, record) for each record, with at least those of `columns` that it has.

        The line of a record is its first one.
        """

    def label_names(self, column: str) -> tuple[str, ...] | None:
        """Return the names of a column's integers, or of those in its lists (ClassLabel of `datasets`)."""
        return None


def kind(value: Any) -> str:
    """Return the JSON type of a value, in words."""
    kinds = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bytes: "bytes",
        bool: "true or false",
        int: "a number",
        float: "a number",
        type(None): "null",
    }
    return kinds.get(type(value), f"a {type(value).__name__}")
