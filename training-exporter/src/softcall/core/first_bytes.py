"""What a file is that is not what was expected, told by its first bytes: whoever reads it knows what to do.

The server tells the same of stored objects (FirstBytes.java).
"""

from collections.abc import Collection

LOOKED_AT = 64

GZIP, ZIP, PICKLE, NPY, GGUF, PARQUET, ARROW = "gzip", "zip", "pickle", "npy", "gguf", "parquet", "arrow"
JSON, XML = "json", "xml"
"""Names of kinds that are the right one somewhere."""

_PICKLE = "a pickle of Python, as torch.save writes it"
_HTML = "an HTML page, such as a proxy or a login sends in place of a file"

_BINARY = (
    (b"\x1f\x8b\x08", GZIP, "a gzip file, which is to be unpacked first"),
    (b"(\xb5/\xfd", "zstd", "a zstd file, which is to be unpacked first"),
    (b"BZh", "bzip2", "a bzip2 file, which is to be unpacked first"),
    (b"\xfd7zXZ\x00", "xz", "an xz file, which is to be unpacked first"),
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
    """What begins like `data`, with its article; None where that is not known, or is accepted."""
    return stand_in(data) or _told(data[:LOOKED_AT], _BINARY, accepted) or _told(_text(data), _TEXT, accepted)


def stand_in(data: bytes) -> str | None:
    """The same, of what is never the file itself but stands in its place: a Git LFS pointer, a web page."""
    return _told(_text(data), _STAND_INS, ())


def _told(data: bytes, kinds: tuple[tuple[bytes, str, str], ...], accepted: Collection[str]) -> str | None:
    return next(
        (what for magic, name, what in kinds if data.startswith(magic) and name not in accepted), None
    )


def _text(data: bytes) -> bytes:
    return data[:LOOKED_AT].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
