"""Folders of Hugging Face's `datasets`: the parts that they have, and the rows that the library put there."""

import json
import shutil
from pathlib import Path

import pytest

from softcall.core.errors import SoftcallError
from softcall.datasets.folder import parts_of
from softcall.datasets.rows import read_rows

FOLDER = Path(__file__).parent / "dataset_layouts"  # by make_datasets.py
PLAIN = json.loads((FOLDER / "rows.json").read_text("utf-8"))
PARTS = {"train": "train", "dev": "validation", "test": "test"}


def refusal(folder, **options):
    with pytest.raises(SoftcallError) as refused:
        read_rows(folder, **options)
    return str(refused.value)


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"text": "' + name + '", "label": "x"}\n')
    return folder


@pytest.mark.parametrize("layout", ["saved", "hub"])
@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_the_library_s_rows(layout, part):
    rows = read_rows(FOLDER / layout, part=part, labelled=part != "test")
    assert [[*row.texts, row.label] for row in rows] == PLAIN[PARTS[part]]


def test_a_single_split_is_a_source_of_its_own():
    for folder in (FOLDER / "split", FOLDER / "saved/train"):
        for part in ("train", "test", None):
            rows = read_rows(folder, part=part)
            assert [[*row.texts, row.label] for row in rows] == PLAIN["train"]


def test_a_secret_label_is_no_label():
    assert "row 1: no label in field 'label'" in refusal(FOLDER / "hub", part="test")


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train.jsonl", "dev.jsonl", "test.jsonl", "README.md"), {"train": 1, "dev": 1, "test": 1}),
        (("training.csv", "val.csv", "evaluation.csv"), {"train": 1, "dev": 1, "test": 1}),
        (("data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"), {"train": 2}),
        (("train/0000.parquet", "test/0000.parquet"), {"train": 1, "test": 1}),
        (("my_data-train.csv.gz", "my_data-test.csv.gz"), {"train": 1, "test": 1}),
        (("train/test.jsonl",), {"test": 1}),
        (("reviews.jsonl", "latest.jsonl"), {"": 2}),
        (("train.jsonl", "reviews.jsonl", ".train.jsonl"), {"train": 1}),
    ],
)
def test_parts_are_known_by_their_names(tmp_path, names, parts):
    found = parts_of(touch(tmp_path, *names))
    assert {part: len(files) for part, files in found.items()} == parts


def test_files_of_one_part_are_read_in_order(tmp_path):
    touch(tmp_path, "train-2.jsonl", "train-1.jsonl")
    assert [row.texts[0] for row in read_rows(tmp_path, part="train")] == ["train-1.jsonl", "train-2.jsonl"]


def test_a_part_that_is_missing_or_not_chosen_is_named(tmp_path):
    touch(tmp_path, "train.jsonl", "test.jsonl")
    assert refusal(tmp_path, part="dev") == f"{tmp_path} has no part dev; it has train, test"
    assert "has the parts train, test; give the file or the folder of one" in refusal(tmp_path)


def test_folders_that_make_no_sense_are_refused(tmp_path):
    touch(tmp_path, "en/train.jsonl", "fr/train.jsonl")
    assert "holds no rows; expected" in refusal(tmp_path) and refusal(tmp_path).endswith("folders en, fr")
    touch(tmp_path, "train.jsonl", "train.csv")
    assert "holds a part in several formats (train.csv, train.jsonl)" in refusal(tmp_path, part="train")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset_dict.json", "{", "dataset_dict.json: not valid JSON"),
        ("dataset_dict.json", "[]", "dataset_dict.json: not a JSON object"),
        ("dataset_dict.json", '{"splits": ["../elsewhere"]}', "expected a list of names"),
        (
            "dataset_dict.json",
            '{"splits": ["one", "two"]}',
            "its splits are one, two; give the folder of one",
        ),
        ("dataset_dict.json", '{"splits": ["validation", "dev"]}', "has several splits for dev; give one"),
        ("train/state.json", "{}", "state.json: _data_files is None; expected a list of files"),
        ("train/state.json", '{"_data_files": [{"filename": "/etc/passwd"}]}', "expected a list of files in"),
        ("train/state.json", '{"_data_files": [{"filename": "none.arrow"}]}', "none.arrow: no such file"),
    ],
)
def test_descriptions_are_not_trusted(tmp_path, file, content, message):
    shutil.copytree(FOLDER / "saved", tmp_path / "saved")
    (tmp_path / "saved" / file).write_text(content)
    assert message in refusal(tmp_path / "saved", part="train")
