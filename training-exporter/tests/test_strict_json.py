"""JSON of strangers is read strictly, and bounded before anything is built of it."""

import json

import pytest

from softcall.core.strict_json import MalformedJsonError, read_json


def refusal(document, *bounds):
    with pytest.raises(MalformedJsonError) as refused:
        read_json(document, *bounds)
    return str(refused.value)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, -2.5, 1e300, True, None, "返金"]}, [], "x", 0, {"": {"": {}}}, {"a": "{[\\"}, 10**300],
)
def test_values_are_those_of_the_library(value):
    for document in (json.dumps(value), json.dumps(value, ensure_ascii=False).encode()):
        assert read_json(document) == json.loads(document)
    assert read_json(b"\xef\xbb\xbf" + json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"", "empty; expected JSON"),
        (b" \r\n\t", "empty; expected JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', 'not valid JSON: the field "a" appears twice in an object'),
        (b'[{"x": {"a\\u001b": 1, "a\\u001b": 1}}]', r'the field "a\u001b" appears twice in an object'),
        (b"NaN", "NaN is not a JSON number"),
        (b"[Infinity]", "Infinity is not a JSON number"),
        (b"-Infinity", "-Infinity is not a JSON number"),
        (b"1e400", "a number exceeds the range of a double"),
        (b"1" * 1_001, "a number has more than 1000 characters"),
        (b"0." + b"1" * 1_000, "a number has more than 1000 characters"),
        (b"{} {}", "not valid JSON: Extra data at line 1, column 4"),
        (b'{"a":\n 1,}', "at line 2, column"),
        (b"{'a': 1}", "Expecting property name enclosed in double quotes at line 1, column 2"),
        (b'"a\x01"', "Invalid control character at line 1, column 3"),
        (b'"\xff"', "not UTF-8 (invalid start byte at byte 1)"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        ('{"a": 1}'.encode("utf-32-be"), "not valid JSON"),
        (b"\0\0\0\0\1{}", "not valid JSON"),
        (b"[" * 100_000, "lists and objects are nested more than 64 deep"),
        (b'{"a":' * 100_000, "more than 64 deep"),
        (b'{"' + b"n" * 50_001 + b'": 1}', "a name has more than 50000 characters"),
    ],
)
def test_everything_else_is_refused(document, message):
    assert message in refusal(document)


def test_messages_repeat_nothing_of_a_document():
    for document in (b'{"a": "SECRET" "SECRET"}', b'["SECRET", SECRET]', b'{"a": SECRET}', b"SECRET"):
        assert "SECRET" not in refusal(document)


@pytest.mark.parametrize(
    ("document", "depth", "tokens"),
    [
        ("[[1]]", 2, 5),
        ('{"a": "[[[[{{"}', 1, 4),
        ('{"\\"[[": [true, null, -1.5e3]}', 2, 8),
        ("7", 1, 1),
        ('["\\\\", "]"]', 1, 4),
    ],
)
def test_bounds_are_exact(document, depth, tokens):
    """Brackets, names and values count, as they do in Jackson; what stands in a string does not."""
    assert read_json(document, depth, tokens) == json.loads(document)
    if depth > 1:
        assert f"more than {depth - 1} deep" in refusal(document, depth - 1, tokens)
    if tokens > 1:
        assert f"more than {tokens - 1} brackets, names and values" in refusal(document, depth, tokens - 1)
