"""What a bundle needs to write texts: decode graphs, vocabulary heads, the ids that end a text."""

import functools
import json
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from make_tiny import tiny_base
from random_models import WRITERS, random_base
from transformers import DynamicCache

from softcall.base.bundle import Bundle
from softcall.base.generation import GoldenLogits
from softcall.core.errors import SoftcallError
from softcall.export import generation_parity
from softcall.export.base_export import export_base
from softcall.export.generation import eos_token_ids, head_parameter
from softcall.export.weights.external_data import external_weights

TIGHT = 1e-5


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """Give a random base by name, and its bundle; each is exported once."""

    @functools.cache
    def export_once(name):
        base = random_base(name)
        return base, export_base(base, tmp_path_factory.mktemp("bundles") / "base")[0]

    return export_once


@pytest.fixture
def copy(tmp_path):
    """The tiny base's bundle, to be spoilt."""
    return export_base(tiny_base(), tmp_path / "base")[0]


def _graph(bundle, file: str) -> onnx.ModelProto:
    return onnx.load(bundle.folder / file, load_external_data=False)


def _shapes(values) -> dict:
    return {
        v.name: [size.dim_param or size.dim_value for size in v.type.tensor_type.shape.dim] for v in values
    }


@pytest.mark.parametrize("variant", ["fp32", "int8"])
@pytest.mark.parametrize("name", WRITERS)
def test_the_decode_graph_has_the_inputs_and_outputs_of_the_contract(name, variant, export):
    _, bundle = export(name)
    graph = _graph(bundle, f"{variant}/decode.onnx").graph
    cache = ["batch", bundle.num_key_value_heads, "capacity", bundle.head_dim]
    keys = [f"{layer}.{part}" for layer in range(2) for part in ("key", "value")]
    assert _shapes(graph.input) == {
        "input_ids": ["batch", 1],
        "seqlens_k": ["batch"],
        "total_sequence_length": [],
        **{f"past_key_values.{key}": cache for key in keys},
    }
    assert _shapes(graph.output) == {"hidden": ["batch", 48], **{f"present.{key}": cache for key in keys}}
    operators = Counter(node.op_type for node in graph.node)
    assert operators["GroupQueryAttention"] == 2
    assert not {"Attention", "Range"} & operators.keys()


@pytest.mark.parametrize("variant", ["fp32", "int8"])
@pytest.mark.parametrize("name", WRITERS)
def test_the_decode_graph_reads_the_trunks_weights_where_they_are(name, variant, export):
    _, bundle = export(name)
    trunk, decode = (_graph(bundle, f"{variant}/{file}.onnx") for file in ("trunk", "decode"))

    def places(model):
        return {name: (w.location, w.offset, w.length) for name, w in external_weights(model).items()}

    assert places(decode) == places(trunk)


@pytest.mark.parametrize("name", WRITERS)
def test_rows_of_unequal_lengths_in_one_larger_buffer_equal_the_eager_model(name, export):
    base, bundle = export(name)
    random = np.random.default_rng(6)
    texts = [random.integers(0, 384, count) for count in (9, 30, 1, 17)]
    trunk, decoder, head = bundle.trunk(threads=1), bundle.decoder(threads=1), bundle.lm_head(threads=1)
    cache = decoder.cache([trunk.read(text.tolist()) for text in texts], 50)
    for _ in range(4):
        tokens = random.integers(0, 384, 4)
        hidden = decoder.hidden(tokens, [len(text) for text in texts], cache)
        texts = [np.append(text, token) for text, token in zip(texts, tokens, strict=True)]
        for row, logits, text in zip(hidden, head.logits(hidden), texts, strict=True):
            with torch.no_grad():
                embeds = base.model.get_input_embeddings()(torch.from_numpy(text))[None]
                eager = base.model(inputs_embeds=embeds, output_hidden_states=True)
            expected = eager.hidden_states[-1][0, -1].numpy()
            np.testing.assert_allclose(row, expected, atol=TIGHT * np.abs(expected).max())
            expected = eager.logits[0, -1].numpy()
            np.testing.assert_allclose(logits, expected, atol=TIGHT * np.abs(expected).max())


def test_a_step_writes_into_the_buffer_and_leaves_the_rest_of_it_alone(export):
    base, bundle = export("qwen2")
    text = [5, 6, 7, 8]
    decoder = bundle.decoder(threads=1)
    cache = decoder.cache([bundle.trunk().read(text[:3])], 8)
    decoder.hidden(text[3:], [3], cache)
    expected = DynamicCache()
    with torch.no_grad():
        base.model(torch.tensor([text]), past_key_values=expected, use_cache=True)
    for layer, (keys, values) in enumerate(zip(cache[::2], cache[1::2], strict=True)):
        for found, wanted in ((keys, expected.layers[layer].keys), (values, expected.layers[layer].values)):
            np.testing.assert_allclose(found[:, :, :4], wanted.numpy(), atol=1e-5)
            assert (found[:, :, 4:] == 0).all()


def test_greedy_tokens_are_those_of_transformers(export):
    base, bundle = export("smollm2")
    text = [7, 300, 12, 45]
    trunk, decoder, head = bundle.trunk(), bundle.decoder(), bundle.lm_head()
    cache = decoder.cache([trunk.read(text[:-1])], 40)
    written = text[-1:]
    for step in range(24):
        written.append(int(head.logits(decoder.hidden(written[-1:], [3 + step], cache)).argmax()))
    expected = base.model.generate(
        torch.tensor([text]), max_new_tokens=24, min_new_tokens=24, do_sample=False, pad_token_id=2
    )
    assert written[1:] == expected[0, 4:].tolist()


def test_a_tied_head_is_the_trunks_embedding(export):
    _, bundle = export("smollm2")
    (place,) = external_weights(_graph(bundle, "fp32/lm_head.onnx")).items()
    trunk = external_weights(_graph(bundle, "fp32/trunk.onnx"))["model.embed_tokens.weight"]
    assert (place[0], place[1].location) == ("model.embed_tokens.weight", "trunk.onnx.data")
    assert (place[1].offset, place[1].length) == (trunk.offset, trunk.length)
    assert "fp32/lm_head.onnx.data" not in bundle.variant().generation.files
    assert not (bundle.folder / "fp32/lm_head.onnx.data").exists()


def test_an_untied_head_has_a_file_of_its_own(export):
    base, bundle = export("qwen2")
    ((name, place),) = external_weights(_graph(bundle, "fp32/lm_head.onnx")).items()
    assert (name, place.location) == ("lm_head.weight", "lm_head.onnx.data")
    stored = np.fromfile(bundle.folder / "fp32/lm_head.onnx.data", "<f4").reshape(384, 48)
    assert (stored == base.model.lm_head.weight.numpy()).all()
    assert "fp32/lm_head.onnx.data" in bundle.variant().generation.files


@pytest.mark.parametrize(
    ("name", "weight"), [("qwen2", "lm_head.weight"), ("smollm2", "model.embed_tokens.weight")]
)
def test_an_int8_head_has_7_bits_and_a_scale_for_each_token(name, weight, export):
    base, bundle = export(name)
    graph = _graph(bundle, "int8/lm_head.onnx")
    assert set(external_weights(graph)) == {f"{weight}.T.int8", f"{weight}.T.scale"}
    tensors = {
        t.name: onnx.numpy_helper.to_array(t, str(bundle.folder / "int8"))
        for t in graph.graph.initializer
        if t.external_data
    }
    integers, scales = tensors[f"{weight}.T.int8"], tensors[f"{weight}.T.scale"]
    assert (integers.shape, integers.dtype, np.abs(integers).max()) == ((48, 384), np.int8, 64)
    full = base.model.get_output_embeddings().weight.numpy().T
    assert np.all(np.abs(integers * scales - full) <= scales / 2 * 1.001)


def test_a_head_with_a_bias_is_refused():
    base = random_base("llama")
    base.model.lm_head = torch.nn.Linear(48, 384, bias=True)
    with pytest.raises(SoftcallError, match="the vocabulary head has a bias"):
        head_parameter(base.model)


def test_logits_that_the_model_changes_afterwards_leave_no_bundle(tmp_path, monkeypatch):
    """A scaling or a soft cap that the head's graph does not have."""
    base = random_base("llama")
    forward = type(base.model).forward

    def scaled(self, *args, **kwargs):
        output = forward(self, *args, **kwargs)
        output.logits = output.logits / 4
        return output

    monkeypatch.setattr(type(base.model), "forward", scaled)
    with pytest.raises(SoftcallError, match="differ"):
        export_base(base, tmp_path / "base")
    assert list(tmp_path.iterdir()) == []


def test_another_token_than_pytorchs_is_refused_unless_the_two_are_equal():
    expected = np.array([[1.0, 7.0, 3.0], [2.0, 5.0, 5.0001]], np.float32)
    found = np.array([[1.0, 7.0, 3.0], [2.0, 5.0001, 5.0]], np.float32)
    generation_parity._require_same_tokens(found, expected)
    found[0] = [1.0, 3.0, 7.0]
    with pytest.raises(SoftcallError, match=r"as token 1 it writes 2 \(logit 3\.0000\), PyTorch writes 1"):
        generation_parity._require_same_tokens(found, expected)


def test_a_head_size_that_cannot_be_decoded_gives_a_base_for_classification(tmp_path):
    base = random_base("llama, head size that cannot be decoded")
    bundle, _ = export_base(base, tmp_path / "base")
    assert [variant.generation for variant in bundle.variants.values()] == [None, None]
    assert not list(bundle.folder.rglob("decode.onnx"))
    with pytest.raises(SoftcallError, match=r"the variant fp32 of the base .* writes no texts"):
        bundle.decoder()


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_golden_logits_hold(variant, copy):
    golden, own = copy.golden_of(variant), copy.variant(variant).generation.golden
    row = golden.decoded(copy.trunk(variant), copy.decoder(variant))
    logits = copy.lm_head(variant).logits(row)[0]
    assert own.difference(logits) < (TIGHT if variant == "fp32" else 0.05)
    assert sorted(own.logits, reverse=True) == list(own.logits)
    copy.check_golden(variant)


def test_a_damaged_head_is_noticed(copy):
    weights = np.memmap(copy.folder / "int8/lm_head.onnx.data", np.int8, "r+")
    weights[: len(weights) // 2] = 0
    weights.flush()
    with pytest.raises(SoftcallError, match="the vocabulary head behind the golden row of tiny-llama int8"):
        copy.check_golden("int8")


def test_a_damaged_decode_graph_is_noticed(copy):
    model = _graph(copy, "fp32/decode.onnx")
    attention = next(node for node in model.graph.node if node.op_type == "GroupQueryAttention")
    next(each for each in attention.attribute if each.name == "scale").f = 0.5
    (copy.folder / "fp32/decode.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SoftcallError, match="the decoded golden row of tiny-llama fp32 differs by"):
        copy.check_golden()


def test_logits_of_other_tokens_count_as_damage():
    golden = GoldenLogits.largest_of(np.arange(20, dtype=np.float32), 1e-3)
    assert golden.ids == (19, 18, 17, 16, 15, 14, 13, 12)
    right = np.arange(20, dtype=np.float32)
    assert golden.difference(right) == 0
    right[3] = 31
    assert golden.difference(right) == 1
    right[3] = np.nan
    assert golden.difference(right) == np.inf


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ids": [1] * 8}, r"generation\.golden\.ids: .*8 token ids are expected"),
        ({"ids": [384, 1, 2, 3, 4, 5, 6, 7]}, r"generation\.golden\.ids: .*ids below 384 are expected"),
        ({"ids": [-1, 1, 2, 3, 4, 5, 6, 7]}, r"generation\.golden\.ids: "),
        ({"logits": [0.0] * 8}, r"generation\.golden\.logits: finite numbers"),
        ({"logits": [1.0] * 7}, r"generation\.golden\.logits: \(7,\)"),
        ({"tolerance": 1}, r"generation\.golden\.tolerance: 1"),
    ],
)
def test_golden_logits_that_could_not_fail_are_refused(change, said, copy):
    record = json.loads((copy.folder / "base.json").read_text("utf-8"))
    record["variants"]["fp32"]["generation"]["golden"] |= change
    (copy.folder / "base.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(SoftcallError, match=said):
        Bundle.open(copy.folder)


def test_graphs_without_a_sha256_are_refused(copy):
    record = json.loads((copy.folder / "base.json").read_text("utf-8"))
    del record["variants"]["int8"]["generation"]["files"]["int8/decode.onnx"]
    (copy.folder / "base.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(SoftcallError, match=r"generation: the graph int8/decode\.onnx is missing"):
        Bundle.open(copy.folder)


def test_an_older_bundle_is_read(copy):
    record = json.loads((copy.folder / "base.json").read_text("utf-8"))
    del record["eos_token_ids"], record["chat_template"]
    for variant in record["variants"].values():
        del variant["generation"]
    (copy.folder / "base.json").write_text(json.dumps(record), "utf-8")
    bundle = Bundle.open(copy.folder)
    assert (bundle.eos_token_ids, bundle.chat_template()) == ((2,), None)
    assert bundle.check_golden() < TIGHT
    with pytest.raises(SoftcallError, match="the variant int8 of the base tiny-llama writes no texts"):
        bundle.lm_head("int8")


@pytest.mark.parametrize("ids", [[384], [-1], ["2"]])
def test_ids_that_the_base_does_not_have_end_no_text(ids, copy):
    record = json.loads((copy.folder / "base.json").read_text("utf-8")) | {"eos_token_ids": ids}
    (copy.folder / "base.json").write_text(json.dumps(record), "utf-8")
    with pytest.raises(SoftcallError, match=r"base\.json: eos_token_ids: .*ids below 384 are expected"):
        Bundle.open(copy.folder)


def test_another_chat_template_than_the_described_one_is_refused(copy):
    assert copy.chat_template() == tiny_base().chat_template
    (copy.folder / "chat_template.jinja").write_text("{{ messages }}")
    with pytest.raises(SoftcallError, match=r"chat_template\.jinja: sha256 .* is expected"):
        copy.chat_template()


@pytest.mark.parametrize(
    ("generation", "config", "ids"),
    [([2, 0], 1, (2, 0)), (5, 1, (5,)), (None, [1, 2], (1, 2)), (None, None, ())],
)
def test_the_generation_configuration_says_what_ends_a_text(generation, config, ids):
    model = random_base("llama").model
    model.generation_config.eos_token_id, model.config.eos_token_id = generation, config
    assert eos_token_ids(model) == ids
