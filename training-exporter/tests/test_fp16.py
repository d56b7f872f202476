"""The fp16 variant: what it computes, and that prefixes are chosen page by page."""

from collections import Counter

import numpy as np
import onnx
import pytest
from random_models import random_base

from softcall.base.bundle import FP16, FULL_PRECISION, INT8
from softcall.base.source import Source
from softcall.base.trunk import KEY_ORDER, KV_PAGES, PAIRS, PREFIX_PAGES
from softcall.core.errors import SoftcallError
from softcall.export import parity
from softcall.export.base_export import FP16_TOLERANCE, export_base
from softcall.export.graphs import joint_heads
from softcall.export.kept_graph import base_from_graph, keep_graph


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    base = random_base("smollm2")
    return base, *export_base(base, tmp_path_factory.mktemp("fp16") / "base", variants=[FP16])


def test_it_is_the_model_up_to_half_precision(exported):
    _, bundle, measurements = exported
    assert list(bundle.variants) == [FULL_PRECISION, FP16]
    half = [measured.difference for measured in measurements if measured.variant == FP16]
    assert len(half) == 8
    assert 1e-5 < max(half) < FP16_TOLERANCE  # a difference of 0 would be full precision


@pytest.mark.parametrize(
    ("name", "key_order"),
    [("llama, biases", PAIRS), ("llama, linear rope", PAIRS), ("qwen3", None), ("llama, yarn rope", None)],
)
def test_so_is_every_kind_of_graph(name, key_order, tmp_path):
    """Sums with biases, scaled frequencies; heads normed one by one, a rotation that is written out."""
    bundle, measurements = export_base(random_base(name), tmp_path / "base", variants=[FP16])
    parity.require_parity([m for m in measurements if m.variant == FP16], FP16_TOLERANCE)
    assert _metadata(bundle).get(KEY_ORDER) == key_order


@pytest.mark.parametrize(("threads", "operators"), [(96, 1), (48, 2), (24, 2)])
def test_blocks_of_fewer_threads_change_nothing(threads, operators, tmp_path, monkeypatch):
    """4 queries, 2 keys and 2 values of 12: all in one, queries in one, or two by two."""
    monkeypatch.setattr(joint_heads, "MAX_BLOCK_THREADS", threads)
    bundle, measurements = export_base(random_base("smollm2"), tmp_path / "base", variants=[FP16])
    parity.require_parity([m for m in measurements if m.variant == FP16], FP16_TOLERANCE)
    assert _operators(bundle)["RotaryEmbedding"] == 2 * operators


def test_rows_of_several_tasks_find_their_prefixes_in_one_table(exported):
    """Pages lie anywhere, in any order, between those of others."""
    _, bundle, _ = exported
    full, half = bundle.trunk(threads=1), bundle.trunk(FP16, threads=1)
    random = np.random.default_rng(6)
    prompts = random.normal(0, 0.3, (2, 5, bundle.hidden_size)).astype(np.float32)
    prefixes = [full.encode(prompt) for prompt in prompts]
    ids, last = random.integers(0, 384, (3, 7)), np.array([6, 2, 4])
    places = np.array([[9, 2, 4, 0, 7], [8, 1, 3, 5, 6]])
    table = np.full((10, 2 * full.layers, full.kv_heads, full.head_dim), np.nan, np.float16)
    for prefix, pages in zip(prefixes, places, strict=True):
        parts = np.stack(prefix)[:, 0]
        halves = parts[::2].reshape(full.layers, full.kv_heads, -1, 2, full.head_dim // 2)
        parts[::2] = np.stack([halves[..., 0, :], halves[..., 1, :]], -1).reshape(parts[::2].shape)
        table[pages] = parts.transpose(2, 0, 1, 3)
    feeds = half._feeds(ids, last, None, prefixes[0]) | {KV_PAGES: table, PREFIX_PAGES: places[[1, 0, 1]]}
    found = half._session.run(["hidden"], feeds)[0]
    for row, task in enumerate((1, 0, 1)):
        expected = full.hidden(ids[[row]], last[[row]], prefix=prefixes[task])[0]
        assert np.abs(found[row] - expected).max() < FP16_TOLERANCE * np.abs(expected).max()


def test_it_is_made_of_the_operators_that_gpus_are_fast_at(exported):
    """A single text is bound by the number of kernels: no transposes, no sums beside norms, no copies."""
    _, bundle, _ = exported
    operators = _operators(bundle)
    assert operators["SkipSimplifiedLayerNormalization"] == 2 * 2 - 1
    assert operators["RMSNormalization"] == 1 + 1
    assert operators["MatMul"] == 2 * 5 + 1  # query, key and value in one; angles
    assert operators["RotaryEmbedding"] == operators["Attention"] == 2
    assert operators["Split"] == 2 + 1  # query, key and value; prefixes
    assert operators["Gather"] == 1 + 1 + 2  # words, pages, and the last rows twice
    assert operators["Transpose"] == 1  # of angles
    assert operators["Concat"] == 1 + 1  # prompt and text; sizes of positions
    assert operators["Expand"] == 1  # of positions
    assert [value.type.tensor_type.elem_type for value in _model(bundle).graph.output] == [
        onnx.TensorProto.FLOAT
    ]


def _model(bundle):
    return onnx.load(bundle.folder / bundle.variant(FP16).graph, load_external_data=False)


def _operators(bundle):
    return Counter(node.op_type for node in _model(bundle).graph.node)


def _metadata(bundle):
    return {entry.key: entry.value for entry in _model(bundle).metadata_props}


def test_a_kept_graph_without_it_says_so(tmp_path, monkeypatch):
    from make_tiny import tiny_base
    from tiny_gguf import write_gguf

    from softcall.export import kept_graph

    source = Source.resolve(write_gguf(tiny_base(), tmp_path / "tiny.gguf"))
    exported, _ = export_base(source.load(), tmp_path / "exported", variants=[INT8])
    keep_graph(exported, tmp_path / "graphs/tiny")
    monkeypatch.setattr(kept_graph, "GRAPHS", tmp_path / "graphs")
    with pytest.raises(SoftcallError, match="no graph is kept of the variant fp16"):
        base_from_graph(source, tmp_path / "filled", variants=[FP16])
