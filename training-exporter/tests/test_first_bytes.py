"""Files of other kinds are told by their first bytes."""

import gzip
import io
import zipfile

import numpy as np
import pytest
import torch
from stand_ins import POINTER

from softcall.core.first_bytes import GZIP, JSON, NPY, PICKLE, ZIP, stand_in, tell


def packed():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.txt", "text")
    return content.getvalue()


def saved(write):
    content = io.BytesIO()
    write(content)
    return content.getvalue()


KINDS = [
    (POINTER, "a Git LFS pointer, not the file: run `git lfs pull`"),
    (b"<!DOCTYPE html><html>", "an HTML page"),
    (b"\xef\xbb\xbf\r\n <HTML lang=en>", "an HTML page"),
    (b'<?xml version="1.0"?><Error>', "an XML document"),
    (b'{"error": "not found"}', "a JSON document"),
    (gzip.compress(b"x"), "a gzip file"),
    (packed(), "a zip archive"),
    (saved(lambda file: torch.save(torch.ones(2), file)), "a zip archive"),
    (
        saved(lambda file: torch.save(torch.ones(2), file, _use_new_zipfile_serialization=False)),
        "a pickle of Python",
    ),
    (saved(lambda file: np.save(file, np.ones(2))), "a NumPy array"),
    (b"GGUF\3\0\0\0", "a GGUF file"),
    (b"PAR1\x15\x04", "a Parquet file"),
    (b"ARROW1\0\0", "an Arrow file"),
]


@pytest.mark.parametrize(("data", "what"), KINDS, ids=[what for _, what in KINDS])
def test_what_they_are(data, what):
    assert tell(data).startswith(what)


@pytest.mark.parametrize("data", [b"", b"text,label\n", b"\0" * 100, b"version 1"])
def test_nothing_is_said_of_others(data):
    assert tell(data) is None


def test_a_kind_may_be_the_right_one():
    assert tell(packed(), accepted=(ZIP, PICKLE)) is None
    assert tell(gzip.compress(b"x"), accepted=(GZIP,)) is None
    assert tell(saved(lambda file: np.save(file, np.ones(2))), accepted=(NPY,)) is None
    assert tell(b"{}", accepted=(JSON,)) is None
    assert tell(POINTER, accepted=(ZIP, JSON)) is not None


def test_stand_ins_are_never_the_file():
    assert stand_in(POINTER) == tell(POINTER)
    assert stand_in(b"{}") is None and stand_in(packed()) is None
