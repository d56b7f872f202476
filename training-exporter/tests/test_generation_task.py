"""Tasks that write text: their artifact, and how they reach a store."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import refusal, softcall, stored
from make_tiny import DEFAULT_FOLDER as TINY
from make_tiny import tiny_base
from peft import PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from safetensors.numpy import save_file
from tokenizers import processors

from softcall.artifact.artifact import Artifact, GenerationArtifact
from softcall.artifact.generation import Generation
from softcall.artifact.metadata import METADATA, PromptType
from softcall.artifact.safetensors_file import SafetensorsFile, with_metadata
from softcall.artifact.template import Template
from softcall.base.bundle import Bundle
from softcall.base.source import Source
from softcall.core.errors import SoftcallError

BASE = TINY / "base"
CLASSIFIER = TINY / "tasks/sentiment/adapter_model.safetensors"
PUBLISHED = Path(os.environ.get("SOFTCALL_ADAPTERS") or "no-such-folder") / "e2e_nlg"
TEMPLATE = r"Data: {text}\nText:"


def artifact(**changes) -> GenerationArtifact:
    fields = {
        "prompt": np.linspace(-1, 1, 12).reshape(3, 4),
        "generation": Generation(Template("Data: {text}\nText:"), 100, ("\n", "。"), 0.7, 0.9),
        "base_name": "tiny",
        "base_fingerprint": "ab" * 32,
    }
    return GenerationArtifact(**fields | changes)


def changed(file: bytes | None = None, **changes) -> bytes:
    """`file`, or a good one, with these fields of its `softcall` metadata."""
    file = artifact().to_bytes() if file is None else file
    record = json.loads(SafetensorsFile(file).metadata[METADATA]) | changes
    return with_metadata(file, {METADATA: json.dumps(record)})


@pytest.fixture(params=[PromptType.SOFT, PromptType.KV])
def folder(request, tmp_path):
    """A plain PEFT folder for the tiny base, soft and KV."""
    config = PromptTuningConfig if request.param == PromptType.SOFT else PrefixTuningConfig
    torch.manual_seed(4)
    peft = get_peft_model(tiny_base().model, config(task_type="CAUSAL_LM", num_virtual_tokens=8))
    peft.prompt_encoder["default"].embedding.weight.data.normal_(0, 0.5)
    peft.save_pretrained(tmp_path / "peft")
    return tmp_path / "peft"


@pytest.fixture
def soft(tmp_path):
    """A plain PEFT folder of a soft prompt."""
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=8)
    get_peft_model(tiny_base().model, config).save_pretrained(tmp_path / "soft")
    return tmp_path / "soft"


def test_everything_survives_the_file():
    written = artifact(prompt_type=PromptType.KV, metrics={"bleu": 59.1}, training={"seed": 7})
    read = Artifact.from_bytes(written.to_bytes())
    assert isinstance(read, GenerationArtifact)
    assert (read.generation, read.prompt_type) == (written.generation, PromptType.KV)
    np.testing.assert_array_equal(read.prompt, written.prompt)
    assert read.to_bytes() == written.to_bytes()


def test_the_metadata_has_what_a_server_reads():
    assert artifact().metadata == {
        "schema": 2,
        "prompt": "soft",
        "kind": "generation",
        "base": {"name": "tiny", "fingerprint": "ab" * 32},
        "template": "Data: {text}\nText:",
        "generation": {"max_tokens": 100, "stop": ["\n", "。"], "temperature": 0.7, "top_p": 0.9},
        "prefix_layouts": {},
        "metrics": {},
        "training": {},
    }
    chat = artifact(generation=Generation(None, temperature=0)).metadata
    assert (chat["chat"], chat["generation"]) == (True, {"temperature": 0})
    assert "template" not in chat


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"template": None, "generation": None}, Generation(Template("{text}"))),
        ({"template": None, "chat": True, "generation": {}}, Generation(None)),
        ({"chat": False, "generation": {"top_p": None}}, Generation(Template("Data: {text}\nText:"))),
        ({"labels": None, "generation": {"later": 1}}, Generation(Template("Data: {text}\nText:"))),
    ],
)
def test_what_is_left_out_or_null_is_the_servers(changes, expected):
    assert Artifact.from_bytes(changed(**changes)).generation == expected


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(
            ({name: value}, f"{name} is given; expected none: the kind 'generation' has no labels")
            for name, value in {
                "labels": ["a", "b"],
                "temperature": 1.0,
                "abstain_threshold": 0.5,
                "thresholds": [0.5],
            }.items()
        ),
        ({"chat": True}, "template is given; expected none: chats have the base's chat template"),
        ({"chat": "yes"}, "chat is 'yes'; expected true or false"),
        ({"template": "{text1} {text2}"}, "has two texts; expected {text} once"),
        ({"template": "no text"}, "has no field"),
        ({"template": 7}, "template is 7; expected a string"),
        ({"generation": []}, "generation is []; expected an object"),
        ({"generation": {"max_tokens": 0}}, "max_tokens is 0; expected 1 to 1000000"),
        ({"generation": {"max_tokens": 1_000_001}}, "max_tokens is 1000001; expected 1 to 1000000"),
        ({"generation": {"max_tokens": 1.0}}, "max_tokens is 1.0; expected 1 to 1000000"),
        ({"generation": {"max_tokens": True}}, "max_tokens is True; expected 1 to 1000000"),
        ({"generation": {"stop": "."}}, "stop is '.'; expected a list of 1 to 16 texts"),
        ({"generation": {"stop": []}}, "stop is []; expected a list of 1 to 16 texts"),
        ({"generation": {"stop": ["."] * 17}}, "stop has 17 texts; at most 16 are accepted"),
        ({"generation": {"stop": [".", ""]}}, "stop[1] is ''; a text of 1 to 200 characters is expected"),
        ({"generation": {"stop": ["\U0001f680" * 101]}}, "stop[0] is '\U0001f680"),
        ({"generation": {"stop": [5]}}, "stop[0] is 5; a text of 1 to 200 characters is expected"),
        (
            {"generation": {"temperature": 2.1}},
            "temperature of generation is 2.1; expected a number from 0 to 2",
        ),
        ({"generation": {"temperature": "0"}}, "temperature of generation is '0'"),
        ({"generation": {"temperature": 10**400}}, "temperature of generation is 1000"),
        ({"generation": {"top_p": 10**400}}, "top_p is 1000"),
        ({"generation": {"top_p": 0}}, "top_p is 0; expected a number in (0, 1]"),
        ({"generation": {"top_p": 1.5}}, "top_p is 1.5; expected a number in (0, 1]"),
        ({"schema": 1}, "kind is 'generation', which schema 1 does not have"),
    ],
)
def test_fields_that_a_server_refuses_are_refused_by_name(changes, said):
    with pytest.raises(SoftcallError) as refused:
        Artifact.from_bytes(changed(**changes), "task.safetensors")
    assert str(refused.value).startswith("task.safetensors: ")
    assert said in str(refused.value)


def test_a_label_head_is_refused():
    data = changed(
        CLASSIFIER.read_bytes(),
        schema=2,
        prompt="soft",
        kind="generation",
        labels=None,
        temperature=None,
        abstain_threshold=None,
    )
    with pytest.raises(SoftcallError, match="tensor label_head is given; expected none"):
        Artifact.from_bytes(data)


def test_a_pushed_folder_is_what_the_flags_say(store, folder):
    flags = ["--template", TEMPLATE, "--max-tokens", 64, "--stop", r"\n", "--stop", "END"]
    flags += ["--temperature", 0, "--top-p", 0.5]
    printed = softcall("push", folder, "acme/report", "--base", BASE, "--kind", "generation", *flags)
    found = stored(store, "acme/report")
    assert found.generation == Generation(Template("Data: {text}\nText:"), 64, ("\n", "END"), 0, 0.5)
    assert printed.endswith("8 tokens, writes text\n")
    shown = json.loads(softcall("show", "acme/report", "--json"))
    assert (shown["kind"], shown["generation"]["stop"]) == ("generation", ["\n", "END"])


def test_peft_loads_a_stored_task_and_writes_the_same(store, folder):
    softcall("push", folder, "report", "--base", BASE, "--kind", "generation")
    place = Path(store.removeprefix("file:")) / "report"
    assert json.loads((place / "adapter_config.json").read_text())["task_type"] == "CAUSAL_LM"
    ids = torch.tensor([[40, 41, 42]])

    def written(path):
        peft = PeftModel.from_pretrained(tiny_base().model, path)
        return peft.generate(input_ids=ids, max_new_tokens=8, do_sample=False, pad_token_id=2).tolist()

    assert written(place) == written(folder)


def test_a_task_file_says_the_same_and_flags_come_first(store, soft):
    record = {"kind": "generation", "chat": True, "generation": {"max_tokens": 9, "stop": ["."]}}
    (soft / "task.json").write_text(json.dumps(record))
    softcall("push", soft, "chat", "--base", BASE, "--max-tokens", 5)
    assert stored(store, "chat").generation == Generation(None, 5, (".",))
    softcall("push", soft, "text", "--base", BASE, "--template", "{text} =")
    assert stored(store, "text").generation == Generation(Template("{text} ="), 9, (".",))


@pytest.mark.parametrize("flags", [["--chat", "--stop", "."], ["--template", TEMPLATE], []])
def test_an_exported_task_is_restored_by_push(store, folder, tmp_path, flags):
    softcall("push", folder, "first", "--base", BASE, "--kind", "generation", *flags)
    softcall("export", "first", tmp_path / "exported")
    softcall("push", tmp_path / "exported", "again", "--base", BASE)
    first, again = stored(store, "first"), stored(store, "again")
    assert (again.generation, again.prompt_type) == (first.generation, first.prompt_type)
    np.testing.assert_array_equal(again.prompt, first.prompt)
    softcall("convert", Path(store.removeprefix("file:")) / "first/adapter_model.safetensors", tmp_path / "c")
    assert json.loads((tmp_path / "c/task.json").read_text())["kind"] == "generation"


def test_a_soft_prompt_takes_its_prefix_along(store, soft):
    softcall("push", soft, "report", "--base", BASE, "--kind", "generation", "--prefix", "fp32")
    found = stored(store, "report")
    expected = np.concatenate(Bundle.open(BASE).trunk().encode(found.prompt)).reshape(2, 2, 2, 8, 16)
    np.testing.assert_allclose(found.prefixes["fp32"], expected, atol=1e-2)


def test_a_context_can_be_followed_by_writing(store, tmp_path):
    (tmp_path / "notes.txt").write_text("The film was a joy from the first scene to the last.")
    softcall("push", tmp_path / "notes.txt", "notes", "--context", "--base", BASE, "--kind", "generation")
    assert (stored(store, "notes").prompt_type, stored(store, "notes").kind) == ("kv", "generation")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--chat"], "--chat: expected with --kind generation alone"),
        (
            ["--max-tokens", 5, "--top-p", 0.5],
            "--max-tokens and --top-p: expected with --kind generation alone",
        ),
        (["--kind", "generation", "--label", "a"], "labels is given; expected none"),
        (
            ["--kind", "generation", "--chat", "--template", "{text}"],
            "--chat and --template exclude each other",
        ),
        (["--kind", "generation", "--template", "{text1}{text2}"], "has two texts; expected {text} once"),
        (["--kind", "generation", "--max-tokens", 0], "max_tokens is 0; expected 1 to 1000000"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(store, soft, flags, said):
    assert said in refusal("push", soft, "report", "--base", BASE, *flags)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (
            {"kind": "generation", "stop": ["."]},
            "unknown field 'stop'; expected kind, template, chat, generation",
        ),
        ({"kind": "generation", "generation": {"seed": 1}}, "unknown field of generation 'seed'"),
        ({"kind": "generation", "verbalizers": {}}, "verbalizers is given; expected none"),
    ],
)
def test_a_task_file_with_other_fields_is_refused(store, soft, record, said):
    (soft / "task.json").write_text(json.dumps(record))
    assert f"{soft}/task.json: " in (told := refusal("push", soft, "report", "--base", BASE))
    assert said in told


def test_an_artifact_takes_no_flags_of_generation(store):
    told = refusal("push", CLASSIFIER, "report", "--kind", "generation", "--chat", "--stop", ".")
    assert told.endswith("which has its own kind and chat template and settings of generation")


def test_a_prompt_with_a_label_head_writes_no_text(store, tmp_path):
    place = tmp_path / "trained"
    softcall("convert", TINY / "tasks/acme/intent/adapter_model.safetensors", place)
    (place / "task.json").write_text(json.dumps({"kind": "generation"}))
    artifact = Artifact.from_bytes((TINY / "tasks/acme/intent/adapter_model.safetensors").read_bytes())
    head = {"label_head": artifact.label_head, "label_bias": artifact.label_bias}
    save_file({"prompt_embeddings": artifact.prompt, **head}, place / "adapter_model.safetensors")
    assert "it has a label head, which a task that writes text does not read" in refusal(
        "push", place, "report", "--base", BASE
    )


def test_a_chat_needs_the_bases_chat_template(store, soft, tmp_path):
    without = Path(shutil.copytree(BASE, tmp_path / "base"))
    record = json.loads((without / "base.json").read_text())
    (without / "base.json").write_text(json.dumps(record | {"chat_template": None}))
    told = refusal("push", soft, "chat", "--base", without, "--kind", "generation", "--chat")
    assert told.endswith("base tiny-llama has no chat template; give a template")


def test_special_tokens_before_a_text_are_part_of_the_template_and_after_it_are_refused(store, soft):
    tokenizer = tiny_base().tokenizer
    tokenizer.post_processor = processors.TemplateProcessing("<|im_start|> $A", None, [("<|im_start|>", 1)])
    tokenizer.save(str(soft / "tokenizer.json"))
    softcall("push", soft, "report", "--base", BASE, "--kind", "generation")
    assert stored(store, "report").generation.template.source == "<|im_start|>{text}"
    tokenizer.post_processor = processors.TemplateProcessing("$A <|im_end|>", None, [("<|im_end|>", 2)])
    tokenizer.save(str(soft / "tokenizer.json"))
    told = refusal("push", soft, "report", "--base", BASE, "--kind", "generation")
    assert "its tokenizer puts '<|im_end|>' after a text" in told


def test_commands_that_need_labels_refuse_it(tmp_path, tiny_folder):
    file = tmp_path / "report.safetensors"
    loaded = tiny_base()
    file.write_bytes(
        artifact(
            prompt=np.ones((8, 64)), base_name=loaded.name, base_fingerprint=loaded.fingerprint
        ).to_bytes()
    )
    data = tmp_path / "rows.jsonl"
    data.write_text("".join(json.dumps({"text": f"t {i}", "label": "ab"[i % 2]}) + "\n" for i in range(40)))
    told = refusal("eval", file, data, "--base", tiny_folder)
    assert told == f"{file} writes text; eval scores classification only so far"
    told = refusal(
        "train", data, "--base", tiny_folder, "--init-from", file, "--out", tmp_path / "o.safetensors"
    )
    assert told == f"--init-from {file} writes text; training starts from prompts that classify only so far"


@pytest.mark.real_base
@pytest.mark.skipif(not PUBLISHED.is_dir(), reason="$SOFTCALL_ADAPTERS names no folder of published prompts")
@pytest.mark.parametrize("name", ["soft", "kv"])
def test_a_published_prompt_writes_what_it_writes_with_peft(name, store, default_bundle):
    """Greedily, through the store, the trunk, the decode graph and the vocabulary head, in fp32."""
    bundle = default_bundle
    softcall(
        "push",
        PUBLISHED / name,
        "e2e",
        "--base",
        bundle.folder,
        "--kind",
        "generation",
        "--template",
        TEMPLATE,
    )
    task = stored(store, "e2e")
    text = "name[The Eagle], eatType[coffee shop], food[Japanese], priceRange[cheap], area[riverside]"
    ids = task.generation.template.encode(bundle.tokenizer(), [text])
    trunk, decoder, head = bundle.trunk(), bundle.decoder(), bundle.lm_head()
    past = trunk.read(ids[:-1], task.prefix(bundle))
    length, written = past[0].shape[2], ids[-1:]
    cache = decoder.cache([past], length + 48)
    while len(written) <= 48 and written[-1] not in bundle.eos_token_ids:
        hidden = decoder.hidden(written[-1:], [length + len(written) - 1], cache)
        written.append(int(head.logits(hidden).argmax()))

    place = Path(store.removeprefix("file:")) / "e2e"
    peft = PeftModel.from_pretrained(Source.resolve(None).load().model, place)
    expected = peft.generate(
        input_ids=torch.tensor([ids]), max_new_tokens=48, do_sample=False, pad_token_id=2, eos_token_id=2
    )
    assert written[1:] == expected[0, len(ids) :].tolist()
    assert "The Eagle" in bundle.tokenizer().decode(written[1:])
    assert written[-1] == 2
