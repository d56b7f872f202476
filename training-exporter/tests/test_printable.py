"""What comes from outside is printed on one line, seen as it is, and bounded."""

import json

import pytest

from softcall.core.errors import SoftcallError
from softcall.core.printable import MAX_LENGTH, printable, printable_json


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 返金 \U0001f680 é", "plain, 返金 \U0001f680 é"),
        ("a\nb\rc\td", r"a\nb\rc\td"),
        ("\x1b[31mred\x07", r"\u001b[31mred\u0007"),
        ("\x9b31m", r"\u009b31m"),
        ("\u202edlrow", r"\u202edlrow"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028line", r"line\u2028line"),
        ("\ud83d", r"\ud83d"),
        ("\ue000\U000f0000\U000e0001", r"\ue000\u{f0000}\u{e0001}"),
        ("back\\slash", "back\\slash"),
        ("", ""),
    ],
)
def test_characters_that_a_terminal_obeys_or_hides_are_escaped(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_a_long_text_is_cut_between_escapes():
    assert printable("x" * MAX_LENGTH) == "x" * MAX_LENGTH
    assert printable("x" * (MAX_LENGTH + 1)) == "x" * (MAX_LENGTH - 3) + "..."
    cut = printable("\x1b" * 10_000)
    assert len(cut) <= MAX_LENGTH and cut == r"\u001b" * 82 + "..."
    assert printable("ab\ncd", 5) == "ab..."


def test_errors_are_printable():
    assert str(SoftcallError("tensor a\n\x1b[2J is missing")) == r"tensor a\n\u001b[2J is missing"
    assert len(str(SoftcallError("x" * 10_000_000))) == MAX_LENGTH


def test_json_is_whole_and_the_same_value():
    value = {"a\x1b": ["\x9b", "\u202e", "\U000e0001", "返金", "\x7f\n", "x" * 1_000]}
    for indent in (None, 2):
        text = printable_json(value, indent)
        assert json.loads(text) == value
        assert all(character.isprintable() or character == "\n" for character in text)
    assert printable_json(["返金"]) == '["返金"]'
