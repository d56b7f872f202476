"""Reads untrusted safetensors files: every claim of the header is checked before it is used.

The format is eight bytes of header length (little-endian), a JSON header, then the tensors back to back.
"""

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import ml_dtypes
import numpy as np

from softcall.artifact.bounds import (
    MAX_HEADER_BYTES,
    MAX_HEADER_DEPTH,
    MAX_JSON_TOKENS,
    MAX_RANK,
    MAX_TENSORS,
)
from softcall.core.errors import SoftcallError
from softcall.core.first_bytes import tell
from softcall.core.strict_json import MalformedJsonError, read_json

_LENGTH_BYTES = 8
_METADATA = "__metadata__"
_BYTES_PER_ELEMENT = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}
_FLOATS = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype(ml_dtypes.bfloat16)}


class SafetensorsFile:
    """A well-formed file: `metadata` has its strings, `names` the names of its tensors."""

    def __init__(self, data: bytes) -> None:
        """Check the whole header of `data`; raise `SoftcallError` if it is malformed."""
        header = _header(data)
        self._data = memoryview(data)[_LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little") :]
        self.metadata = _metadata(header.pop(_METADATA, {}))
        if len(header) > MAX_TENSORS:
            raise SoftcallError(f"holds {len(header)} tensors; at most {MAX_TENSORS} are accepted")
        for name, entry in header.items():
            _check_entry(name, entry)
        _check_contiguous(header, len(self._data))
        self._entries = header

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tensors, in the order of the header."""
        return tuple(self._entries)

    def floats(self, name: str) -> np.ndarray:
        """Return the tensor `name`, float32, float16 or bfloat16; raise `SoftcallError` if it is missing."""
        if name not in self._entries:
            raise SoftcallError(f"tensor {name} is missing; it holds {', '.join(self.names) or 'none'}")
        entry = self._entries[name]
        if entry["dtype"] not in _FLOATS:
            raise SoftcallError(f"tensor {name} has type {entry['dtype']}; expected F32, F16 or BF16")
        begin, end = entry["data_offsets"]
        return np.frombuffer(self._data[begin:end], _FLOATS[entry["dtype"]]).reshape(entry["shape"])


def safetensors_bytes(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return a file of float32 and float16 tensors.

    Equal content gives equal bytes, so a store sees a new version only after a change (the safetensors
    library writes its metadata in random order).
    """
    types = {dtype: name for name, dtype in _FLOATS.items()}
    header: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))}
    data = b""
    # Wide types come first, as in the library, so that every tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        entry = {"dtype": types[tensor.dtype], "shape": list(tensor.shape)}
        header[name] = {**entry, "data_offsets": [len(data), len(data) + tensor.nbytes]}
        data += tensor.tobytes()
    return _file(header, data)


def with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """Return the file `data` with `metadata` added to its own; raise `SoftcallError` for other bytes."""
    header = _header(data)
    tensors = data[_LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little") :]
    header[_METADATA] = dict(sorted({**_metadata(header.get(_METADATA, {})), **metadata}.items()))
    return _file(header, tensors)


def _file(header: Mapping[str, Any], data: bytes) -> bytes:
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    _require_header_bytes(len(text))
    return len(text).to_bytes(_LENGTH_BYTES, "little") + text + data


def _header(data: bytes) -> dict[str, Any]:
    present = len(data) - _LENGTH_BYTES
    claimed = int.from_bytes(data[:_LENGTH_BYTES], "little") if present >= 0 else 0
    fits = 2 <= claimed <= present
    # The first eight bytes may be both a length and the beginning of another format.
    if (not fits or data[_LENGTH_BYTES] != ord("{")) and (other := tell(data)):
        raise SoftcallError(f"it is {other}; expected a safetensors file")
    if present < 0:
        raise SoftcallError(f"{len(data)} bytes are too few for a safetensors file")
    if not fits:
        raise SoftcallError(f"the safetensors header claims {claimed} bytes; {present} follow")
    _require_header_bytes(claimed)
    try:
        header = read_json(data[_LENGTH_BYTES : _LENGTH_BYTES + claimed], MAX_HEADER_DEPTH, MAX_JSON_TOKENS)
    except MalformedJsonError as error:
        raise SoftcallError(f"the safetensors header is {error}") from None
    if not isinstance(header, dict):
        raise SoftcallError("the safetensors header is not a JSON object")
    return header


def _require_header_bytes(size: int) -> None:
    if size > MAX_HEADER_BYTES:
        raise SoftcallError(
            f"the safetensors header has {size} bytes; at most {MAX_HEADER_BYTES} are accepted"
        )


def _metadata(metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise SoftcallError(f"{_METADATA} of the safetensors header is not an object of strings")
    return metadata


def _check_entry(name: str, entry: Any) -> None:
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        raise SoftcallError(f"tensor {name} has a malformed entry in the safetensors header")
    dtype, shape, offsets = entry["dtype"], entry.get("shape"), entry.get("data_offsets")
    if dtype not in _BYTES_PER_ELEMENT:
        raise SoftcallError(f"tensor {name} has the unknown type {dtype!r}; expected F32, F16 or BF16")
    if not _sizes(shape) or len(shape) > MAX_RANK:
        raise SoftcallError(f"tensor {name} has the malformed shape {shape!r}")
    if not _sizes(offsets) or len(offsets) != 2:
        raise SoftcallError(f"tensor {name} has the malformed data_offsets {offsets!r}")
    begin, end = offsets
    if end - begin != prod(shape) * _BYTES_PER_ELEMENT[dtype]:
        raise SoftcallError(f"tensor {name} of shape {shape} and type {dtype} cannot be {end - begin} bytes")


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _check_contiguous(entries: Mapping[str, Any], size: int) -> None:
    position = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        if begin != position:
            raise SoftcallError(f"tensor {name} begins at byte {begin} of the data; expected {position}")
        if end > size:
            raise SoftcallError(
                f"tensor {name} ends at byte {end} of the data, which has {size}: it is truncated"
            )
        position = end
    if position != size:
        raise SoftcallError(f"{size - position} bytes lie behind the last tensor")
