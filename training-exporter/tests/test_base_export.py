"""Exporting a bundle: the graph is the model, in every way that it is used."""

import functools
import hashlib
import json
import statistics
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from random_models import MODELS, WRITERS, random_base
from safetensors.numpy import load_file

from softcall.base.bundle import Bundle
from softcall.base.fingerprint import unscaled_kv_layout
from softcall.core.errors import SoftcallError
from softcall.export import parity
from softcall.export.base_export import export_base
from softcall.export.graphs.trunk import trunk_graph

TIGHT = 1e-5
"""Float32 against float32: a hundred times less than what the exporter tolerates."""

INT8_TYPICAL = 0.02
"""Integers against the same integers in PyTorch: a few elements are rounded to the other side."""


GENERATION = {
    "step 1, rows of unequal lengths": 3,
    "step 2, rows of unequal lengths": 3,
    "step 3, rows of unequal lengths": 3,
    "logits of the vocabulary head": 3,
    "logits of 32 tokens, greedily": 96,
}
"""What is measured of a variant that writes texts, and its rows; the last of full precision alone."""


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Give a random base by name, its bundle and what was measured; each is exported once."""

    @functools.cache
    def export_once(name):
        base = random_base(name)
        return base, *export_base(base, tmp_path_factory.mktemp("bundles") / "base")

    return export_once


@pytest.fixture
def smollm2(export):
    """A base with a tied vocabulary head, and its bundle."""
    return export("smollm2")[:2]


@pytest.mark.parametrize("name", MODELS)
def test_every_architecture_equals_its_eager_model(name, export):
    base, bundle, measurements = export(name)

    trunk = [measured for measured in measurements if measured.case not in GENERATION]
    full, int8 = ([m for m in trunk if m.variant == variant] for variant in ("fp32", "int8"))
    assert (
        {m.case: m.rows for m in int8}
        == {measured.case: measured.rows for measured in full}
        == {
            "text alone": 1,
            "prompt in line": 1,
            "prompt alone": 1,
            "behind a prefix": 1,
            "long text behind a prefix": 1,
            "unequal lengths, prompts in line": 3,
            "unequal lengths, one prefix": 3,
            "unequal lengths, a prefix each": 3,
        }
    )
    assert max(measured.difference for measured in full) < TIGHT
    assert statistics.median(measured.difference for measured in int8) < INT8_TYPICAL
    assert bundle.architecture == type(base.model).__name__
    assert bundle.check_golden() < TIGHT


@pytest.mark.parametrize("name", WRITERS)
def test_every_architecture_writes_what_its_eager_model_does(name, export):
    _, _, measurements = export(name)
    full, int8 = (
        {m.case: m for m in measurements if m.variant == variant and m.case in GENERATION}
        for variant in ("fp32", "int8")
    )
    assert {case: measured.rows for case, measured in full.items()} == GENERATION
    assert int8.keys() == GENERATION.keys() - {"logits of 32 tokens, greedily"}
    assert max(measured.difference for measured in full.values()) < TIGHT
    assert statistics.median(measured.difference for measured in int8.values()) < TIGHT


@pytest.mark.parametrize("name", MODELS)
def test_the_trunk_equals_the_models_own_forward(name, export):
    """The same, against the model's public forward on one long text, not our eager reference."""
    base, bundle, _ = export(name)
    trunk = bundle.trunk(threads=1)
    ids = np.random.default_rng(5).integers(0, 384, (1, 40))
    with torch.no_grad():
        expected = base.model(torch.from_numpy(ids), output_hidden_states=True).hidden_states[-1][0].numpy()

    prefix = trunk.encode(base.model.get_input_embeddings().weight[ids[0, :15]].numpy())
    behind = trunk.hidden(np.repeat(ids[:, 15:], 3, axis=0), np.array([0, 10, 24]), prefix=prefix)
    np.testing.assert_allclose(behind, expected[[15, 25, 39]], atol=TIGHT * np.abs(expected).max())


def test_a_prefix_may_be_shared_or_given_for_each_row(smollm2):
    _, bundle = smollm2
    trunk = bundle.trunk(threads=1)
    prompt = np.random.default_rng(1).normal(size=(7, bundle.hidden_size)).astype(np.float32)
    shared = trunk.encode(prompt)
    ids, last = np.arange(12).reshape(3, 4), np.array([3, 1, 2])

    assert {part.shape for part in shared} == {(1, bundle.num_key_value_heads, 7, bundle.head_dim)}
    repeated = [np.repeat(part, 3, axis=0) for part in shared]
    assert (trunk.hidden(ids, last, prefix=shared) == trunk.hidden(ids, last, prefix=repeated)).all()


def test_a_row_does_not_see_the_padding_of_its_batch(smollm2):
    _, bundle = smollm2
    trunk = bundle.trunk(threads=1)
    ids, last = np.array([[5, 6, 7, 8], [9, 0, 0, 0]]), np.array([3, 0])
    other_pads = np.array([[5, 6, 7, 8], [9, 300, 301, 302]])
    assert (trunk.hidden(ids, last) == trunk.hidden(other_pads, last)).all()


def test_the_graph_has_the_inputs_and_outputs_of_the_contract(smollm2):
    base, bundle = smollm2
    graph = onnx.load(bundle.folder / "fp32/trunk.onnx", load_external_data=False).graph

    def shape(value):
        return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]

    heads, head = base.model.config.num_key_value_heads, bundle.head_dim
    past, present = ["past_batch", heads, "past", head], ["batch", heads, "past + prompt + text", head]
    assert {value.name: shape(value) for value in graph.input} == {
        "input_ids": ["batch", "text"],
        "prompt_embeds": ["batch", "prompt", 48],
        "last_index": ["batch"],
        "past_key_values.0.key": past,
        "past_key_values.0.value": past,
        "past_key_values.1.key": past,
        "past_key_values.1.value": past,
    }
    assert {value.name: shape(value) for value in graph.output} == {
        "hidden": ["batch", 48],
        "present.0.key": present,
        "present.0.value": present,
        "present.1.key": present,
        "present.1.value": present,
    }


def test_the_graph_is_made_of_the_operators_that_runtimes_are_fast_at(smollm2):
    _, bundle = smollm2
    model = onnx.load(bundle.folder / "fp32/trunk.onnx", load_external_data=False)
    operators = Counter(node.op_type for node in model.graph.node)

    assert {(each.domain, each.version) for each in model.opset_import} == {("", 23), ("com.microsoft", 1)}
    assert operators["Attention"] == 2
    assert operators["RotaryEmbedding"] == 4
    assert operators["SkipSimplifiedLayerNormalization"] == 3
    assert operators["RMSNormalization"] == 2  # of the embedding, and of the last rows
    assert operators["MatMul"] == 2 * 4 + 1
    assert operators["Split"] == 2 * 2  # its layers are so small that gate and up are one product too
    assert operators["Cos"] == operators["Sin"] == 1
    assert operators["GatherND"] == 0
    assert operators["Transpose"] == 1  # of angles: neither weights nor heads are transposed
    assert operators["Expand"] <= 3


def test_nodes_and_weights_are_named_after_the_models_modules(smollm2):
    base, bundle = smollm2
    graph = onnx.load(bundle.folder / "fp32/trunk.onnx", load_external_data=False).graph
    nodes = [node.name for node in graph.node]
    weights = {tensor.name for tensor in graph.initializer if tensor.external_data}

    assert len(set(nodes)) == len(nodes)
    assert {"model.layers.0.self_attn/Attention", "model.layers.1.mlp.down_proj/MatMul"} <= set(nodes)
    parts = [part.removesuffix(".T") for name in weights for part in name.split("+")]
    assert sorted(parts) == sorted(name for name, _ in base.model.named_parameters())
    assert "model.embed_tokens.weight" in weights
    assert "model.layers.1.mlp.down_proj.weight.T" in weights


def test_the_graph_depends_on_the_configuration_alone():
    base = random_base("qwen3")
    graph = trunk_graph(base.model)
    for parameter in base.model.parameters():
        parameter.fill_(1.0)
    assert trunk_graph(base.model) == graph
    assert "site-packages" not in str(graph), "it tells nothing of the machine that it was made on"


def test_the_models_own_attention_is_back_after_the_export():
    base = random_base("llama")
    before = base.model.config._attn_implementation
    trunk_graph(base.model)
    assert base.model.config._attn_implementation == before


def test_the_description_says_what_the_base_is(smollm2):
    base, bundle = smollm2
    record = json.loads((bundle.folder / "base.json").read_text("utf-8"))
    golden, variants = record.pop("golden"), record.pop("variants")
    int8_golden = variants["int8"].pop("golden")
    generations = {name: variant.pop("generation") for name, variant in variants.items()}

    assert set(record.pop("exporter")) == {"softcall", "torch", "transformers", "onnx"}
    files = {"fp32": ["trunk.onnx", "trunk.onnx.data"]}
    files["int8"] = ["trunk.onnx", "smoothing.safetensors", "trunk.onnx.data"]
    assert variants == {
        name: {
            "graph": f"{name}/trunk.onnx",
            "files": {f"{name}/{file}": _sha256(bundle.folder / name / file) for file in files[name]},
            "kv_layout": hashlib.sha256(f"{base.fingerprint}/unscaled".encode()).hexdigest(),
        }
        for name in ("fp32", "int8")
    }
    assert (len(int8_golden["hidden"]), int8_golden["tolerance"]) == (48, 0.2)
    files = {"fp32": ["decode.onnx", "lm_head.onnx"]}
    files["int8"] = ["decode.onnx", "lm_head.onnx", "lm_head.onnx.data"]
    for name, generation in generations.items():
        logits = generation.pop("golden")
        assert (len(logits["ids"]), len(logits["logits"])) == (8, 8)
        assert logits["tolerance"] == {"fp32": 0.001, "int8": 0.2}[name]
        assert generation == {
            "decode": f"{name}/decode.onnx",
            "lm_head": f"{name}/lm_head.onnx",
            "files": {f"{name}/{file}": _sha256(bundle.folder / name / file) for file in files[name]},
        }
    assert record == {
        "schema": 1,
        "name": "smollm2",
        "architecture": "LlamaForCausalLM",
        "fingerprint": base.fingerprint,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "vocab_size": 384,
        "max_position_embeddings": 512,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
        "eos_token_ids": [2],
        "chat_template": None,
        "output_embedding": {
            "file": "fp32/trunk.onnx.data",
            "offset": 0,
            "dtype": "float32",
            "shape": [384, 48],
        },
    }
    assert variants["int8"]["kv_layout"] == unscaled_kv_layout(base.fingerprint)
    assert (len(golden["prompt_embeds"]), len(golden["prompt_embeds"][0]), len(golden["hidden"])) == (
        4,
        48,
        48,
    )


def test_the_golden_row_is_the_eager_models(smollm2):
    base, bundle = smollm2
    golden = bundle.golden
    with torch.no_grad():
        text = base.model.get_input_embeddings()(torch.tensor(golden.input_ids))
        embeds = torch.cat([torch.from_numpy(golden.prompt_embeds), text])[None]
        expected = base.model(inputs_embeds=embeds, output_hidden_states=True).hidden_states[-1][0, -1]
    np.testing.assert_allclose(golden.hidden, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["smollm2", "qwen2"])
def test_output_embedding_rows_are_those_of_the_vocabulary_head(name, export):
    base, bundle, _ = export(name)
    rows = bundle.output_embedding([3, 383, 3])
    assert rows.dtype == np.float32
    assert (rows == base.model.get_output_embeddings().weight[[3, 383, 3]].numpy()).all()


def test_an_untied_vocabulary_head_gets_a_file_of_its_own(export):
    base, bundle, _ = export("qwen2")
    record = json.loads((bundle.folder / "base.json").read_text("utf-8"))

    assert record["output_embedding"] == {
        "file": "output_embedding.safetensors",
        "tensor": "weight",
        "dtype": "float32",
        "shape": [384, 48],
    }
    (tensor,) = load_file(bundle.folder / "output_embedding.safetensors").values()
    assert (tensor == base.model.lm_head.weight.numpy()).all()


def test_the_number_of_positions_can_be_lowered(tmp_path):
    bundle, _ = export_base(random_base("llama"), tmp_path / "base", max_positions=128, name="short llama")
    assert (bundle.max_position_embeddings, bundle.name) == (128, "short llama")


def test_a_graph_that_is_not_the_model_leaves_no_bundle(tmp_path, monkeypatch):
    """The model is given another rotary base after it was traced: every row but the first token's is off."""
    base = random_base("llama")

    def trace_then_change(model):
        graph = trunk_graph(model)
        model.model.rotary_emb.inv_freq *= 1.1
        return graph

    monkeypatch.setattr("softcall.export.base_export.trunk_graph", trace_then_change)
    with pytest.raises(
        SoftcallError, match=r"hidden rows of the case 'text alone' differ by .* 1e-03 is tolerated"
    ):
        export_base(base, tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_leave_no_bundle(tmp_path):
    base = random_base("llama")
    base.model.model.layers[1].mlp.up_proj.weight[3, 4] = torch.nan
    with pytest.raises(SoftcallError, match="finite"):
        export_base(base, tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("difference", [1.1e-3, float("inf"), float("nan")])
def test_parity_tolerates_a_thousandth(difference):
    parity.require_parity([parity.Measurement("fp32", "text alone", 1, 40.0, 0.9e-3)])
    with pytest.raises(SoftcallError, match="'behind a prefix'"):
        parity.require_parity([parity.Measurement("fp32", "behind a prefix", 1, 40.0, difference)])


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path):
    base = random_base("llama")
    base.tokenizer.add_tokens(["one more"])
    with pytest.raises(SoftcallError, match="the tokenizer has 385 tokens, the model's vocab_size is 384"):
        export_base(base, tmp_path / "base")


def test_an_existing_bundle_is_replaced_on_request_only(smollm2, tmp_path):
    base, _ = smollm2
    out = tmp_path / "base"
    export_base(base, out, name="first")
    with pytest.raises(SoftcallError, match="--replace"):
        export_base(base, out, name="second")
    assert Bundle.open(out).name == "first"
    export_base(base, out, name="third", replace=True)
    assert Bundle.open(out).name == "third"
    assert [each.name for each in tmp_path.iterdir()] == ["base"]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
