"""Makes foreign text safe to print: one line of bounded length, without control and invisible characters.

The server has the same rule (Printable.java). `SoftcallError` applies it to every message; commands apply it
to the text of files, stores and servers that they print.
"""

import json
import unicodedata
from typing import Any

MAX_LENGTH = 500

_CUT = "..."
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Control characters, format characters (some of which reverse the writing direction), line and paragraph
# separators, lone surrogates, private and unassigned characters.
_UNSEEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"))


def printable(text: str, max_length: int = MAX_LENGTH) -> str:
    """Return the text, escaped and cut to `max_length` (at least 3); a second call changes nothing."""
    if len(text) <= max_length and text.isprintable():
        return text
    parts: list[str] = []
    length = kept = 0
    for character in text:
        parts.append(_escaped(character) if _unseen(character) else character)
        length += len(parts[-1])
        if length > max_length:
            return "".join(parts[:kept]) + _CUT
        if length <= max_length - len(_CUT):
            kept = len(parts)
    return "".join(parts)


def printable_json(value: Any, indent: int | None = None) -> str:
    """Return complete JSON in which control and invisible characters are escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    # Line feeds come from the indentation: inside strings they are escaped already.
    return "".join(
        json.dumps(character)[1:-1] if _unseen(character) and character != "\n" else character
        for character in text
    )


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def _escaped(character: str) -> str:
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\u{{{code:x}}}")
