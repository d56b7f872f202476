"""Columns are found by the names that data sets give them, or as told; whatever is unclear is asked."""

import pytest

from softcall.core.errors import SoftcallError
from softcall.datasets.columns import ColumnChoice, Columns


@pytest.mark.parametrize(
    ("names", "texts", "label"),
    [
        (("text", "label"), ("text",), "label"),
        (("sentence", "category"), ("sentence",), "category"),
        (("Category", "Message"), ("Message",), "Category"),
        (("sms", "label"), ("sms",), "label"),
        (("idx", "question", "sentence", "label"), ("question", "sentence"), "label"),
        (("sentence1", "sentence2", "label", "idx"), ("sentence1", "sentence2"), "label"),
        (("Premise", "hypothesis", "label"), ("Premise", "hypothesis"), "label"),
        (("text_2", "text_1", "target"), ("text_1", "text_2"), "target"),
        (("text", "sentence", "question", "label"), ("text",), "label"),
        (("text", "label", "category", "intent"), ("text",), "label"),
        (("tweet_text", "sentiment"), ("tweet_text",), "sentiment"),
        (("id", "Text", "intent"), ("Text",), "intent"),
    ],
)
def test_names_that_are_usual_are_known(names, texts, label):
    assert ColumnChoice().among(names) == Columns(texts, label)


def test_a_template_says_how_many_texts_there_are():
    names = ("text", "question", "sentence", "label")
    assert ColumnChoice().among(names, 1).texts == ("text",)
    assert ColumnChoice().among(names, 2).texts == ("question", "sentence")
    assert ColumnChoice().among(("question", "sentence", "label"), None).texts == ("question", "sentence")


def test_what_is_said_comes_first():
    names = ("text", "note", "label", "fine")
    assert ColumnChoice(("note",), "fine").among(names) == Columns(("note",), "fine")
    assert ColumnChoice(("note", "text")).among(names, 2) == Columns(("note", "text"), "label")
    assert ColumnChoice(label="fine").among(names) == Columns(("text",), "fine")


def test_a_label_may_be_missing_where_none_is_needed():
    assert ColumnChoice().among(("text", "id"), labelled=False) == Columns(("text",), None)
    assert ColumnChoice(label="fine").among(("text", "id"), labelled=False) == Columns(("text",), None)


@pytest.mark.parametrize(
    ("choice", "names", "texts", "message"),
    [
        ((), ("a", "b", "label"), None, "no column is known as the text; it has 'a', 'b', 'label': name one"),
        ((), ("text1", "label"), None, "no column is known as the text"),
        (
            (),
            ("text", "b"),
            None,
            "no column is known as the label; it has 'text', 'b': name one with --label-c",
        ),
        (
            (),
            ("review", "comment", "label"),
            None,
            "'review' and 'comment' may each be the text: name one with",
        ),
        ((), ("text", "intent", "topic"), None, "'intent' and 'topic' may each be the label: name one with"),
        ((), ("text", "Label", "label"), None, "'Label' and 'label' may each be the label"),
        ((), ("text", "label"), 2, "no two columns are known as a pair of texts; it has 'text', 'label'"),
        ((("b",), None), ("text", "label"), None, "no column 'b'; it has 'text', 'label'"),
        (((), "b"), ("text", "label"), None, "no column 'b'"),
        ((("text",), None), ("text", "label"), 2, "--text-column is given 1 time(s); the template takes 2"),
    ],
)
def test_whatever_is_unclear_is_asked(choice, names, texts, message):
    with pytest.raises(SoftcallError) as refused:
        ColumnChoice(*choice).among(names, texts)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("texts", "label", "message"),
    [
        (("a", "b", "c"), None, "--text-column names a, b, c; expected is one, or the two of a pair"),
        (("a", "a"), None, "--text-column names a, a"),
        (("a",), "a", "--label-column and --text-column both name 'a'"),
    ],
)
def test_choices_that_contradict_themselves_are_refused(texts, label, message):
    with pytest.raises(SoftcallError) as refused:
        ColumnChoice(texts, label)
    assert message in str(refused.value)
