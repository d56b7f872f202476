"""What a file of rows is, whatever its format: columns by name, and records in their order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 1 << 30  # after decompression


class RecordFile(ABC):
    """A file of rows, each a record from column to value; `SoftcallError` names file and line of all else."""

    unit = "line"

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self.path = path

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """The names of the columns, in order; none in an empty file."""

    @abstractmethod
    def records(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line, record) for each record, with at least those of `columns` that it has.

        A record of several lines counts by its first.
        """

    def label_names(self, column: str) -> tuple[str, ...] | None:
        """What the integers of a column stand for, where the file says so (ClassLabel of `datasets`)."""
        return None


def kind(value: Any) -> str:
    """What a value is, in JSON's words."""
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
