"""JSONL and CSV, also gzipped: decoded strictly, line by line, within bounds."""

import csv
import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import GZIP, JSON, LOOKED_AT, XML, tell
from softcall.core.regular_file import open_regular
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.datasets.record_file import MAX_FILE_BYTES, RecordFile, kind

MAX_LINE_BYTES = 1 << 20
NAMING_RECORDS = 100


class JsonLinesFile(RecordFile):
    """One JSON object per line; blank lines are ignored."""

    def columns(self) -> tuple[str, ...]:
        """Return the names in the first records, because a single record may lack values."""
        first = islice(self.records(()), NAMING_RECORDS)
        return tuple(dict.fromkeys(name for _, record in first for name in record))

    def records(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every object with all its values."""
        for number, line in enumerate(_lines(self.path), 1):
            if not line.strip():
                continue
            try:
                record = read_json(line)
            except MalformedJsonError as error:
                raise SoftcallError(f"{self.path} line {number}: {error}") from None
            if not isinstance(record, dict):
                raise SoftcallError(
                    f"{self.path} line {number}: holds {kind(record)}, expected a JSON object"
                )
            yield number, record


class CsvFile(RecordFile):
    """Comma-separated values below a header; blank lines are ignored."""

    def columns(self) -> tuple[str, ...]:
        """Return the header."""
        return next((tuple(cells) for _, cells in self._rows()), ())

    def records(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield every row with all its values."""
        rows = self._rows()
        _, header = next(rows, (0, []))
        for line, cells in rows:
            if len(cells) != len(header):
                raise SoftcallError(
                    f"{self.path} line {line}: has {len(cells)} column(s), the header names {len(header)}"
                )
            yield line, dict(zip(header, cells, strict=True))

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the header, then the rows below it, each with its first line."""
        csv.field_size_limit(MAX_LINE_BYTES)
        reader = csv.reader(_lines(self.path), strict=True)
        header: list[str] | None = None
        line = 0
        try:
            for cells in reader:
                first, line = line + 1, reader.line_num
                if not cells:
                    continue
                if header is None:
                    header = cells
                    if len(set(header)) < len(header):
                        raise SoftcallError(
                            f"{self.path} line {first}: the header names a column twice ({', '.join(header)})"
                        )
                yield first, cells
        except csv.Error as error:
            raise SoftcallError(f"{self.path} line {line + 1}: not valid CSV ({error})") from None


def _unpacked(path: Path, raw: BinaryIO) -> BinaryIO:
    """Return the decompressed file; raise `SoftcallError` for a known format other than text."""
    packed = path.suffix == ".gz"
    other = tell(raw.peek(LOOKED_AT), accepted=(GZIP,) if packed else (JSON, XML))
    file = gzip.GzipFile(fileobj=raw) if packed and not other else raw
    other = other or tell(file.peek(LOOKED_AT), accepted=(JSON, XML))
    if other:
        raise SoftcallError(f"{path}: it is {other}; expected rows as its name says")
    return file


def _lines(path: Path) -> Iterator[str]:
    """Yield decoded lines with their ends; single lines and the total are bounded."""
    total = 0
    number = 0
    try:
        with open_regular(path) as raw, _unpacked(path, raw) as file:
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                total += len(line)
                if len(line) > MAX_LINE_BYTES:
                    raise SoftcallError(
                        f"{path} line {number}: longer than {MAX_LINE_BYTES:,} bytes, which is the limit"
                    )
                if total > MAX_FILE_BYTES:
                    raise SoftcallError(
                        f"{path} line {number}: the file has more than {MAX_FILE_BYTES:,} bytes, the limit"
                    )
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise SoftcallError(
            f"{path} line {number}: not UTF-8 ({error.reason} at byte {error.start})"
        ) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise SoftcallError(f"{path}: not a whole gzip file ({error})") from None
    except FileNotFoundError:
        raise SoftcallError(f"{path}: no such file") from None
    except OSError as error:
        raise SoftcallError(f"{path}: cannot be read ({error.strerror or error})") from None
