"""Reads untrusted JSON: one UTF-8 value (RFC 8259), unique names in each object, finite numbers.

Bounds are checked before the document is parsed. The server has the same rule (StrictJson.java). Python's own
parser guesses UTF-16 and UTF-32, keeps the last of two equal names, and accepts NaN.
"""

import json
import math
import re
from typing import Any, NoReturn

from softcall.core.errors import SoftcallError
from softcall.core.printable import printable

MAX_DEPTH = 64
MAX_TOKENS = 1_000_000
MAX_NAME_CHARACTERS = 50_000
MAX_NUMBER_CHARACTERS = 1_000

_SHOWN_NAME = 60
_BYTE_ORDER_MARK = "\ufeff"
_SPACE = " \t\r\n"
# A string (perhaps unterminated), a bracket, or a run of characters that are not punctuation.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]|[^\s,:"\[\]{}]++', re.DOTALL)


class MalformedJsonError(SoftcallError):
    """The document is invalid or exceeds a bound; the message continues "it is"."""


def read_json(document: bytes | str, max_depth: int = MAX_DEPTH, max_tokens: int = MAX_TOKENS) -> Any:
    """Return the value of a document; raise `MalformedJsonError` for anything else.

    `max_depth` limits how deep lists and objects are nested, `max_tokens` the number of brackets, names and
    values. Messages quote nothing of the document but names of fields.
    """
    text = _decoded(document).removeprefix(_BYTE_ORDER_MARK)
    if not text.strip(_SPACE):
        raise MalformedJsonError("empty; expected JSON")
    _require_bounds(text, max_depth, max_tokens)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=_float,
            parse_int=_int,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        reason = error.msg.removesuffix(" at").rstrip(": ")
        _refuse(f"{reason} at line {error.lineno}, column {error.colno}")


def _decoded(document: bytes | str) -> str:
    if isinstance(document, str):
        return document
    try:
        return document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"not UTF-8 ({error.reason} at byte {error.start})") from None


def _require_bounds(text: str, max_depth: int, max_tokens: int) -> None:
    if len(text) <= max_tokens and text.count("[") + text.count("{") <= max_depth:
        return  # a document of this size cannot exceed them
    depth = 0
    for tokens, token in enumerate(_TOKEN.finditer(text), 1):
        first = text[token.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > max_depth:
            _refuse(f"lists and objects are nested more than {max_depth} deep")
        if tokens > max_tokens:
            _refuse(f"it has more than {max_tokens} brackets, names and values")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        _refuse(f'the field "{printable(twice, _SHOWN_NAME)}" appears twice in an object')
    if any(len(name) > MAX_NAME_CHARACTERS for name in names):
        _refuse(f"a name has more than {MAX_NAME_CHARACTERS} characters")
    return names


def _int(literal: str) -> int:
    _require_number(literal)
    return int(literal)


def _float(literal: str) -> float:
    _require_number(literal)
    value = float(literal)
    if math.isinf(value):
        _refuse("a number exceeds the range of a double")
    return value


def _require_number(literal: str) -> None:
    if len(literal) > MAX_NUMBER_CHARACTERS:
        _refuse(f"a number has more than {MAX_NUMBER_CHARACTERS} characters")


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a JSON number")


def _refuse(reason: str) -> NoReturn:
    raise MalformedJsonError(f"not valid JSON: {reason}")
