"""Recognises formats by their first bytes, so that an error can say what an unexpected file is.

The server does the same for stored objects (FirstBytes.java).
"""

from collections.abc import Collection

LOOKED_AT = 64

GZIP, ZIP, PICKLE, NPY, GGUF, PARQUET, ARROW = "gzip", "zip", "pickle", "npy", "gguf", "parquet", "arrow"
JSON, XML = "json", "xml"
"""Formats that some reader accepts."""

_PICKLE = "a pickle of Python, as torch.save writes it"
_HTML = "an HTML page, such as a proxy or a login sends in place of a file"

_BINARY = (
    (b"\x1f\x8b\x08", GZIP, "a gzip file, which must be unpacked first"),
    (b"(\xb5/\xfd", "zstd", "a zstd file, which must be unpacked first"),
    (b"BZh", "bzip2", "a bzip2 file, which must be unpacked first"),
    (b"\xfd7zXZ\x00", "xz", "an xz file, which must be unpacked first"),
    (b"PK\x03\x04", ZIP, "a zip archive, as torch.save writes it too"),
    *((b"\x80" + bytes([version]), PICKLE, _PICKLE) for version in (2, 3, 4, 5)),
    (b"\x93NUMPY", NPY, "a NumPy array"),
    (b"GGUF", GGUF, "a GGUF file"),
    (b"PAR1", PARQUET, "a Parquet file"),
    (b"ARROW1", ARROW, "an Arrow file"),
)
_STAND_INS = (
    (b"version https://git-lfs", "lfs", "a Git LFS pointer, not the file: run `git lfs pull`"),
    (b"<!doctype html", "html", _HTML),
    (b"<html", "html", _HTML),
)
_TEXT = (
    (b"<", XML, "an XML document, such as a store sends in place of a file"),
    (b"{", JSON, "a JSON document"),
    (b"[", JSON, "a JSON document"),
)


def tell(data: bytes, accepted: Collection[str] = ()) -> str | None:
    """Return the format of `data` in words, with an article; None if it is unknown or `accepted`."""
    return stand_in(data) or _told(data[:LOOKED_AT], _BINARY, accepted) or _told(_text(data), _TEXT, accepted)


def stand_in(data: bytes) -> str | None:
    """Return what replaced the file, in words: a Git LFS pointer or a web page; None for other data."""
    return _told(_text(data), _STAND_INS, ())


def _told(data: bytes, kinds: tuple[tuple[bytes, str, str], ...], accepted: Collection[str]) -> str | None:
    return next(
        (what for magic, name, what in kinds if data.startswith(magic) and name not in accepted), None
    )


def _text(data: bytes) -> bytes:
    return data[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
