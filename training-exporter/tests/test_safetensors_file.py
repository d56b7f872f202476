"""Headers of safetensors files are believed only after every claim has been checked."""

import gzip
import json
import pickle
import random

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from stand_ins import POINTER

from softcall.artifact.bounds import MAX_HEADER_BYTES
from softcall.artifact.safetensors_file import SafetensorsFile, safetensors_bytes
from softcall.core.errors import SoftcallError

TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1.5, -2.0, 0.25], np.float16)}


def file(header, data=b"\0" * 12):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(**changes):
    return {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]} | changes


def test_the_library_reads_what_we_write():
    data = safetensors_bytes(TENSORS, {"format": "pt", "task": "名前"})
    read = safetensors.numpy.load(data)
    assert read.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        np.testing.assert_array_equal(read[name], tensor)


def test_we_read_what_the_library_writes():
    brain = np.array([1.0, -3.0], ml_dtypes.bfloat16)
    read = SafetensorsFile(safetensors.numpy.save(TENSORS | {"c": brain}, {"task": "名前"}))
    assert read.metadata == {"task": "名前"}
    assert sorted(read.names) == ["a", "b", "c"]
    for name, tensor in (TENSORS | {"c": brain}).items():
        assert read.floats(name).dtype == tensor.dtype
        np.testing.assert_array_equal(read.floats(name), tensor)


def test_equal_content_is_equal_bytes():
    metadata = {f"key {i}": "value" for i in range(20)}
    shuffled = dict(random.Random(1).sample(sorted(metadata.items()), 20))
    assert safetensors_bytes(TENSORS, metadata) == safetensors_bytes(
        dict(reversed(TENSORS.items())), shuffled
    )


HOSTILE = {
    "too few for a safetensors file": b"\0\0\0",
    "header claims 1152921504606846976 bytes": (2**60).to_bytes(8, "little") + b"{}",
    "it is a Git LFS pointer, not the file: run `git lfs pull`; expected a safetensors file": POINTER,
    "it is an HTML page, such as a proxy or a login sends": b"<!doctype html><html></html>",
    "it is a gzip file, which must be unpacked first": gzip.compress(file({"a": entry()})),
    "it is a pickle of Python, as torch.save writes it": pickle.dumps({}),
    "it is a JSON document": b'{"prompt_embeddings": [[0.5]]}',
    "header claims 3 bytes; 2 follow": (3).to_bytes(8, "little") + b"{}",
    f"at most {MAX_HEADER_BYTES} are accepted": file(b" " * (MAX_HEADER_BYTES + 1)),
    "not valid JSON": file(b"{'a': 1}"),
    "header is not valid JSON: lists and objects are nested more than 8 deep": file(b"[" * 100_000),
    "the safetensors header is not UTF-8": file(b'{"\xff": 1}'),
    'not valid JSON: the field "a" appears twice in an object': file(b'{"a": {}, "a": {}}'),
    "not valid JSON: NaN is not a JSON number": file(b'{"a": NaN}'),
    "not a JSON object": file([1]),
    "__metadata__ of the safetensors header is not an object of strings": file(
        {"__metadata__": {"a": 1}}, b""
    ),
    "holds 65 tensors": file({f"t{i}": entry() for i in range(65)}),
    "tensor a has a malformed entry": file({"a": []}),
    "unknown type 'F128'": file({"a": entry(dtype="F128")}),
    "malformed shape [-3]": file({"a": entry(shape=[-3])}),
    "malformed shape [True, 3]": file({"a": entry(shape=[True, 3])}),
    "malformed shape [3.0]": file({"a": entry(shape=[3.0])}),
    "malformed shape [1, 1, 1, 1, 1, 1, 1, 1, 3]": file({"a": entry(shape=[1] * 8 + [3])}),
    "malformed shape None": file({"a": {"dtype": "F32", "data_offsets": [0, 12]}}),
    "malformed data_offsets [0, 4, 12]": file({"a": entry(data_offsets=[0, 4, 12])}),
    "cannot be 12 bytes": file({"a": entry(shape=[2**62, 4])}),
    "cannot be -12 bytes": file({"a": entry(data_offsets=[12, 0])}),
    "tensor a begins at byte 4 of the data; expected 0": file({"a": entry(data_offsets=[4, 16])}, b"\0" * 16),
    "tensor b begins at byte 0 of the data; expected 12": file({"a": entry(), "b": entry()}),
    "tensor a ends at byte 12 of the data, which has 8: it is truncated": file({"a": entry()}, b"\0" * 8),
    "1 bytes lie behind the last tensor": file({"a": entry()}, b"\0" * 13),
}


@pytest.mark.parametrize("message", HOSTILE)
def test_hostile_files_are_refused(message):
    with pytest.raises(SoftcallError) as refused:
        SafetensorsFile(HOSTILE[message])
    assert message in str(refused.value)


@pytest.mark.parametrize("first", [0x7B, 0x5B, 0x3C, 0x0280])
def test_a_length_that_looks_like_another_format_is_a_length(first):
    """`{`, `[`, `<`, and how a pickle begins, are also lengths of headers."""
    header = json.dumps({"a": entry()}).encode().ljust(first)
    assert SafetensorsFile(file(header)).names == ("a",)


def test_no_damage_gets_past_as_another_error():
    """Every byte of a small file is changed in turn: it is read, or refused with a message."""
    data = safetensors_bytes(TENSORS, {"format": "pt"})
    generator = random.Random(7)
    for position in range(len(data)):
        damaged = data[:position] + bytes([generator.randrange(256)]) + data[position + 1 :]
        try:
            read = SafetensorsFile(damaged)
        except SoftcallError:
            continue
        assert sum(read.floats(name).size for name in read.names if name in TENSORS) <= 9


def test_a_missing_tensor_and_one_of_integers_are_named():
    read = SafetensorsFile(safetensors.numpy.save({"a": np.arange(3)}))
    with pytest.raises(SoftcallError, match="tensor b is missing; it holds a"):
        read.floats("b")
    with pytest.raises(SoftcallError, match="tensor a has type I64; expected F32, F16 or BF16"):
        read.floats("a")
