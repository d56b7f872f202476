"""The int4 variant: what its weights keep, what it computes, what its graphs share."""

import filecmp
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from gguf import GGMLQuantizationType
from gguf.quants import dequantize, quantize
from independent_rows import (
    assert_a_row_of_zeros_gives_no_nan,
    assert_a_rows_answer_does_not_depend_on_the_others,
)
from make_tiny import tiny_base
from random_models import MODELS, WRITERS, random_base
from tiny_gguf import write_gguf

from softcall.base.bundle import FULL_PRECISION, INT4
from softcall.base.source import Source
from softcall.core.errors import SoftcallError
from softcall.export import kept_graph
from softcall.export.base_export import export_base
from softcall.export.int4_reference import int4_reference
from softcall.export.kept_graph import base_from_graph, keep_graph
from softcall.export.weights.external_data import external_weights
from softcall.export.weights.int4 import blocks_of, from_bytes, in_bytes

TYPICAL = 0.02
TIGHT = 1e-5


def sized(name: str):
    """A random base whose every width is a multiple of 32."""
    heads = {"head_dim": 32} if "head_dim" in MODELS[name][2] else {}
    return random_base(name, hidden_size=96, intermediate_size=160, **heads)


@pytest.fixture(scope="module")
def base():
    return sized("llama, biases")


@pytest.fixture(scope="module")
def bundle(base, tmp_path_factory):
    return export_base(base, tmp_path_factory.mktemp("int4") / "base", variants=[INT4])[0]


@pytest.fixture
def copy(tmp_path):
    """The tiny base's bundle, to be spoilt."""
    return export_base(tiny_base(), tmp_path / "base", variants=[INT4])[0]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(0, 0.1, shape).astype(np.float32)


def error(found: np.ndarray, expected: np.ndarray) -> float:
    """The root of the mean squared error, of that of the weights."""
    return float(np.sqrt(np.square(found - expected).mean() / np.square(expected).mean()))


def graph_of(bundle, file: str) -> onnx.ModelProto:
    return onnx.load(bundle.folder / file, load_external_data=False)


@pytest.mark.parametrize("name", WRITERS)
def test_every_architecture_computes_what_pytorch_does_with_the_same_blocks(name, tmp_path):
    _, measurements = export_base(sized(name), tmp_path / "base", variants=[INT4])
    own = {m.case: m.difference for m in measurements if m.variant == INT4}
    assert len(own) == 8 + 4
    assert np.median(list(own.values())) < TYPICAL
    assert own["logits of the vocabulary head"] < TIGHT


def test_it_is_nearer_to_the_blocks_than_those_to_full_precision(base, bundle):
    reference = int4_reference(base.model)
    ids = np.random.default_rng(4).integers(0, 384, (1, 20))
    with torch.no_grad():
        expected = reference.model(torch.from_numpy(ids)).last_hidden_state[0, -1].numpy()
        full = base.model.model(torch.from_numpy(ids)).last_hidden_state[0, -1].numpy()
    found = bundle.trunk(INT4).hidden(ids, np.array([19]))[0]
    assert np.abs(found - expected).max() < 0.1 * np.abs(full - expected).max()


def test_the_integers_of_q4_1_are_kept():
    """A file of that type has 4 bits already: its weights are off by a tenth of a step at most."""
    kind = GGMLQuantizationType.Q4_1
    stored = quantize(noise(24, 160), kind)
    weight = dequantize(stored, kind)
    blocks = blocks_of(weight)
    nibbles = stored.reshape(24, 5, 20)[..., 4:]  # behind a scale and an offset of 16 bits each
    integers = np.concatenate([nibbles & 15, nibbles >> 4], -1)
    np.testing.assert_array_equal(blocks.integers[:, :5], integers)
    steps = np.repeat(blocks.scales[:, :5], 32, axis=1)
    assert (np.abs(blocks.floats - weight) < 0.1 * steps).all()
    assert error(blocks.floats, weight) < 0.01


def test_other_weights_are_rounded_better_than_between_the_smallest_and_the_largest():
    weight = noise(40, 96)
    parts = weight.reshape(40, 3, 32)
    lowest = parts.min(-1, keepdims=True)
    steps = (parts.max(-1, keepdims=True) - lowest) / 15
    plain = np.rint((parts - lowest) / steps) * steps + lowest
    assert error(blocks_of(weight).floats, weight) < error(plain.reshape(40, 96), weight) < 0.08


@pytest.mark.parametrize("weight", [np.zeros((3, 64)), np.full((3, 64), 0.75), np.full((3, 64), -2.0)])
def test_equal_weights_are_exact(weight):
    np.testing.assert_allclose(blocks_of(weight.astype(np.float32)).floats, weight, rtol=1e-6)


def test_weights_far_from_zero_are_kept():
    """Their offset is more than 15 steps from zero, where no zero point reaches."""
    weight = 10 + noise(8, 64)
    assert error(blocks_of(weight).floats, weight) < 0.01


def test_the_embedding_and_the_head_keep_the_weights_of_q8_0():
    kind = GGMLQuantizationType.Q8_0
    weight = dequantize(quantize(noise(10, 64), kind), kind)
    np.testing.assert_allclose(from_bytes(*in_bytes(weight)), weight, rtol=1e-6)
    np.testing.assert_array_equal(from_bytes(*in_bytes(np.zeros((2, 32), np.float32))), np.zeros((2, 32)))


def test_a_rows_answer_does_not_depend_on_the_others(bundle):
    assert_a_rows_answer_does_not_depend_on_the_others(bundle, INT4)


def test_a_row_of_zeros_gives_no_nan(bundle):
    assert_a_row_of_zeros_gives_no_nan(bundle, INT4)


def test_the_decode_graph_and_a_tied_head_have_the_trunks_weights(copy):
    """By name and by place; the server maps them by name."""

    def places(file):
        weights = external_weights(graph_of(copy, file))
        return {name: (each.location, each.offset, each.length) for name, each in weights.items()}

    trunk, decode, head = (places(f"int4/{name}.onnx") for name in ("trunk", "decode", "lm_head"))
    assert trunk == decode
    assert head.items() < trunk.items()
    assert set(head) == {"model.embed_tokens.weight.uint8", "model.embed_tokens.weight.scale"}
    assert not (copy.folder / "int4/lm_head.onnx.data").exists()


def test_a_head_that_is_not_tied_has_weights_of_its_own(bundle):
    files = bundle.variant(INT4).generation.files
    assert sorted(files) == ["int4/decode.onnx", "int4/lm_head.onnx", "int4/lm_head.onnx.data"]


def test_every_product_with_weights_is_one_of_blocks(copy):
    nodes = graph_of(copy, "int4/trunk.onnx").graph.node
    weights = [node.input[1] for node in nodes if node.op_type in ("MatMul", "MatMulNBits")]
    assert sum(name.endswith(".T.int4") for name in weights) == 2 * 4
    assert sum(name.endswith(".T") for name in weights) == 0


@pytest.mark.parametrize("start", [0, 0.5])
def test_damaged_weights_are_noticed(start, copy):
    weights = np.memmap(copy.folder / "int4/trunk.onnx.data", np.uint8, "r+")
    part = weights[int(start * len(weights)) :][: len(weights) // 2]
    part[:] = 0
    weights.flush()
    with pytest.raises(SoftcallError, match=r"the golden row of tiny-llama int4 differs by"):
        copy.check_golden(INT4)


def test_widths_that_blocks_do_not_divide_are_refused(tmp_path):
    with pytest.raises(
        SoftcallError, match=r"embed_tokens\.weight has 48 inputs; int4 takes multiples of 32"
    ):
        export_base(random_base("smollm2"), tmp_path / "base", variants=[INT4])
    assert not (tmp_path / "base").exists()


def test_it_is_made_on_request_alone(tmp_path):
    bundle, _ = export_base(tiny_base(), tmp_path / "base")
    assert INT4 not in bundle.variants


def test_a_kept_graph_gives_the_same_bytes_without_pytorch(tmp_path, monkeypatch):
    source = Source.resolve(write_gguf(tiny_base(), tmp_path / "tiny.gguf"))
    exported, _ = export_base(source.load(), tmp_path / "exported", variants=[INT4])
    keep_graph(exported, tmp_path / "graphs/tiny")
    monkeypatch.setattr(kept_graph, "GRAPHS", tmp_path / "graphs")
    filled, differences = base_from_graph(source, tmp_path / "filled", variants=[INT4])
    assert differences.keys() == {FULL_PRECISION, INT4}
    files = [str(f.relative_to(exported.folder)) for f in Path(exported.folder).rglob("*") if f.is_file()]
    assert filecmp.cmpfiles(exported.folder, filled.folder, files, shallow=False)[1:] == ([], [])
