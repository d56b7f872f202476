"""What tasks that write text have: a template, and settings that a request may leave out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from softcall.artifact.bounds import utf16_units
from softcall.artifact.metadata import Kind, Metadata
from softcall.artifact.template import SINGLE, Template
from softcall.core.errors import SoftcallError
from softcall.core.printable import printable

MOST_TOKENS = 1_000_000
MOST_STOPS = 16
MOST_STOP_CHARACTERS = 200
HIGHEST_TEMPERATURE = 2
SHOWN_CHARACTERS = 60

PLAIN = Template("{text}")
OF_LABELS = ("labels", "verbalizers", "thresholds", "temperature", "abstain_threshold")
"""The fields of tasks that classify; the temperature of generation is a field of `generation`."""

_SETTINGS = ("max_tokens", "stop", "temperature", "top_p")


@dataclass(frozen=True)
class Generation:
    """What a task that writes text has besides its prompt. Its fields are also those of `task.json`.

    - `template`: with `{text}` alone; None if the prompt was trained on the base's chat template
    - `max_tokens`: the bound on new tokens, 1 to 1,000,000
    - `stop`: at most 16 texts, of 1 to 200 characters each, that end an answer
    - `temperature`: 0 to 2; `top_p`: in (0, 1]

    A setting that is None, or empty, is the server's. The constructor raises `SoftcallError` for others.
    """

    template: Template | None = PLAIN
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None

    def __post_init__(self) -> None:
        if self.template is not None and self.template.fields != SINGLE:
            raise SoftcallError(f"template {self.template.source!r} has two texts; expected {{text}} once")
        if self.max_tokens is not None and not (
            type(self.max_tokens) is int and 1 <= self.max_tokens <= MOST_TOKENS
        ):
            raise SoftcallError(f"max_tokens is {self.max_tokens!r}; expected 1 to {MOST_TOKENS}")
        if len(self.stop) > MOST_STOPS:
            raise SoftcallError(f"stop has {len(self.stop)} texts; at most {MOST_STOPS} are accepted")
        for number, text in enumerate(self.stop):
            if not (isinstance(text, str) and 1 <= utf16_units(text) <= MOST_STOP_CHARACTERS):
                raise SoftcallError(
                    f"stop[{number}] is {_shown(text)}; a text of 1 to {MOST_STOP_CHARACTERS} characters is"
                    " expected"
                )
        if self.temperature is not None and not (
            _is_number(self.temperature) and 0 <= self.temperature <= HIGHEST_TEMPERATURE
        ):
            raise SoftcallError(
                f"the temperature of generation is {self.temperature!r}; expected a number from 0 to"
                f" {HIGHEST_TEMPERATURE}"
            )
        if self.top_p is not None and not (_is_number(self.top_p) and 0 < self.top_p <= 1):
            raise SoftcallError(f"top_p is {self.top_p!r}; expected a number in (0, 1]")

    @property
    def is_chat(self) -> bool:
        """Whether the prompt was trained on the base's chat template."""
        return self.template is None

    @classmethod
    def of_fields(cls, fields: Mapping[str, Any]) -> Self:
        """Read the fields `template`, `chat` and `generation` of JSON, of which null counts as missing.

        Raises `SoftcallError` for fields of labels.
        """
        fields = _given(fields)
        for name in OF_LABELS:
            if name in fields:
                raise SoftcallError(
                    f"{name} is given; expected none: the kind {Kind.GENERATION.value!r} has no labels"
                )
        chat = fields.get("chat", False)
        if not isinstance(chat, bool):
            raise SoftcallError(f"chat is {chat!r}; expected true or false")
        if chat and "template" in fields:
            raise SoftcallError("template is given; expected none: chats have the base's chat template")
        template = None if chat else PLAIN
        if "template" in fields:
            template = Template(Metadata(fields).text("template"))
        settings = _given(Metadata(fields).mapping("generation", default={}))
        stop = settings.get("stop", ())
        if not isinstance(stop, list | tuple) or ("stop" in settings and not stop):
            raise SoftcallError(f"stop is {_shown(stop)}; expected a list of 1 to {MOST_STOPS} texts")
        others = {name: settings[name] for name in _SETTINGS if name in settings and name != "stop"}
        return cls(template, stop=tuple(stop), **others)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], where: str) -> Self:
        """Return the task of a `task.json`'s fields; raise `SoftcallError`, which begins with `where`.

        Unlike an artifact's metadata it has no unknown fields.
        """
        try:
            found = cls.of_fields(record)
            _refuse_unknown(_given(record), ("kind", "template", "chat", "generation"), "field")
            _refuse_unknown(record.get("generation") or {}, _SETTINGS, "field of generation")
        except SoftcallError as error:
            raise SoftcallError(f"{where}: {error}") from None
        return found

    def fields(self) -> dict[str, Any]:
        """Return the fields that `of_fields` reads."""
        settings = {
            "max_tokens": self.max_tokens,
            "stop": list(self.stop) or None,
            "temperature": self.temperature,
            "top_p": self.top_p,
        }
        given = _given(settings)
        return {
            **({"chat": True} if self.template is None else {"template": self.template.source}),
            **({"generation": given} if given else {}),
        }


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _refuse_unknown(fields: Mapping[str, Any], known: tuple[str, ...], what: str) -> None:
    for name in fields:
        if name not in known:
            raise SoftcallError(f"unknown {what} {name!r}; expected {', '.join(known)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return printable(repr(value), SHOWN_CHARACTERS)
