"""Lone surrogates: JSON escapes can contain them, and Unicode text cannot."""

import re

REPLACEMENT = "\ufffd"

_HALF = re.compile("[\ud800-\udfff]")


def without_halves(text: str) -> str:
    """Replace each lone surrogate by U+FFFD, one code point by one, as the server does."""
    return _HALF.sub(REPLACEMENT, text)


def has_half(text: str) -> bool:
    """Whether the text has a lone surrogate, which UTF-8 cannot encode."""
    return _HALF.search(text) is not None
