"""The JSON metadata of an artifact: its fields, their types, and how untrusted ones are read."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from softcall.artifact.bounds import MAX_JSON_TOKENS, MAX_METADATA_DEPTH
from softcall.core.errors import SoftcallError
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.core.surrogates import has_half

METADATA = "softcall"
SCHEMA = 2
DEFAULT_THRESHOLD = 0.5
"""The probability from which a text has a label of a `multi_label` task, where nothing says another."""
_SOFT_SCHEMA = 1  # which had neither types of prompts nor kinds of tasks


class PromptType(StrEnum):
    """Vectors below the first layer, or keys and values of every layer."""

    SOFT = "soft"
    KV = "kv"


class Kind(StrEnum):
    """What a task answers: one label for a text, any number of them, or a text."""

    CLASSIFICATION = "classification"
    MULTI_LABEL = "multi_label"
    GENERATION = "generation"


class Metadata:
    """The metadata of a file; every method raises `SoftcallError` for a field of another type."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """Read these fields, which are JSON."""
        self._fields = fields

    @classmethod
    def read(cls, strings: Mapping[str, str]) -> Self:
        """Return the metadata among a safetensors file's strings; its schema is one that is read."""
        if METADATA not in strings:
            raise SoftcallError(
                f'no "{METADATA}" metadata, so this is not a task artifact;'
                " `softcall push` makes one of a PEFT folder"
            )
        try:
            fields = read_json(strings[METADATA], MAX_METADATA_DEPTH, MAX_JSON_TOKENS)
        except MalformedJsonError as error:
            raise SoftcallError(f'the "{METADATA}" metadata is {error}') from None
        if has_half(json.dumps(fields, ensure_ascii=False)):
            raise SoftcallError(
                f'the "{METADATA}" metadata holds half of a surrogate pair, which is not Unicode text'
            )
        if not isinstance(fields, dict):
            raise SoftcallError(f'the "{METADATA}" metadata is not a JSON object')
        if fields.get("schema") not in (_SOFT_SCHEMA, SCHEMA):
            raise SoftcallError(
                f"schema is {fields.get('schema')!r}; this version reads schema {_SOFT_SCHEMA} and {SCHEMA}"
            )
        return cls(fields)

    @property
    def _is_soft_schema(self) -> bool:
        return self._fields["schema"] == _SOFT_SCHEMA

    @property
    def prompt_type(self) -> PromptType:
        """The type of the prompt."""
        return PromptType.SOFT if self._is_soft_schema else PromptType(self._choice("prompt", PromptType))

    @property
    def kind(self) -> Kind:
        """The kind of the task."""
        kind = Kind(self._choice("kind", Kind))
        if self._is_soft_schema and kind != Kind.CLASSIFICATION:
            raise SoftcallError(f"kind is {kind.value!r}, which schema {_SOFT_SCHEMA} does not have")
        return kind

    @property
    def thresholds(self) -> tuple[float, ...] | None:
        """The labels' thresholds; None where there are none."""
        values = self._fields.get("thresholds")
        if values is None:
            return None
        if not isinstance(values, list):
            raise SoftcallError(f"thresholds is {values!r}; expected a list of probabilities")
        return tuple(_number(value, f"thresholds[{i}]") for i, value in enumerate(values))

    @property
    def fields(self) -> Mapping[str, Any]:
        """All fields."""
        return self._fields

    def object(self, name: str, default: Mapping[str, Any] | None = None) -> "Metadata":
        """Return an object's fields."""
        return Metadata(self.mapping(name, default))

    def mapping(self, name: str, default: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return an object."""
        value = self._fields.get(name, default)
        if not isinstance(value, dict):
            raise SoftcallError(f"{name} is {value!r}; expected an object")
        return value

    def text(self, name: str) -> str:
        """Return a string."""
        value = self._fields.get(name)
        if not isinstance(value, str):
            raise SoftcallError(f"{name} is {value!r}; expected a string")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        values = self._fields.get(name)
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise SoftcallError(f"{name} is not a list of strings")
        return tuple(values)

    def number(self, name: str, default: float) -> float:
        """Return a number."""
        return _number(self._fields.get(name, default), name)

    def optional_number(self, name: str) -> float | None:
        """Return a number, or None where it is null or missing."""
        value = self._fields.get(name)
        return None if value is None else _number(value, name)

    def _choice(self, name: str, choices: type[StrEnum]) -> str:
        value = self._fields.get(name)
        accepted = [choice.value for choice in choices]
        if value not in accepted:
            raise SoftcallError(
                f"{name} is {value!r}, which is not served yet; expected {' or '.join(map(repr, accepted))}"
            )
        return value


def as_json(value: Mapping[str, Any]) -> str:
    """Return the metadata as JSON that readers accept: strict, and within their bounds."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SoftcallError(f"labels, metrics and training must be JSON: {error}") from None
    if has_half(text):
        raise SoftcallError("labels, metrics and training hold half of a surrogate pair, which is not UTF-8")
    try:
        read_json(text, MAX_METADATA_DEPTH, MAX_JSON_TOKENS)
    except MalformedJsonError as error:
        raise SoftcallError(f"labels, metrics and training as JSON: {error}") from None
    return text


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SoftcallError(f"{name} is {value!r}; expected a number")
    try:
        return float(value)
    except OverflowError:
        raise SoftcallError(f"{name} is too large; expected a number of ordinary size") from None
