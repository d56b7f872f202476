"""Parquet and Arrow files as pyarrow writes them: what is read, and what is refused with which words."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softcall.core.errors import SoftcallError
from softcall.datasets import columnar_files
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.rows import Row, labels_of, read_rows

ROWS = [("one", "x"), ("二つ\nlines", "y"), ("three", "x")]


def table(texts=None, labels=None, **more):
    texts = [text for text, _ in ROWS] if texts is None else texts
    labels = [label for _, label in ROWS] if labels is None else labels
    return pa.table({**more, "text": texts, "label": labels})


def write_arrow(content, path, opened=pa.ipc.new_stream):
    with pa.OSFile(str(path), "wb") as file, opened(file, content.schema) as writer:
        writer.write_table(content, max_chunksize=2)
    return path


def write(content, path):
    if path.suffix == ".arrow":
        return write_arrow(content, path)
    pq.write_table(content, path, row_group_size=2)
    return path


def with_names(content, names, kind="ClassLabel"):
    features = {"info": {"features": {"label": {"names": names, "_type": kind}}}}
    return content.replace_schema_metadata({"huggingface": json.dumps(features)})


def refusal(path, **options):
    with pytest.raises(SoftcallError) as refused:
        read_rows(path, **options)
    return str(refused.value)


@pytest.fixture(params=["a.parquet", "a.arrow"])
def path(request, tmp_path):
    return tmp_path / request.param


@pytest.mark.parametrize("texts", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_rows_are_those_of_the_table(path, texts):
    content = table(pa.array([text for text, _ in ROWS]).cast(texts), picture=[b"\xff"] * 3)
    rows = read_rows(write(content, path))
    assert rows == [Row((text,), label) for text, label in ROWS]
    assert rows[2].where == f"{path} row 3"


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
def test_every_usual_compression_is_read(tmp_path, codec):
    pq.write_table(table(), tmp_path / "a.parquet", compression=codec)
    assert len(read_rows(tmp_path / "a.parquet")) == 3


def test_both_layouts_of_arrow_are_read(tmp_path):
    for opened in (pa.ipc.new_stream, pa.ipc.new_file):
        assert len(read_rows(write_arrow(table(), tmp_path / "a.arrow", opened))) == 3


def test_a_class_label_is_its_name(path):
    content = with_names(table(labels=[1, 0, -1]), ["ham", "spam"])
    write(content, path)
    assert [row.label for row in read_rows(path, labelled=False)] == ["spam", "ham", None]
    assert "row 3: no label in field 'label'" in refusal(path)


def test_lists_of_labels_are_sets_and_those_of_a_class_label_have_its_order(path):
    names = {"names": ["spam", "ham", "news"], "_type": "ClassLabel"}
    for feature in ({"feature": names, "_type": "Sequence"}, {"feature": names, "_type": "List"}, [names]):
        described = {"huggingface": json.dumps({"info": {"features": {"label": feature}}})}
        write(table(labels=[[1, 0], [], [2]]).replace_schema_metadata(described), path)
        rows = read_rows(path)
        assert [row.labels for row in rows] == [("ham", "spam"), (), ("news",)]
        assert {row.kind for row in rows} == {"multi_label"} and labels_of(rows, path) == (
            "spam",
            "ham",
            "news",
        )
    assert [row.labels for row in read_rows(write(table(labels=[["x"], ["y", "x"], []]), path))] == [
        ("x",),
        ("y", "x"),
        (),
    ]


def test_other_integers_are_labels_as_they_are(path):
    write(with_names(table(labels=[1, 0, -1]), ["ham", "spam"], kind="Value"), path)
    assert [row.label for row in read_rows(path)] == ["1", "0", "-1"]


@pytest.mark.parametrize("metadata", ["{", "[]", '{"info": null}', '{"info": {"features": {"label": {}}}}'])
def test_a_description_that_makes_no_sense_is_none(path, metadata):
    write(table(labels=[1, 0, 1]).replace_schema_metadata({"huggingface": metadata}), path)
    assert [row.label for row in read_rows(path)] == ["1", "0", "1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(["a", None, "b"]), "row 2: field 'text' holds null, expected a string"),
        (table([b"a", b"b", b"c"]), "row 1: field 'text' holds bytes, expected a string"),
        (table(["a", " ", "b"]), "row 2: field 'text' is empty"),
        (
            table(labels=[0.5, 1.0, 2.0]),
            "row 1: field 'label' holds a number, expected a string or an integer",
        ),
        (
            table(labels=[[["x"]], [["y"]], [["z"]]]),
            "row 1: field 'label' holds a list, expected a string or an integer",
        ),
        (table(labels=[["x"], ["y", "y"], []]), "row 2: field 'label' names a label twice"),
        (
            with_names(table(labels=[0, 2, 1]), ["a", "b"]),
            "row 2: field 'label' is 2; its file names the labels 0",
        ),
        (table([], []).cast(pa.schema({"text": pa.string(), "label": pa.string()})), "holds no rows"),
        (pa.table({"a": ["x"], "b": ["y"]}), "no column is known as the label; it has 'a', 'b'"),
    ],
)
def test_rows_are_refused_by_file_row_and_column(path, content, message):
    assert message in refusal(write(content, path))


def test_files_that_are_damaged_are_refused(path):
    write(table(), path)
    data = path.read_bytes()
    for damaged in (b"", b"PAR1", data[: len(data) // 2], bytes(len(data))):
        path.write_bytes(damaged)
        assert str(path) in refusal(path)
    path.unlink()
    assert "no such file" in refusal(path)


def test_text_that_is_not_utf8_is_refused(path):
    text = pa.array([b"a", b"\xff\xfe", b"b"]).cast(pa.binary()).view(pa.string())
    assert str(path) in refusal(write(table(text), path))


def test_columns_are_bounded_however_often_one_text_is_named(path, monkeypatch):
    monkeypatch.setattr(columnar_files, "MAX_FILE_BYTES", 5_000)
    repeated = pa.array(["long " * 200] * 10).dictionary_encode()
    content = table(repeated, ["x"] * 10)
    write(content, path) if path.suffix == ".arrow" else pq.write_table(content, path)
    assert "the columns text, label have more than 5,000 bytes, the limit" in refusal(path)
    assert len(read_rows(write(table(), path))) == 3


def test_a_parquet_file_that_claims_too_much_is_not_decoded(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar_files, "MAX_FILE_BYTES", 5_000)
    pq.write_table(table([f"{i}" * 1000 for i in range(10)], ["x"] * 10), tmp_path / "a.parquet")
    message = refusal(tmp_path / "a.parquet")
    assert "a.parquet: the columns text, label have" in message and "the limit is 5,000" in message


def test_only_the_columns_that_are_asked_for_count(tmp_path, monkeypatch):
    monkeypatch.setattr(columnar_files, "MAX_FILE_BYTES", 5_000)
    pq.write_table(table(picture=[bytes(10_000)] * 3), tmp_path / "a.parquet", compression="none")
    assert len(read_rows(tmp_path / "a.parquet", columns=ColumnChoice(("text",), "label"))) == 3
