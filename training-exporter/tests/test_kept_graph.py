"""A base out of a kept graph and a GGUF file, without PyTorch."""

import filecmp
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from make_tiny import CORPUS, TEXTS, tiny_base
from tiny_gguf import write_gguf
from transformers import AutoTokenizer

from softcall.base import default_base
from softcall.base.bundle import Bundle
from softcall.base.source import Source
from softcall.core.errors import SoftcallError
from softcall.core.regular_file import file_sha256
from softcall.export import kept_graph
from softcall.export.base_export import export_base
from softcall.export.generation import eos_token_ids, head_parameter
from softcall.export.graphs.decode import decode_graph
from softcall.export.graphs.fp16 import fp16_graph
from softcall.export.graphs.fp32 import fp32_graph
from softcall.export.graphs.int4 import int4_graph
from softcall.export.graphs.int8 import int8_graph
from softcall.export.graphs.lm_head import fp32_lm_head, int4_lm_head, int8_lm_head
from softcall.export.graphs.trunk import trunk_graph
from softcall.export.kept_graph import base_from_graph, keep_graph, kept_graphs
from softcall.export.weights.external_data import full_precision, write_weights


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A GGUF file, the bundle that PyTorch exported from it, and the graph kept of it."""
    source = Source.resolve(write_gguf(tiny_base(), tmp_path / "tiny.gguf"))
    exported, _ = export_base(source.load(), tmp_path / "exported")
    graphs = tmp_path / "graphs"
    keep_graph(exported, graphs / "tiny")
    monkeypatch.setattr(kept_graph, "GRAPHS", graphs)
    return source, exported, graphs / "tiny"


def _files(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_it_is_byte_for_byte_what_pytorch_exports(tiny, tmp_path):
    source, exported, _ = tiny
    bundle, differences = base_from_graph(source, tmp_path / "filled")
    assert differences["fp32"] < 1e-5
    assert differences["int8"] < 0.1
    assert _files(bundle.folder) == _files(exported.folder)
    assert filecmp.cmpfiles(exported.folder, bundle.folder, _files(bundle.folder), shallow=False)[1:] == (
        [],
        [],
    )


def test_what_is_kept_is_the_bundle_without_weights(tiny):
    _, _, graph = tiny
    assert _files(graph) == [
        "base.json",
        "chat_template.jinja",
        "fp32/decode.onnx",
        "fp32/lm_head.onnx",
        "fp32/trunk.onnx",
        "int8/decode.onnx",
        "int8/lm_head.onnx",
        "int8/smoothing.safetensors",
        "int8/trunk.onnx",
        "tokenizer.json",
    ]


def test_a_name_of_its_own_changes_the_description_alone(tiny, tmp_path):
    source, exported, _ = tiny
    bundle, _ = base_from_graph(source, tmp_path / "filled", name="mine")
    assert (bundle.name, bundle.fingerprint) == ("mine", exported.fingerprint)


def test_other_weights_are_refused(tiny, tmp_path):
    base = tiny_base()
    base.model.model.norm.weight[0] += 1
    other = Source.resolve(write_gguf(base, tmp_path / "other.gguf"))
    with pytest.raises(
        SoftcallError, match=r"no graph is kept for the weights of .*other\.gguf .*only for tiny"
    ):
        base_from_graph(other, tmp_path / "filled")
    assert not (tmp_path / "filled").exists()


def test_a_folder_of_weights_is_refused(tiny, tiny_folder, tmp_path):
    with pytest.raises(SoftcallError, match="takes its weights from a GGUF file"):
        base_from_graph(Source.resolve(tiny_folder), tmp_path / "filled")


def test_a_graph_that_is_out_of_date_leaves_no_bundle(tiny, tmp_path):
    source, _, graph = tiny
    model = onnx.load(graph / "fp32/trunk.onnx", load_external_data=False)
    model.producer_version = "another"
    (graph / "fp32/trunk.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(SoftcallError, match=r"fp32/trunk\.onnx: sha256 .* the kept graph is out of date"):
        base_from_graph(source, tmp_path / "filled")
    assert not (tmp_path / "filled").exists()


def test_a_graph_that_wants_what_the_source_lacks_is_refused(tiny, tmp_path):
    _, _, graph = tiny
    model = onnx.load(graph / "fp32/trunk.onnx", load_external_data=False)
    with pytest.raises(SoftcallError, match=r"needs the parameter model\.embed_tokens\.weight"):
        write_weights(model, full_precision({}), tmp_path)
    parameters = {name: parameter.numpy()[:1] for name, parameter in tiny_base().model.named_parameters()}
    with pytest.raises(
        SoftcallError, match=r"expects model\.embed_tokens\.weight of shape \(384, 64\).*\(1, 64\)"
    ):
        write_weights(model, full_precision(parameters), tmp_path)


def test_the_default_bases_graph_is_kept():
    assert kept_graphs() == ["SmolLM2-135M-Instruct-Q4_1"]


@pytest.mark.real_base
def test_the_default_base_needs_neither_pytorch_nor_transformers(tmp_path):
    """In a process of its own, where importing them fails."""
    script = """
import sys
for module in ("torch", "transformers", "peft", "onnxscript", "onnx_ir"):
    sys.modules[module] = None
from pathlib import Path
from softcall.export.kept_graph import base_from_graph
from softcall.base.source import Source
bundle, differences = base_from_graph(Source.resolve(None), Path(sys.argv[1]))
assert differences["fp32"] < 1e-4, differences
assert set(differences) == {"fp32", "int8"}
assert bundle.output_embedding([1, 2]).shape == (2, 576)
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "base")], check=True, timeout=120)
    bundle = Bundle.open(tmp_path / "base")
    assert (bundle.name, bundle.num_hidden_layers) == ("SmolLM2-135M-Instruct-Q4_1", 30)


@pytest.mark.real_base
def test_the_kept_graph_of_the_default_base_is_what_pytorch_exports_today(tmp_path):
    """Its graph and its tokenizer byte for byte, and the sha256 of the weights that PyTorch's model gives."""
    kept = Bundle.open(kept_graph.GRAPHS / "SmolLM2-135M-Instruct-Q4_1")
    base, file = Source.resolve(None).load(), default_base.fetch()
    traced = trunk_graph(base.model)
    graph = fp32_graph(traced)

    assert base.fingerprint == kept.fingerprint
    assert graph.SerializeToString(deterministic=True) == (kept.folder / "fp32/trunk.onnx").read_bytes()
    auto, kept_tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name), kept.tokenizer()
    for text in (*TEXTS, *CORPUS.splitlines(), "Transfer 1,234.50 EUR on 2024-05-01", "<|im_start|>user"):
        assert kept_tokenizer.encode(text, add_special_tokens=False).ids == auto.encode(
            text, add_special_tokens=False
        )
    assert base.tokenizer.to_str() == (kept.folder / "tokenizer.json").read_text("utf-8")
    parameters = {name: value.numpy() for name, value in base.model.named_parameters()}
    write_weights(graph, full_precision(parameters), tmp_path)
    assert file_sha256(tmp_path / "trunk.onnx.data") == kept.variant().files["fp32/trunk.onnx.data"]
    half = fp16_graph(traced)
    assert half.SerializeToString(deterministic=True) == (kept.folder / "fp16/trunk.onnx").read_bytes()
    int8 = int8_graph(graph)
    assert int8.SerializeToString(deterministic=True) == (kept.folder / "int8/trunk.onnx").read_bytes()
    int4 = int4_graph(graph)
    assert int4.SerializeToString(deterministic=True) == (kept.folder / "int4/trunk.onnx").read_bytes()
    head, sizes = head_parameter(base.model), (kept.vocab_size, kept.hidden_size)
    generated = {
        "fp32/decode.onnx": decode_graph(graph),
        "fp32/lm_head.onnx": fp32_lm_head(graph, head, *sizes),
        "int8/decode.onnx": decode_graph(int8),
        "int8/lm_head.onnx": int8_lm_head(int8, head, *sizes),
        "int4/decode.onnx": decode_graph(int4),
        "int4/lm_head.onnx": int4_lm_head(int4, head, *sizes),
    }
    for file, made in generated.items():
        assert made.SerializeToString(deterministic=True) == (kept.folder / file).read_bytes(), file
    assert base.chat_template == kept.chat_template()
    assert eos_token_ids(base.model) == kept.eos_token_ids
