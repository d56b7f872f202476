"""Templates: the words around a text, and truncation that cuts the text and never the template."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tokenizers import Tokenizer

from softcall.artifact.bounds import MAX_TEMPLATE_CHARACTERS, utf16_units
from softcall.core.errors import SoftcallError
from softcall.core.surrogates import has_half, without_halves

_FIELD = re.compile(r"\{(text[12]?)\}")
SINGLE = ("text",)
PAIR = ("text1", "text2")


@dataclass(frozen=True)
class Template:
    """A string that holds `{text}` exactly once, or `{text1}` and `{text2}` exactly once each.

    Nothing else is special, and there is no escape. Raises `SoftcallError` for other fields, and for more
    than `MAX_TEMPLATE_CHARACTERS`.
    """

    source: str

    def __post_init__(self) -> None:
        if (units := utf16_units(self.source)) > MAX_TEMPLATE_CHARACTERS:
            raise SoftcallError(
                f"the template has {units} characters; at most {MAX_TEMPLATE_CHARACTERS} are accepted"
            )
        named = _FIELD.findall(self.source)
        if tuple(sorted(named)) not in (SINGLE, PAIR):
            found = ", ".join(f"{{{name}}}" for name in named) or "no field"
            raise SoftcallError(
                f"template {self.source!r} has {found};"
                " expected {text} once, or {text1} and {text2} once each"
            )
        if has_half(self.source):
            raise SoftcallError(
                "the template holds half of a surrogate pair; expected whole characters, which UTF-8 can hold"
            )

    def __str__(self) -> str:
        return self.source

    @property
    def fields(self) -> tuple[str, ...]:
        """`("text",)` or `("text1", "text2")`: the order in which `fill` and `encode` take a row's texts."""
        return SINGLE if len(self._places) == 1 else PAIR

    def fill(self, texts: Sequence[str]) -> str:
        """Fill in one text for each of `fields`, in one pass: a text may contain `{text}`."""
        return self._fill(texts)[0]

    def encode(
        self, tokenizer: Tokenizer, texts: Sequence[str], limit: int | None = None, truncate: bool = False
    ) -> list[int]:
        """Return the token ids of the filled template, without special tokens.

        `tokenizer` neither truncates nor pads. Raises `SoftcallError` for more than `limit` tokens, unless
        `truncate` is set: then texts are cut at their ends, the one with more tokens first, until the row
        fits. Raises `SoftcallError` as well if the template alone is longer than `limit`.
        """
        if limit is not None and limit < 1:
            raise SoftcallError(f"the limit of tokens is {limit}; expected at least 1")
        texts = list(texts)
        while True:
            filled, spans = self._fill(texts)
            encoding = tokenizer.encode(filled, add_special_tokens=False)
            if limit is None or len(encoding.ids) <= limit:
                return encoding.ids
            if not truncate:
                raise SoftcallError(
                    f"the text has {len(encoding.ids)} tokens with its template; at most {limit} are accepted"
                )
            self._cut(texts, spans, encoding.offsets, limit)

    @cached_property
    def _places(self) -> tuple[int, ...]:
        """The index of the text for each field, in the order of the template."""
        return tuple(int(name == "text2") for name in _FIELD.findall(self.source))

    @cached_property
    def _literals(self) -> tuple[str, ...]:
        """The words before, between and after the fields."""
        return tuple(_FIELD.split(self.source)[::2])

    def _fill(self, texts: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
        """Return the filled string, and the span of each field (code points, in the template's order).

        Lone surrogates become U+FFFD, so they never pair with one of the next text.
        """
        if len(texts) != len(self._places):
            names = " and ".join(f"{{{name}}}" for name in self.fields)
            raise SoftcallError(f"the template takes {names}, but the row has {len(texts)} text(s)")
        filled = ""
        spans = []
        for literal, place in zip(self._literals, self._places, strict=False):
            start = len(filled) + len(literal)
            filled += literal + without_halves(texts[place])
            spans.append((start, len(filled)))
        return filled + self._literals[-1], spans

    def _cut(
        self, texts: list[str], spans: list[tuple[int, int]], offsets: Sequence[tuple[int, int]], limit: int
    ) -> None:
        """Shorten `texts` by the tokens above `limit`; each call removes at least one code point."""
        # The starts of the tokens inside each field; a token across a border belongs to the template.
        starts = [[start for start, end in offsets if first <= start < end <= last] for first, last in spans]
        kept = [len(tokens) for tokens in starts]
        for taken in range(len(offsets) - limit):
            longest = max(range(len(kept)), key=lambda field: (kept[field], field))
            if kept[longest] == 0:
                raise SoftcallError(
                    f"the template alone has {len(offsets) - taken} tokens; at most {limit} are accepted"
                )
            kept[longest] -= 1
        for field, place in enumerate(self._places):
            if kept[field] < len(starts[field]):
                texts[place] = texts[place][: starts[field][kept[field]] - spans[field][0]]
