"""Labelled files: what is read, what is refused and with which words, and how a dev set is carved out."""

import gzip
import hashlib
import json
import os
import subprocess
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stand_ins import POINTER

from softcall.core.errors import SoftcallError
from softcall.datasets import rows, text_files
from softcall.datasets.rows import Refusals, Row, files_sha256, labels_of, read_rows, split_dev


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_jsonl_gives_texts_labels_and_lines_and_ignores_the_rest(tmp_path):
    file = write(
        tmp_path / "a.jsonl",
        '{"text": "one", "label": "x", "more": [1]}\n\n{"label": "y", "text": "二つ\\nlines"}\r\n',
    )
    assert read_rows(file) == [Row(("one",), "x"), Row(("二つ\nlines",), "y")]
    assert [row.line for row in read_rows(file)] == [1, 3]


def test_csv_gives_the_same_rows_as_jsonl(tmp_path):
    jsonl = write(
        tmp_path / "a.jsonl", '{"text": "a, \\"b\\"\\nc", "label": "x"}\n{"text": "d", "label": "y"}\n'
    )
    csv = write(tmp_path / "a.csv", '\ufefflabel,id,text\r\nx,1,"a, ""b""\nc"\r\n\r\ny,2,d\r\n')
    assert read_rows(csv) == read_rows(jsonl)
    assert [row.line for row in read_rows(csv)] == [2, 5]


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_gzip_is_read_like_the_plain_file(tmp_path, name):
    content = b'{"text": "a", "label": "x"}\n' if "jsonl" in name else b"text,label\na,x\n"
    plain, packed = write(tmp_path / name, content), write(tmp_path / f"{name}.gz", gzip.compress(content))
    assert read_rows(packed) == read_rows(plain) == [Row(("a",), "x")]


def test_pairs_are_read_by_the_template_s_fields_or_found_out(tmp_path):
    file = write(tmp_path / "a.csv", "text2,text1,label\nb,a,x\n")
    assert read_rows(file, ("text1", "text2")) == read_rows(file) == [Row(("a", "b"), "x")]


def test_integers_are_labels_too(tmp_path):
    assert read_rows(write(tmp_path / "a.jsonl", '{"text": "a", "label": 0}'))[0].label == "0"


def test_unlabelled_rows_are_read_when_asked_for(tmp_path):
    file = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": "b", "label": "x"}\n')
    assert [row.label for row in read_rows(file, labelled=False)] == [None, "x"]


def test_half_a_surrogate_pair_in_a_text_is_one_character_of_replacement(tmp_path):
    file = write(tmp_path / "a.jsonl", '{"text": "a\\ud83d\\ud83d\\ude80", "label": "x"}')
    assert read_rows(file) == [Row(("a\ufffd\U0001f680",), "x")]


GOOD = '{"text": "a", "label": "x"}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", GOOD + '{"text": " ", "label": "x"}', "a.jsonl line 2: field 'text' is empty"),
        ("a.jsonl", '{"text": "a"}', "a.jsonl: no column is known as the label; it has 'text': name one"),
        (
            "a.jsonl",
            '{"text": "a", "label": null}',
            "line 1: no label in field 'label'; it has 'text', 'label'",
        ),
        (
            "a.jsonl",
            '{"text1": "a", "label": "x"}',
            "no column is known as the text; it has 'text1', 'label': name one",
        ),
        ("a.jsonl", '{"text": ["a"], "label": "x"}', "line 1: field 'text' holds a list, expected a string"),
        ("a.jsonl", '{"text": "a", "label": 1.5}', "line 1: field 'label' holds a number"),
        ("a.jsonl", GOOD + '{"label": "x"}', "a.jsonl line 2: no field 'text'; it has 'label'"),
        ("a.jsonl", '{"text": "a", "label": true}', "line 1: field 'label' holds true or false"),
        ("a.jsonl", '{"text": "a", "label": " "}', "line 1: field 'label' is empty"),
        ("a.jsonl", '{"text": "a", "label": "x "}', "line 1: field 'label' is 'x ', with spaces around it"),
        ("a.jsonl", json.dumps({"text": "a", "label": "x" * 201}), "field 'label' has 201 characters"),
        ("a.jsonl", '{"text": "a", "label": "\\ud800"}', "field 'label' holds half of a surrogate pair"),
        ("a.jsonl", '{"text": "a", "label": "x"', "line 1: not valid JSON"),
        (
            "a.jsonl",
            "[" * 100_000,
            "line 1: not valid JSON: lists and objects are nested more than 64",
        ),
        (
            "a.jsonl",
            '{"text": "a", "text": "b", "label": "x"}',
            'the field "text" appears twice in an object',
        ),
        ("a.jsonl", '{"text": "a", "label": "x", "score": NaN}', "NaN is not a JSON number"),
        ("a.jsonl", '{"text": "a", "label": "x"}'.encode("utf-16"), "line 1: not UTF-8"),
        (
            "a.jsonl",
            POINTER,
            "a.jsonl: it is a Git LFS pointer, not the file: run `git lfs pull`; expected rows",
        ),
        ("a.csv", POINTER, "a.csv: it is a Git LFS pointer"),
        ("a.parquet", POINTER, "a.parquet: it is a Git LFS pointer"),
        ("a.arrow", POINTER, "a.arrow: it is a Git LFS pointer"),
        ("a.csv.gz", POINTER, "a.csv.gz: it is a Git LFS pointer"),
        ("a.jsonl.gz", gzip.compress(POINTER, mtime=0), "a.jsonl.gz: it is a Git LFS pointer"),
        ("a.csv", b"<!DOCTYPE html>\n<html>", "a.csv: it is an HTML page"),
        ("a.csv", b"PK\3\4" + bytes(50), "a.csv: it is a zip archive"),
        (
            "a.jsonl",
            gzip.compress(GOOD.encode(), mtime=0),
            "a.jsonl: it is a gzip file, which must be unpacked first",
        ),
        ("a.jsonl", b"PAR1" + bytes(50), "a.jsonl: it is a Parquet file; expected rows as its name says"),
        ("a.parquet", GOOD, "a.parquet: it is a JSON document"),
        ("a.jsonl", '["a", "x"]', "line 1: holds a list, expected a JSON object"),
        ("a.jsonl", GOOD.encode() + b'{"text": "\xff"}', "line 2: not UTF-8"),
        ("a.jsonl", "", "a.jsonl holds no rows"),
        ("a.jsonl", b'{"text": "' + b"a" * (1 << 20), "line 1: longer than 1,048,576 bytes"),
        ("a.csv", "text,label\na,x\nb\n", "a.csv line 3: has 1 column(s), the header names 2"),
        ("a.csv", "text,text\na,x\n", "line 1: the header names a column twice"),
        ("a.csv", 'text,label\n"a,x\n', "line 2: not valid CSV"),
        ("a.csv", "text\na\n", "a.csv: no column is known as the label; it has 'text'"),
        ("a.csv", "text,label\n,x\n", "line 2: field 'text' is empty"),
        ("a.csv", "text,label\n", "a.csv holds no rows"),
        ("a.tsv", "text\tlabel\n", "a.tsv: cannot tell its format; names ending in .jsonl or .csv (also"),
        ("a.jsonl.gz", b"not gzip", "a.jsonl.gz: not a whole gzip file"),
        ("a.jsonl.gz", gzip.compress(GOOD.encode(), mtime=0)[:-9], "a.jsonl.gz: not a whole gzip file"),
    ],
)
def test_bad_files_are_refused_by_file_line_and_field(tmp_path, name, content, message):
    with pytest.raises(SoftcallError) as refusal:
        read_rows(write(tmp_path / name, content))
    assert message in str(refusal.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(SoftcallError, match=r"none\.jsonl: no such file"):
        read_rows(tmp_path / "none.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(SoftcallError, match=r"folder holds no rows; expected \.jsonl, \.csv, \.parquet or"):
        read_rows(tmp_path / "folder")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.jsonl.gz", "a.parquet", "a.arrow"])
def test_a_named_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (read_rows, files_sha256):
        with pytest.raises((SoftcallError, OSError), match="it is a named pipe; expected a file"):
            read(tmp_path / name)


def test_names_in_errors_are_printable(tmp_path):
    file = write(tmp_path / "a.csv", '"te\x1b[2Jxt\x9b","\u202elabel"\na,x\n')
    with pytest.raises(SoftcallError) as refused:
        read_rows(file)
    assert str(refused.value).isprintable() and r"\x1b[2J" in str(refused.value)


def test_rows_and_bytes_are_bounded(tmp_path, monkeypatch):
    line = '{"text": "a", "label": "x"}\n'
    file = write(tmp_path / "a.jsonl.gz", gzip.compress((line * 10).encode()))
    monkeypatch.setattr(rows, "MAX_ROWS", 9)
    with pytest.raises(SoftcallError, match="line 10: more than 9 rows"):
        read_rows(file)
    monkeypatch.setattr(text_files, "MAX_FILE_BYTES", 5 * len(line))
    with pytest.raises(SoftcallError, match="line 6: the file has more than 140 bytes"):
        read_rows(file)


def test_rows_that_are_refused_can_be_counted_instead(tmp_path):
    lines = [GOOD, '{"text": "", "label": "x"}\n', '{"text": "a", "label": 1.5}\n', GOOD]
    refusals = Refusals()
    rows = read_rows(write(tmp_path / "a.jsonl", "".join(lines * 4)), refusals=refusals)
    assert (len(rows), refusals.count, len(refusals.reasons)) == (8, 8, 5)
    assert refusals.reasons[0].endswith("a.jsonl line 2: field 'text' is empty")


def test_the_sha256_of_several_files_is_that_of_what_sha256sum_prints(tmp_path):
    for name in ("train-1.csv", "train-2.csv"):
        write(tmp_path / name, f"text,label\n{name},x\n")
    printed = subprocess.run(
        ["sha256sum", "train-1.csv", "train-2.csv"], cwd=tmp_path, capture_output=True, check=True
    ).stdout
    assert files_sha256(tmp_path, "train") == hashlib.sha256(printed).hexdigest()
    assert files_sha256(tmp_path / "train-1.csv") == printed.decode().split()[0]


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (("b", "a", "B"), ("B", "a", "b")),
        (("10", "9", "0", "100"), ("0", "9", "10", "100")),
        (("-1", "1", "0", "-10"), ("-10", "-1", "0", "1")),
        (("10.0", "2.0", "1.5"), ("1.5", "2.0", "10.0")),
        (("10", "9", "x"), ("10", "9", "x")),
        (("01", "1", "0"), ("0", "01", "1")),
        (("٣", "٢٠"), ("٢٠", "٣")),
    ],
)
def test_numbers_are_ordered_by_value_and_other_labels_as_text(labels, ordered):
    rows = [Row((f"{i}",), label) for i, label in enumerate(labels)]
    assert labels_of(rows, "a.jsonl") == labels_of(rows[::-1], "a.jsonl") == ordered


def test_labels_that_a_file_names_are_in_its_order(tmp_path):
    names = ["very bad", "bad", "good", "best", "never seen"]
    features = {"label": {"names": names, "_type": "ClassLabel"}}
    table = pa.table({"text": list("abcd"), "label": pa.array([3, 0, 2, 1])})
    described = json.dumps({"info": {"features": features}})
    pq.write_table(table.replace_schema_metadata({"huggingface": described}), tmp_path / "a.parquet")
    rows = read_rows(tmp_path / "a.parquet")
    assert [row.label for row in rows] == ["best", "very bad", "good", "bad"]
    assert labels_of(rows, "a.parquet") == ("very bad", "bad", "good", "best")
    assert labels_of([*rows, Row(("e",), "worse")], "both") == ("bad", "best", "good", "very bad", "worse")


def test_more_labels_than_a_task_may_have_are_refused_before_anything_is_learnt():
    rows = [Row((f"{i}",), f"label {i}") for i in range(10_001)]
    with pytest.raises(SoftcallError, match=r"a\.jsonl: 10001 labels; expected 2 to 10000"):
        labels_of(rows, "a.jsonl")


def test_labels_are_sorted_and_at_least_two():
    assert labels_of([Row(("a",), "y"), Row(("b",), "x"), Row(("c",), "y")], "a.jsonl") == ("x", "y")
    with pytest.raises(SoftcallError, match=r"a\.jsonl has only the label 'x'; at least two"):
        labels_of([Row(("a",), "x")], "a.jsonl")


def test_dev_is_stratified_and_leaves_every_row_on_one_side():
    rows = [Row((f"text {i}",), "rare" if i % 10 == 0 else "common") for i in range(1000)]
    train, dev = split_dev(rows, 0.1)
    assert Counter(row.label for row in dev) == {"common": 90, "rare": 10}
    assert sorted([*train, *dev], key=rows.index) == rows
    assert not set(train) & set(dev)


def test_dev_depends_neither_on_the_order_of_the_file_nor_on_a_seed():
    rows = [Row((f"text {i}",), "xy"[i % 2]) for i in range(200)]
    assert set(split_dev(rows, 0.1)[1]) == set(split_dev(rows[::-1], 0.1)[1])


def test_equal_texts_stay_on_one_side():
    rows = [Row((f"text {i % 20}",), "x") for i in range(200)]
    train, dev = split_dev(rows, 0.1)
    assert dev and not {row.texts for row in train} & {row.texts for row in dev}


def test_a_label_with_one_text_stays_in_train():
    train, dev = split_dev([Row(("a",), "x")] * 20 + [Row((f"{i}",), "y") for i in range(20)], 0.5)
    assert {row.label for row in dev} == {"y"} and {row.label for row in train} == {"x", "y"}


def test_dev_is_at_most_a_thousand_rows():
    assert len(split_dev([Row((f"{i}",), "xy"[i % 2]) for i in range(30_000)], 0.1)[1]) == rows.MAX_DEV_ROWS
