"""Foreign text made fit for a terminal, a log and an error: on one line, without characters that a terminal
obeys or that are not seen, and of bounded length. The server does the same (Printable.java).

Errors pass here by themselves (`SoftcallError`); what a command prints of files, stores and servers does so
where it is put into a line.
"""

import json
import unicodedata
from typing import Any

MAX_LENGTH = 500

_CUT = "..."
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Controls, formats (among them those that turn the direction of writing), separators of lines and paragraphs,
# halves of surrogate pairs, private and unassigned characters.
_UNSEEN = frozenset(("Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"))


def printable(text: str, max_length: int = MAX_LENGTH) -> str:
    """The text, escaped and cut to `max_length` (at least 3); applied again it changes nothing."""
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
    """JSON, whole, in which characters that a terminal obeys or that are not seen are JSON's own escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if text.isprintable():
        return text
    # A line feed is the indentation's: in strings it is escaped already.
    return "".join(
        json.dumps(character)[1:-1] if _unseen(character) and character != "\n" else character
        for character in text
    )


def _unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN


def _escaped(character: str) -> str:
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\u{code:04x}" if code <= 0xFFFF else f"\\u{{{code:x}}}")
