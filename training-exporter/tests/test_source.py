"""Where a base comes from."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from make_tiny import CHAT_TEMPLATE, CORPUS, TEXTS, tiny_base
from random_models import MODELS, random_model
from safetensors.torch import load_file, save_file
from stand_ins import POINTER
from tiny_gguf import write_gguf
from transformers import (
    AutoTokenizer,
    BloomConfig,
    GemmaConfig,
    GPT2Config,
    PreTrainedTokenizerFast,
    T5Config,
)

from softcall.base import default_base
from softcall.base.chat_template import ChatTemplate
from softcall.base.source import Source
from softcall.core.errors import SoftcallError
from softcall.export.base_export import export_base

TINY = Path(__file__).resolve().parents[2] / "src/test/resources/tiny"


@pytest.fixture
def folder(tiny_folder, tmp_path) -> Path:
    """A copy of the tiny base's Hugging Face folder, to be changed."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_hugging_face_folder_is_loaded_frozen_in_float32(tiny_folder):
    loaded = Source.resolve(tiny_folder).load()
    assert loaded.name == "tiny-llama"
    assert loaded.fingerprint == tiny_base().fingerprint
    assert not loaded.model.training
    assert {(parameter.dtype, parameter.requires_grad) for parameter in loaded.model.parameters()} == {
        (torch.float32, False)
    }


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, {"tool_use": "{{ tools }}", "default": CHAT_TEMPLATE}])
def test_a_folders_chat_template_comes_with_its_special_tokens(template, folder):
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tiny_base().tokenizer, bos_token="<|im_start|>", eos_token="<|im_end|>"
    )
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    assert Source.resolve(folder).load().chat_template == ChatTemplate(
        CHAT_TEMPLATE, "<|im_start|>", "<|im_end|>"
    )


def test_a_folder_without_a_chat_template_has_none(tiny_folder):
    assert Source.resolve(tiny_folder).load().chat_template is None


def test_a_gguf_files_chat_template_names_the_tokens_of_its_ids(tmp_path):
    loaded = Source.resolve(write_gguf(tiny_base(), tmp_path / "tiny.gguf")).load()
    assert loaded.chat_template == ChatTemplate(CHAT_TEMPLATE, "<|im_start|>", "<|im_end|>")


@pytest.mark.parametrize(("template", "told"), [(5, "5"), ("a\ud800", r"'a\ud800'")])
def test_a_chat_template_that_is_no_unicode_text_is_refused(template, told, folder):
    file = folder / "tokenizer_config.json"
    record = json.loads(file.read_text("utf-8"))
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    file.write_text(json.dumps(record | {"chat_template": template}), "utf-8")
    with pytest.raises(SoftcallError) as refused:
        Source.resolve(folder).load()
    assert str(refused.value) == f"{folder}: the chat template is {told}; Unicode text is expected"


def test_a_chat_template_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(
        SoftcallError, match="the chat template has 262145 bytes; at most 262144 are accepted"
    ):
        ChatTemplate("x" * 262_145).write(tmp_path)


def test_half_precision_weights_are_widened(folder):
    weights = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    loaded = Source.resolve(folder).load()
    assert loaded.model.dtype == torch.float32
    assert (loaded.model.model.embed_tokens.weight == weights["model.embed_tokens.weight"].float()).all()


@pytest.mark.parametrize("name", ["mistral", "qwen2", "qwen2.5", "qwen3"])
def test_every_architecture_is_found_by_its_folder(name, tmp_path):
    model = random_model(name)
    model.save_pretrained(tmp_path / "model")
    PreTrainedTokenizerFast(tokenizer_object=tiny_base().tokenizer).save_pretrained(tmp_path / "model")
    loaded = Source.resolve(tmp_path / "model").load()
    assert type(loaded.model) is type(model) is MODELS[name][0]
    assert all((a == b).all() for a, b in zip(loaded.model.parameters(), model.parameters(), strict=True))


def test_a_gguf_file_is_loaded_dequantised_and_can_be_saved(tmp_path):
    file = write_gguf(tiny_base(), tmp_path / "tiny.Q4_1.gguf")
    loaded = Source.resolve(file).load()
    assert loaded.name == "tiny.Q4_1"
    assert loaded.model.dtype == torch.float32
    loaded.model.save_pretrained(tmp_path / "saved")
    PreTrainedTokenizerFast(tokenizer_object=loaded.tokenizer).save_pretrained(tmp_path / "saved")
    assert Source.resolve(tmp_path / "saved").load().fingerprint == loaded.fingerprint


@pytest.mark.parametrize("kind", ["folder", "gguf"])
def test_the_bundles_tokenizer_encodes_as_auto_tokenizer_without_special_tokens(kind, folder, tmp_path):
    if kind == "gguf":
        file = write_gguf(tiny_base(), tmp_path / "tiny.gguf")
        source, auto = Source.resolve(file), AutoTokenizer.from_pretrained(tmp_path, gguf_file=file.name)
    else:
        _ask_for_truncation_and_padding(folder)
        source, auto = Source.resolve(folder), AutoTokenizer.from_pretrained(folder)
    bundle, _ = export_base(source.load(), tmp_path / "base")
    record = json.loads((tmp_path / "base/tokenizer.json").read_text("utf-8"))

    assert (record["truncation"], record["padding"]) == (None, None)
    for text in (*TEXTS, *CORPUS.splitlines(), CORPUS, "<|im_start|>user\nHi<|im_end|>", ""):
        assert (
            bundle.tokenizer().encode(text, add_special_tokens=False).ids
            == auto(text, add_special_tokens=False)["input_ids"]
        ), text


def _ask_for_truncation_and_padding(folder: Path) -> None:
    tokenizer = tiny_base().tokenizer
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=8, pad_id=2, pad_token="<|im_end|>")
    tokenizer.save(str(folder / "tokenizer.json"))


@pytest.mark.parametrize(
    "config", [GPT2Config(), BloomConfig(), T5Config(), GemmaConfig()], ids=lambda config: config.model_type
)
def test_another_architecture_is_refused_by_name_before_anything_is_loaded(config, tmp_path):
    named = {"gpt2": "GPT2LMHeadModel", "bloom": "BloomForCausalLM", "t5": "T5ForConditionalGeneration"}
    config.architectures = [named.get(config.model_type, "GemmaForCausalLM")]
    config.save_pretrained(tmp_path)
    with pytest.raises(
        SoftcallError, match=rf"is a {config.architectures[0]}; accepted are LlamaForCausalLM .*Qwen3"
    ):
        Source.resolve(tmp_path).load()


def test_a_configuration_without_architectures_is_known_by_its_model_type(folder):
    _change_config(folder, architectures=None)
    assert Source.resolve(folder).load().fingerprint == tiny_base().fingerprint
    _change_config(folder, model_type="gpt2")
    with pytest.raises(SoftcallError, match="is a gpt2; accepted are"):
        Source.resolve(folder).load()


def test_a_gguf_file_of_another_architecture_is_refused_by_name(tmp_path):
    file = write_gguf(tiny_base(), tmp_path / "wavtokenizer.gguf", architecture="wavtokenizer-dec")
    with pytest.raises(SoftcallError, match=r"wavtokenizer\.gguf is a wavtokenizer-dec; accepted are"):
        Source.resolve(file).load()


def test_missing_weights_are_not_filled_with_noise(folder):
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        SoftcallError, match=r"lacks 1 of the model's parameters, such as model\.layers\.1\.mlp\.up"
    ):
        Source.resolve(folder).load()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text("[]"),
        lambda folder: (folder / "model.safetensors").write_bytes(b"no weights"),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: _change_config(folder, hidden_size=32),
        lambda folder: _change_config(folder, hidden_size=65),
        lambda folder: _change_config(folder, num_hidden_layers="two"),
        lambda folder: (folder / "tokenizer.json").write_text("{"),
        lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
    ],
    ids=[
        "configuration cut off",
        "configuration no object",
        "weights damaged",
        "weights missing",
        "weights of another size",
        "impossible sizes",
        "wrong type",
        "tokenizer cut off",
        "tokenizer missing",
    ],
)
def test_a_damaged_folder_is_named(folder, spoil):
    spoil(folder)
    with pytest.raises(SoftcallError, match=str(folder)):
        Source.resolve(folder).load()


def _change_config(folder: Path, **fields) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        SoftcallError, match=r"nowhere does not exist; a Hugging Face folder or a \.gguf file"
    ):
        Source.resolve(tmp_path / "nowhere")


def test_a_folder_without_a_configuration_is_refused(tmp_path):
    with pytest.raises(SoftcallError, match=r"has no config\.json"):
        Source.resolve(tmp_path)


def test_a_bundle_is_refused_with_advice():
    with pytest.raises(SoftcallError, match=r"is a base bundle.*that it was made from is expected"):
        Source.resolve(TINY / "base")


def test_an_adapter_is_refused_with_advice(folder):
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(SoftcallError, match="is a PEFT adapter; the model that it belongs to"):
        Source.resolve(folder)


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    for content, what in (
        (b"weights", "not a GGUF file"),
        (b"\x80\x02", "a pickle of Python"),
        (POINTER, "a Git LFS pointer, not the file: run `git lfs pull`"),
    ):
        (tmp_path / "model.bin").write_bytes(content)
        with pytest.raises(SoftcallError, match=rf"model\.bin is {what}"):
            Source.resolve(tmp_path / "model.bin")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_what_stands_in_place_of_a_model_s_file_is_named(folder, name):
    """The libraries would wait for the pipe, and say of the pointer that its header is too large."""
    file = folder / name
    file.write_bytes(POINTER)
    with pytest.raises(SoftcallError, match=rf"{file}: it is a Git LFS pointer, not the file: run `git lfs"):
        Source.resolve(folder).load()
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(
        SoftcallError, match=rf"{folder}.*(it is a named pipe; expected a file|has no config)"
    ):
        Source.resolve(folder).load()


def test_a_named_pipe_is_no_model(tmp_path):
    os.mkfifo(tmp_path / "model.gguf")
    with pytest.raises(SoftcallError, match=r"model\.gguf is neither a folder nor a file"):
        Source.resolve(tmp_path / "model.gguf")


@pytest.mark.real_base
def test_the_default_is_smollm2_whether_fetched_or_given_as_a_file(tmp_path):
    fetched = Source.resolve(None)
    assert fetched.name == "SmolLM2-135M-Instruct-Q4_1"
    renamed = tmp_path / "model.gguf"
    renamed.symlink_to(default_base.fetch())
    assert Source.resolve(renamed).name == fetched.name
