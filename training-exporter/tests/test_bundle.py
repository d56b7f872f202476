"""Reading a base bundle."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from stand_ins import POINTER

from softcall.base.bundle import Bundle
from softcall.core.errors import SoftcallError

TINY = Path(__file__).resolve().parents[2] / "src/test/resources/tiny/base"


@pytest.fixture
def copy(tmp_path) -> Path:
    """A copy of the tiny bundle, to be spoilt."""
    return Path(shutil.copytree(TINY, tmp_path / "base"))


def _change(folder: Path, **fields) -> None:
    file = folder / "base.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")


def test_its_attributes_are_the_fields_of_the_description():
    bundle, record = Bundle.open(TINY), json.loads((TINY / "base.json").read_text("utf-8"))
    for field in record.keys() - {"schema", "golden", "variants", "output_embedding", "chat_template"}:
        found = getattr(bundle, field)
        assert (list(found) if isinstance(found, tuple) else found) == record[field], field


def test_writing_the_description_again_gives_the_same_bytes(copy):
    before = (copy / "base.json").read_bytes()
    Bundle.open(copy).write_description()
    assert (copy / "base.json").read_bytes() == before


def test_the_golden_row_holds():
    assert Bundle.open(TINY).check_golden() < 1e-5


def test_the_golden_row_finds_damaged_weights(copy):
    bundle = Bundle.open(copy)
    weights = np.memmap(copy / "fp32/trunk.onnx.data", "<f4", "r+")
    weights[-3000:-2000] = 0
    weights.flush()
    with pytest.raises(
        SoftcallError, match=r"golden row of tiny-llama fp32 differs by .* 1e-03 is tolerated"
    ):
        bundle.check_golden()


def test_the_tokenizer_neither_truncates_nor_pads(copy):
    tokenizer = Bundle.open(copy).tokenizer()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=16)
    tokenizer.save(str(copy / "tokenizer.json"))
    assert len(Bundle.open(copy).tokenizer().encode("a text of more than four tokens").ids) > 16


def test_output_embedding_rows_come_as_float32():
    rows = Bundle.open(TINY).output_embedding([0, 383])
    assert (rows.shape, rows.dtype) == ((2, 64), np.float32)
    assert Bundle.open(TINY).output_embedding([]).shape == (0, 64)


@pytest.mark.parametrize("ids", [[384], [-1], [0, 10**9]])
def test_output_embedding_refuses_ids_that_the_base_does_not_have(ids):
    with pytest.raises(SoftcallError, match="the base tiny-llama has 0 to 383"):
        Bundle.open(TINY).output_embedding(ids)


def test_a_missing_weights_file_is_named(copy):
    (copy / "fp32/trunk.onnx.data").unlink()
    for use in (lambda: Bundle.open(copy).output_embedding([1]), lambda: Bundle.open(copy).trunk()):
        with pytest.raises(SoftcallError, match=r"trunk\.onnx\.data is missing"):
            use()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("base.json", lambda bundle: None),
        ("tokenizer.json", lambda bundle: bundle.tokenizer()),
        ("fp32/trunk.onnx", lambda bundle: bundle.trunk()),
        ("fp32/trunk.onnx.data", lambda bundle: bundle.output_embedding([1])),
    ],
)
def test_what_stands_in_place_of_a_file_is_named(copy, name, use):
    (copy / name).write_bytes(POINTER)
    with pytest.raises(SoftcallError, match=rf"{copy / name}: it is a Git LFS pointer, not the file"):
        use(Bundle.open(copy))
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(
        SoftcallError, match=rf"{copy}.*(it is a named pipe; expected a file|has no base\.json)"
    ):
        use(Bundle.open(copy))


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("tokenizer.json", lambda bundle: bundle.tokenizer()),
        ("fp32/trunk.onnx", lambda bundle: bundle.trunk()),
        ("fp32/trunk.onnx.data", lambda bundle: bundle.output_embedding([1])),
    ],
)
def test_a_damaged_file_is_named(copy, name, use):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:100])
    with pytest.raises(SoftcallError, match=rf"{copy / name}: not what a base bundle has there \("):
        use(Bundle.open(copy))


def test_a_description_names_no_field_twice(copy):
    text = (copy / "base.json").read_text("utf-8")
    (copy / "base.json").write_text(text.replace('"name":', '"name": "other", "name":', 1), "utf-8")
    with pytest.raises(
        SoftcallError, match=r'base\.json: not valid JSON: the field "name" appears twice in an object'
    ):
        Bundle.open(copy)


def test_an_unknown_variant_is_refused_with_those_that_exist():
    with pytest.raises(SoftcallError, match="the base tiny-llama has no variant 'int8', only fp32"):
        Bundle.open(TINY).trunk("int8")


def test_a_folder_without_a_description_is_no_bundle(tmp_path):
    with pytest.raises(SoftcallError, match=r"is not a base bundle: it has no base\.json"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "7", '{"schema": 1}'])
def test_a_description_that_is_none_is_refused(copy, text):
    (copy / "base.json").write_text(text, "utf-8")
    with pytest.raises(SoftcallError, match=r"base\.json: "):
        Bundle.open(copy)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("schema", 2),
        ("name", ""),
        ("name", "x" * 201),
        ("fingerprint", "abc"),
        ("hidden_size", 0),
        ("max_position_embeddings", 1),
        ("pad_token_id", 384),
        ("variants", {}),
    ],
)
def test_a_field_that_is_not_as_described_is_refused_by_name(copy, field, value):
    _change(copy, **{field: value})
    with pytest.raises(SoftcallError, match=rf"base\.json: {field}: "):
        Bundle.open(copy)


@pytest.mark.parametrize("hidden", [[0.0] * 64, [float("nan")] * 64, [1.0] * 63])
def test_a_golden_row_that_could_not_fail_is_refused(copy, hidden):
    golden = json.loads((copy / "base.json").read_text("utf-8"))["golden"]
    _change(copy, golden=golden | {"hidden": hidden})
    with pytest.raises(SoftcallError, match=r"golden|NaN is not a JSON number"):
        Bundle.open(copy)
