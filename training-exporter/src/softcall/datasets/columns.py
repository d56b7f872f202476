"""Chooses the columns of the texts and the label: as the user says, or by their usual names."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from softcall.core.errors import SoftcallError

# Names in the form of `_folded`. The first of each is the documented one, and has priority.
TEXTS = (
    "text",
    "sentence",
    "sms",
    "message",
    "review",
    "comment",
    "utterance",
    "tweet",
    "query",
    "question",
    "content",
    "body",
    "document",
    "headline",
    "passage",
    "input",
)
PAIRS = (
    ("text1", "text2"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
    ("question", "passage"),
    ("query", "passage"),
    ("query", "document"),
    ("texta", "textb"),
    ("sentencea", "sentenceb"),
)
LABELS = ("label", "labels", "category", "class", "intent", "target", "sentiment", "topic")

_SHOWN = 10


@dataclass(frozen=True)
class Columns:
    """The columns of the texts (one, or two for a pair), and of the label (None: there is none)."""

    texts: tuple[str, ...]
    label: str | None


@dataclass(frozen=True)
class ColumnChoice:
    """The columns that the user named; the others are found by their usual names."""

    texts: tuple[str, ...] = ()
    label: str | None = None

    def __post_init__(self) -> None:
        if len(self.texts) > 2 or len(set(self.texts)) < len(self.texts):
            raise SoftcallError(
                f"--text-column names {', '.join(self.texts)}; expected is one, or the two of a pair"
            )
        if self.label in self.texts:
            raise SoftcallError(f"--label-column and --text-column both name {self.label!r}")

    def among(self, names: Sequence[str], texts: int | None = None, *, labelled: bool = True) -> Columns:
        """Return the columns of a file with these `names`; a row has `texts` texts, 1 or 2 (None: either).

        The label may be missing unless `labelled`. Raises `SoftcallError`, which lists the columns and names
        the option that helps.
        """
        for name in (*self.texts, *filter(None, [self.label])):
            if name not in names and (labelled or name != self.label):
                raise SoftcallError(f"no column {name!r}; it has {shown(names)}")
        label = self.label if self.label in names else _one_of(LABELS, names, "label", "--label-column")
        if label is None and labelled:
            raise SoftcallError(
                f"no column is known as the label; it has {shown(names)}: name one with --label-column"
            )
        chosen = self.texts or _texts(names, texts, label)
        if texts is not None and len(chosen) != texts:
            raise SoftcallError(
                f"--text-column is given {len(chosen)} time(s); the template takes {texts} text(s) of a row"
            )
        return Columns(chosen, label)


def shown(names: Sequence[str]) -> str:
    """Return the first names, for a message."""
    listed = ", ".join(repr(name) for name in list(names)[:_SHOWN])
    return (listed or "no columns") + (", ..." if len(names) > _SHOWN else "")


def _texts(names: Sequence[str], texts: int | None, label: str | None) -> tuple[str, ...]:
    others = [name for name in names if name != label]
    folded = {_folded(name): name for name in reversed(others)}
    if texts != 2 and TEXTS[0] in folded:
        return (folded[TEXTS[0]],)
    pairs = [pair for pair in PAIRS if texts != 1 and all(name in folded for name in pair)]
    if pairs:
        return tuple(folded[name] for name in pairs[0])
    if texts == 2:
        raise SoftcallError(
            f"no two columns are known as a pair of texts; it has {shown(names)}:"
            " name them with --text-column, twice"
        )
    text = _one_of(TEXTS, others, "text", "--text-column")
    half = {name for pair in PAIRS[:2] for name in pair}
    if text is None and label is not None and len(others) == 1 and _folded(others[0]) not in half:
        text = others[0]  # the only candidate
    if text is None:
        raise SoftcallError(
            f"no column is known as the text; it has {shown(names)}: name one with --text-column"
        )
    return (text,)


def _one_of(known: Iterable[str], names: Sequence[str], what: str, option: str) -> str | None:
    """Return the column with the first of the known names, or the only column with another of them."""
    first, *_ = known
    found = [name for name in names if _folded(name) in known]
    exact = [name for name in found if _folded(name) == first]
    if len(exact) == 1 or len(found) == 1:
        return (exact or found)[0]
    if found:
        raise SoftcallError(
            f"{' and '.join(repr(name) for name in exact or found)} may each be the {what}:"
            f" name one with {option}"
        )
    return None


def _folded(name: str) -> str:
    """Normalize a name: `Text_1`, `text 1` and `text1` are equal."""
    return re.sub(r"[\s_-]+", "", name.casefold())
