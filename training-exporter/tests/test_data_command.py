"""`softcall data`: what it says of labelled texts, and when it ends with status 1."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.datasets.checks import Severity, check_rows
from softcall.datasets.report import tokenizer_of
from softcall.datasets.rows import Row
from softcall.training.inputs.rows import TrainingRows
from softcall.training.settings.config import TrainConfig

DATASETS = Path(__file__).parent / "dataset_layouts"
EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def softcall(*arguments):
    """(status, what is printed)."""
    done = CliRunner().invoke(app, ["data", *map(str, arguments)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout


def write(path, rows, header=("sentence", "category")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def balanced(count=20, text="Text {}"):
    return [(text.format(i), ("good", "bad")[i % 2]) for i in range(count)]


def findings(parts):
    """Severity and message of what is found in (text, label) pairs."""
    rows = {
        name: [Row((text,), label, line, Path(f"{name}.csv")) for line, (text, label) in enumerate(pairs, 2)]
        for name, pairs in parts.items()
    }
    return [(found.severity, found.message) for found in check_rows(rows)]


def test_good_data_is_described(tmp_path):
    status, printed = softcall(write(tmp_path / "a.csv", balanced()))
    assert status == 0
    assert "template  '{text}\\nLabel:'" in printed
    assert "labels  2: good 10, bad 10" in printed
    assert printed.endswith("nothing to complain about\n")


def test_lengths_are_those_of_the_tokenizer(tmp_path):
    """Of the filled template, by the default base's own tokenizer."""
    tokenizer = tokenizer_of(None)
    texts = ["word " * count for count in (1, 5, 40)]
    lengths = sorted(len(tokenizer.encode(f"{text}\nLabel:").ids) for text in texts)
    rows = [(text, label) for text, label in zip(texts, ("a", "b", "a"), strict=True)]
    _, printed = softcall(write(tmp_path / "a.csv", rows), "--max-text-tokens", lengths[1])
    assert f"rows    3; median {lengths[1]} tokens, longest {lengths[2]}" in printed
    assert f"a.csv: 1 texts have more than {lengths[1]} tokens with their template and are cut" in printed


def test_a_folder_is_held_together_by_its_parts():
    for layout in ("saved", "hub"):
        status, printed = softcall(DATASETS / layout, "--json")
        report = json.loads(printed)
        assert status == 0 and not report["failed"]
        assert [(part["name"], part["rows"]) for part in report["parts"]] == [
            ("train", 11),
            ("dev", 4),
            ("test", 3),
        ]
        assert report["parts"][0]["labels"] == {"negative": 4, "neutral": 4, "positive": 3}
        messages = [found["message"] for found in report["findings"]]
        assert "test: none of the 3 rows has a label, so they are left out" in messages


def test_a_test_part_has_labels_or_none(tmp_path):
    """As `softcall train` has it: a part of secret labels is left out, one with gaps is a mistake."""
    for part in ("train", "test"):
        rows = [{"text": f"{part} {i}", "label": "ab"[i % 2]} for i in range(20)]
        if part == "test":
            rows[3]["label"] = None
        (tmp_path / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    status, printed = softcall(tmp_path)
    assert status == 1 and "error    test: 1 of 20 rows have no label" in printed
    with pytest.raises(SoftcallError, match=r"test\.jsonl line 4: no label in field 'label'"):
        TrainingRows.read(TrainConfig(data=tmp_path, out=tmp_path / "a.safetensors"))


def test_rows_that_training_refuses_are_errors(tmp_path):
    rows = [*balanced(), ("", "good"), ("  ", "bad"), ("Text", "")]
    status, printed = softcall(write(tmp_path / "a.csv", rows))
    assert status == 1
    assert (
        f"error    a.csv: 3 rows are refused: {tmp_path}/a.csv line 22: field 'sentence' is empty" in printed
    )
    assert "line 24: field 'category' is empty" in printed
    assert "rows    20" in printed


def test_labels_that_training_never_sees_are_errors(tmp_path):
    train = write(tmp_path / "train.csv", balanced())
    test = write(tmp_path / "test.csv", [("Other text", "ugly"), ("And more", "good")])
    status, printed = softcall(train, test)
    assert status == 1
    assert "error    test.csv: has labels that train.csv does not have: 'ugly' (1)" in printed


def test_warnings_do_not_count(tmp_path):
    train = write(tmp_path / "train.csv", balanced())
    test = write(tmp_path / "test.csv", [("text  3", "bad"), ("Text 4", "good"), ("new", "good")])
    status, printed = softcall(train, test)
    assert status == 0
    assert (
        "warning  2 of the test.csv rows have a text that is in the train.csv rows too, such as 'text  3'"
        in printed
    )


def test_columns_are_given_by_flags(tmp_path):
    file = write(tmp_path / "a.csv", [(f"{i}", *row) for i, row in enumerate(balanced())], ("note", "a", "b"))
    status, printed = softcall(file, "--text-column", "a", "--label-column", "b")
    assert status == 0 and "good 10, bad 10" in printed


def test_the_shipped_examples_are_fit_for_training():
    status, printed = softcall(EXAMPLES / "banking77/train.jsonl", EXAMPLES / "banking77/test.jsonl")
    assert status == 0
    assert "rows    10,003;" in printed and "rows    3,080;" in printed
    assert "7 of the test.jsonl rows have a text that is in the train.jsonl rows too" in printed


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({"a": balanced(), "b": balanced(text="Other {}")}, []),
        ({"a": [("x", "good"), ("y", "good")]}, [("error", "a: has only the label 'good'; at least two")]),
        (
            {"a": [*balanced(), ("TEXT  1", "good")]},
            [
                ("warning", "1 texts have several labels each, such as 'Text 1' (bad, good; a.csv line 3)"),
                ("warning", "a: 1 rows repeat the text of another (but for case and spaces)"),
            ],
        ),
        (
            {"a": balanced(), "b": [("Text 0", "bad")]},
            [
                ("warning", "1 texts have several labels each, such as 'Text 0' (bad, good; a.csv line 2)"),
                ("warning", "1 of the b rows have a text that is in the a rows too, such as 'Text 0' (b.csv"),
            ],
        ),
        (
            {"a": [*balanced(4), *((f"More {i}", "good") for i in range(40))]},
            [
                ("warning", "a: 95% of the rows have the label 'good', so an accuracy of 0.95 shows nothing"),
                ("warning", "a: 1 labels have fewer than 8 rows: 'bad' (2)"),
            ],
        ),
        (
            {"a": [(f"Text {i}", str(i % 2)) for i in range(20)]},
            [("warning", "a: the labels are numbers (0, 1), which say nothing; --verbalizer gives them")],
        ),
        (
            {"a": [(f"Text {i}", f"{i % 12}") for i in range(120)]},
            [("warning", "a: the labels are numbers (0, 1, 2, 3, 4, ...), which say nothing")],
        ),
        (
            {"a": balanced(), "test": [("Another", "-1"), ("And more", "-1"), ("New", "good")]},
            [
                ("error", "test: has labels that a does not have: '-1' (2)"),
                (
                    "warning",
                    "test: 2 of 3 rows have the label -1, with which data sets mark rows whose label",
                ),
            ],
        ),
        (
            {"a": [(f"Text {i}", ("good", "Good", "bad", "GOOD")[i % 4]) for i in range(40)]},
            [
                (
                    "warning",
                    "labels that differ in case or spaces alone are several: 'GOOD' and 'Good' and 'good'",
                )
            ],
        ),
        (
            {"a": balanced(), "test": [("Another", "Bad")]},
            [
                ("error", "test: has labels that a does not have: 'Bad' (1)"),
                ("warning", "labels that differ in case or spaces alone are several: 'Bad' and 'bad'"),
            ],
        ),
        (
            {"a": [(f"Text {i}", ("0.0", "1.0", "10.0")[i % 3]) for i in range(30)]},
            [
                ("warning", "a: the labels are numbers (0.0, 1.0, 10.0), which say nothing"),
                (
                    "warning",
                    "the labels 0.0, 1.0, 10.0 look like whole numbers that a table wrote with a decimal",
                ),
            ],
        ),
    ],
)
def test_findings(parts, expected):
    found = findings(parts)
    assert len(found) == len(expected)
    for (severity, message), (wanted, begun) in zip(found, expected, strict=True):
        assert (severity, message[: len(begun)]) == (Severity(wanted), begun)


def test_more_labels_than_a_task_may_have_are_an_error():
    found = findings({"a": [(f"Text {i}", f"label {i}") for i in range(10_001)]})
    assert ("error", "a: 10001 labels; expected 2 to 10000") in found


def test_whatever_a_file_holds_is_printed_on_one_line_and_not_obeyed(tmp_path):
    evil = "\x1b]0;title\x07\u202e\x9b2J\nwarning  forged"
    rows = [*balanced(), *((f"{evil} {i}", evil) for i in range(3)), (f"{evil} 1", "good")]
    status, printed = softcall(write(tmp_path / f"a{evil[:1]}.csv", rows))
    assert status == 0
    assert all(line.isprintable() for line in printed.splitlines())
    assert not any(line.startswith("warning  forged") for line in printed.splitlines())
    _, printed = softcall(write(tmp_path / "a.csv", rows), "--json")
    assert json.loads(printed)["parts"][0]["labels"][evil] == 3
    assert all(line.isprintable() for line in printed.splitlines())


def test_errors_come_first():
    found = findings({"a": balanced(4), "b": [("new", "ugly")]})
    assert [severity for severity, _ in found] == ["error", "warning"]
