"""The formats of files of rows, by file name suffix. Another format is another entry of `FORMATS`."""

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
"""Maps suffixes to the classes that read the files."""


def open_records(path: Path) -> RecordFile:
    """Return the file of rows at `path`; raise `SoftcallError` for an unknown suffix."""
    for ending, opened in FORMATS.items():
        if path.name.endswith(ending):
            return opened(path)
    raise SoftcallError(
        f"{path}: cannot tell its format; names ending in .jsonl or .csv (also with .gz),"
        " .parquet or .arrow are read"
    )


def is_record_file(path: Path) -> bool:
    """Whether a file's name has a known suffix."""
    return path.name.endswith(tuple(FORMATS))
