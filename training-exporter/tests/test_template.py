"""Templates fill and cut texts as docs/task-artifact.md says; make_template_cases.py makes the cases."""

import json

import pytest
from make_template_cases import CASES, TOKENIZERS
from tokenizers import Tokenizer

from softcall.artifact.template import Template
from softcall.core.errors import SoftcallError

TINY = "tiny"


@pytest.fixture(scope="module")
def tokenizers():
    return {name: Tokenizer.from_file(str(path)) for name, path in TOKENIZERS.items()}


def encode(tokenizer, template, texts, limit):
    try:
        return Template(template).encode(tokenizer, texts, limit, truncate=True)
    except SoftcallError:
        return None


def test_every_shared_case(tokenizers):
    cases = json.loads(CASES.read_text())
    assert len(cases) > 500
    wrong = [
        case
        for case in cases
        if encode(tokenizers[case["tokenizer"]], case["template"], case["texts"], case["limit"])
        != case["ids"]
    ]
    assert wrong == []


def test_a_cut_row_keeps_the_templates_tail(tokenizers):
    tokenizer = tokenizers[TINY]
    whole = Template("{text}\nIntent:").encode(tokenizer, ["Where is my card? " * 50])
    cut = Template("{text}\nIntent:").encode(tokenizer, ["Where is my card? " * 50], 20, truncate=True)
    tail = tokenizer.encode("\nIntent:").ids
    assert len(cut) == 20
    assert cut[-len(tail) :] == whole[-len(tail) :] == tail


def test_a_row_above_the_limit_is_refused_unless_truncation_is_asked_for(tokenizers):
    with pytest.raises(SoftcallError, match=r"has \d+ tokens with its template; at most 5 are accepted"):
        Template("{text}\nIntent:").encode(tokenizers[TINY], ["a longer text than that"], 5)


def test_a_template_above_the_limit_is_refused_even_so(tokenizers):
    with pytest.raises(SoftcallError, match="the template alone has 5 tokens; at most 3 are accepted"):
        Template("{text}\nIntent:").encode(tokenizers[TINY], ["a text"], 3, truncate=True)


@pytest.mark.parametrize(
    ("template", "fields"),
    [("{text}", ("text",)), ("{text1}{text2}", ("text1", "text2")), ("{text2} {text1}", ("text1", "text2"))],
)
def test_fields_are_in_the_order_of_a_rows_texts(template, fields):
    assert Template(template).fields == fields


def test_texts_go_in_by_name_and_in_one_pass():
    assert Template("{text2}|{text1}").fill(["{text2}", "{text1}"]) == "{text1}|{text2}"


@pytest.mark.parametrize(
    "template",
    [
        "",
        "no field",
        "{text} {text}",
        "{text1}",
        "{text2}",
        "{text1} {text2} {text2}",
        "{text} {text1} {text2}",
    ],
)
def test_other_fields_are_refused(template):
    with pytest.raises(SoftcallError, match=r"expected \{text\} once, or \{text1\} and \{text2\} once each"):
        Template(template)


def test_the_number_of_texts_must_fit():
    with pytest.raises(SoftcallError, match=r"takes \{text1\} and \{text2\}, but the row has 1 text"):
        Template("{text1} {text2}").fill(["one"])


def test_half_a_surrogate_pair_is_one_character_of_replacement():
    assert Template("{text}").fill(["ab\ud83d\U0001f680\ude80"]) == "ab\ufffd\U0001f680\ufffd"


def test_halves_of_two_texts_do_not_join():
    assert Template("{text1}{text2}").fill(["\ud83d", "\ude80"]) == "\ufffd\ufffd"


def test_a_template_of_half_a_surrogate_pair_is_refused():
    with pytest.raises(SoftcallError, match="the template holds half of a surrogate pair"):
        Template("\ud83d{text}")


def test_a_limit_below_one_is_refused(tokenizers):
    with pytest.raises(SoftcallError, match="the limit of tokens is 0"):
        Template("{text}").encode(tokenizers[TINY], ["a"], 0, truncate=True)
