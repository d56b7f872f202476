"""Halves of surrogate pairs: JSON's escapes can hold them, and no Unicode text can."""

import re

REPLACEMENT = "\ufffd"

_HALF = re.compile("[\ud800-\udfff]")


def without_halves(text: str) -> str:
    """The text with U+FFFD in place of each half, one code point for one, as the server reads it."""
    return _HALF.sub(REPLACEMENT, text)


def has_half(text: str) -> bool:
    """Whether there is one: such a text cannot be written as UTF-8."""
    return _HALF.search(text) is not None
