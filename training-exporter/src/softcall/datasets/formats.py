"""The formats of files of rows, by the endings of their names. Another format is another entry here."""

from collections.abc import Callable
from pathlib import Path

from softcall.core.errors import SoftcallError
from softcall.datasets.record_file import RecordFile
from softcall.datasets.text_files import CsvFile, JsonLinesFile


def _parquet(path: Path) -> RecordFile:
    from softcall.datasets.columnar_files import ParquetFile  # needs pyarrow

    return ParquetFile(path)


def _arrow(path: Path) -> RecordFile:
    from softcall.datasets.columnar_files import ArrowFile  # needs pyarrow

    return ArrowFile(path)


FORMATS: dict[str, Callable[[Path], RecordFile]] = {
    ".jsonl": JsonLinesFile,
    ".jsonl.gz": JsonLinesFile,
    ".csv": CsvFile,
    ".csv.gz": CsvFile,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
"""Ending of a name to the file that it opens."""


def open_records(path: Path) -> RecordFile:
    """The file of rows at `path`; `SoftcallError` for a name that says no format."""
    for ending, opened in FORMATS.items():
        if path.name.endswith(ending):
            return opened(path)
    raise SoftcallError(
        f"{path}: cannot tell its format; names ending in .jsonl or .csv (also with .gz),"
        " .parquet or .arrow are read"
    )


def is_record_file(path: Path) -> bool:
    """Whether a file's name says a format."""
    return path.name.endswith(tuple(FORMATS))
