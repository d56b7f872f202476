"""Parquet files, and the Arrow files of the `datasets` library (`save_to_disk`)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import ARROW, LOOKED_AT, PARQUET, tell
from softcall.core.regular_file import open_regular
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.datasets.record_file import MAX_FILE_BYTES, RecordFile

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ModuleNotFoundError:
    raise SoftcallError(
        "reading Parquet and Arrow files needs pyarrow: pip install 'softcall[data]'"
    ) from None

BATCH_ROWS = 256

_LISTS = ("Sequence", "List", "LargeList")
_FEATURES = b"huggingface"  # the schema's metadata in which `datasets` describes the columns, as JSON


class _ColumnarFile(RecordFile):
    unit = "row"

    def columns(self) -> tuple[str, ...]:
        """Return the names of the schema."""
        return tuple(self._schema.names)

    def label_names(self, column: str) -> tuple[str, ...] | None:
        """Return the names of a ClassLabel or of a list of them, in the order of its integers."""
        described = (self._schema.metadata or {}).get(_FEATURES)
        try:
            feature = read_json(described)["info"]["features"][column] if described else {}
            if isinstance(feature, list):  # how older versions write a list
                (feature,) = feature
            if feature.get("_type") in _LISTS:
                feature = feature["feature"]
            names = feature["names"] if feature.get("_type") == "ClassLabel" else None
        except (MalformedJsonError, KeyError, TypeError, ValueError, AttributeError):
            return None
        known = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return tuple(names) if known else None

    def records(self, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the rows' values of `columns`; other columns are not decoded."""
        present = [name for name in columns if name in self._schema.names]
        row, total = 0, 0
        with _refusals(self.path):
            for batch in self._batches(present):
                total += sum(map(_decoded_bytes, batch.columns))
                if total > MAX_FILE_BYTES:
                    raise SoftcallError(
                        f"{self.path} row {row + 1}: the columns {', '.join(present)} have more than"
                        f" {MAX_FILE_BYTES:,} bytes, the limit"
                    )
                for record in batch.to_pylist():
                    row += 1
                    yield row, record

    @cached_property
    def _schema(self) -> "pa.Schema":
        raise NotImplementedError

    def _batches(self, columns: list[str]) -> Iterator["pa.RecordBatch"]:
        raise NotImplementedError


class ParquetFile(_ColumnarFile):
    """A Parquet file; the uncompressed sizes of its chunks are checked before decoding."""

    @cached_property
    def _schema(self) -> "pa.Schema":
        with _refusals(self.path):
            _require_kind(self.path, PARQUET)
            return pq.read_schema(self.path)

    def _batches(self, columns: list[str]) -> Iterator["pa.RecordBatch"]:
        with pq.ParquetFile(self.path) as file:
            claimed = 0
            for group in range(file.metadata.num_row_groups):
                described = file.metadata.row_group(group)
                for index in range(described.num_columns):
                    chunk = described.column(index)
                    if chunk.path_in_schema.split(".")[0] in columns:
                        claimed += chunk.total_uncompressed_size
            if claimed > MAX_FILE_BYTES:
                raise SoftcallError(
                    f"{self.path}: the columns {', '.join(columns)} have {claimed:,} bytes;"
                    f" the limit is {MAX_FILE_BYTES:,}"
                )
            yield from file.iter_batches(BATCH_ROWS, columns=columns)


class ArrowFile(_ColumnarFile):
    """An Arrow file in the stream layout, which `datasets` writes, or in the file layout."""

    @cached_property
    def _schema(self) -> "pa.Schema":
        with _refusals(self.path):
            _require_kind(self.path, ARROW)
            with pa.memory_map(str(self.path)) as source:
                return self._opened(source)[0]

    def _batches(self, columns: list[str]) -> Iterator["pa.RecordBatch"]:
        with pa.memory_map(str(self.path)) as source:
            for batch in self._opened(source)[1]:
                chosen = batch.select(columns)
                chosen.validate(full=True)  # the file's offsets are untrusted
                for start in range(0, len(chosen), BATCH_ROWS):
                    yield chosen.slice(start, BATCH_ROWS)

    def _opened(self, source: "pa.MemoryMappedFile") -> tuple["pa.Schema", Iterator["pa.RecordBatch"]]:
        try:
            stream = pa.ipc.open_stream(source)
        except pa.ArrowInvalid:
            source.seek(0)
            file = pa.ipc.open_file(source)
            return file.schema, (file.get_batch(i) for i in range(file.num_record_batches))
        return stream.schema, iter(stream)


def _decoded_bytes(column: "pa.Array") -> int:
    """Return the decoded bytes of a column's strings; a dictionary may repeat one long string many times."""
    if pa.types.is_dictionary(column.type):
        lengths = _lengths(column.dictionary)
        return 0 if lengths is None else pc.sum(lengths.take(column.indices)).as_py() or 0
    if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
        return _decoded_bytes(column.flatten())
    lengths = _lengths(column)
    return column.nbytes if lengths is None else pc.sum(lengths).as_py() or 0


def _lengths(column: "pa.Array") -> "pa.Array | None":
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return pc.binary_length(column) if is_text else None


def _require_kind(path: Path, kind: str) -> None:
    """Raise an error unless `path`, which pyarrow opens itself, is a regular file of an expected format."""
    with open_regular(path) as file:
        if other := tell(file.peek(LOOKED_AT), accepted=(kind,)):
            raise SoftcallError(f"{path}: it is {other}; expected rows as its name says")


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise SoftcallError(f"{path}: not UTF-8 ({error.reason} at byte {error.start} of a value)") from None
    except FileNotFoundError:
        raise SoftcallError(f"{path}: no such file") from None
    except OSError as error:
        if error.errno is not None:  # pyarrow raises OSError without errno for malformed files
            raise SoftcallError(f"{path}: cannot be read ({error.strerror or error})") from None
        raise SoftcallError(f"{path}: not a whole file of its kind ({_reason(error)})") from None
    except (pa.ArrowException, ValueError) as error:
        raise SoftcallError(f"{path}: not a whole file of its kind ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
