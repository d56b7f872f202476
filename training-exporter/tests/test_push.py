"""`softcall push`, `ls`, `show` and `rm`, as a user types them."""

import hashlib
import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from command_line import refusal, softcall, stored
from make_peft_folders import FOLDER
from make_tiny import DEFAULT_FOLDER as TINY
from make_tiny import tiny_base
from peft import PeftModel, PromptTuningConfig, get_peft_model
from s3_server import ACCESS_KEY, SECRET_KEY
from stand_ins import POINTER
from typer.testing import CliRunner

from softcall.artifact.artifact import Artifact
from softcall.artifact.metadata import PromptType
from softcall.artifact.safetensors_file import SafetensorsFile
from softcall.base.bundle import Bundle
from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.stores.addresses import open_store

ARTIFACT = TINY / "tasks/sentiment/adapter_model.safetensors"
# As `openssl genpkey -algorithm ed25519` writes it.
SIGNING_KEY = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJUL4fezGC4vnISc4n/4OyyVorPJg3L1gQQNqOBoqjRC
-----END PRIVATE KEY-----
"""
OTHER = TINY / "tasks/acme/intent/adapter_model.safetensors"
BASE = TINY / "base"


@pytest.fixture
def folder(tmp_path):
    """A plain PEFT folder for the tiny base."""
    saved = tmp_path / "peft"
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=8)
    get_peft_model(tiny_base().model, config).save_pretrained(saved)
    return saved


def test_an_artifact_is_stored_as_it_is(store):
    printed = softcall("push", ARTIFACT, "acme/sentiment", "--base", BASE)
    data, version = open_store(store).get("acme/sentiment")
    assert data == ARTIFACT.read_bytes()
    assert printed == f"acme/sentiment {version} {len(data)} bytes, 8 tokens, 2 labels\n"


def test_a_signed_artifact_names_its_task(store, tmp_path):
    key = tmp_path / "key.pem"
    key.write_bytes(SIGNING_KEY)
    softcall("push", ARTIFACT, "acme/sentiment", "--sign", key)
    metadata = SafetensorsFile(open_store(store).get("acme/sentiment")[0]).metadata
    assert metadata["softcall_task"] == "acme/sentiment"
    assert len(bytes.fromhex(metadata["softcall_signature"])) == 64


def test_an_s3_store(s3_server, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    s3_server.client().create_bucket(Bucket="commands")
    where = ["--store", "s3://commands/prompts", "--endpoint-url", s3_server.url]
    version = softcall("push", ARTIFACT, "sentiment", *where).split()[1]
    head = s3_server.client().head_object(
        Bucket="commands", Key="prompts/sentiment/adapter_model.safetensors"
    )
    assert head["ETag"] == f'"{version}"'
    assert head["Metadata"] == {"softcall-sha256": hashlib.sha256(ARTIFACT.read_bytes()).hexdigest()}
    assert softcall("ls", *where).split()[:2] == ["sentiment", version]
    assert json.loads(softcall("show", "sentiment", "--json", *where))["version"] == version
    assert softcall("rm", "sentiment", "--yes", *where) == "removed sentiment from s3://commands/prompts\n"
    assert softcall("ls", *where) == ""


def test_a_peft_folder_with_flags(store, folder):
    flags = ["--template", r"{text}\nMood:", "--label", "good", "--label", "bad_mood", "--label", "so=a = b"]
    softcall("push", folder, "mood", "--base", BASE, *flags)
    artifact = stored(store, "mood")
    assert artifact.template.source == "{text}\nMood:"
    assert artifact.labels == ("good", "bad_mood", "so")
    assert artifact.training["verbalizers"] == [" good", " bad mood", "a = b"]
    assert artifact.base_name == "tiny-llama"


def test_a_peft_folder_with_a_task_file(store, folder, tmp_path):
    record = {
        "template": "{text1} | {text2} =",
        "labels": ["同じ", "違う"],
        "verbalizers": {"違う": " other"},
        "temperature": 2.5,
        "abstain_threshold": 0.5,
    }
    (tmp_path / "pairs.json").write_text(json.dumps(record))
    softcall("push", folder, "pairs", "--base", BASE, "--task-file", tmp_path / "pairs.json")
    artifact = stored(store, "pairs")
    assert artifact.template.fields == ("text1", "text2")
    assert artifact.labels == ("同じ", "違う")
    assert artifact.training["verbalizers"] == [" 同じ", " other"]
    assert (artifact.temperature, artifact.abstain_threshold) == (2.5, 0.5)


def test_the_task_file_of_the_folder_is_found_and_flags_come_first(store, folder):
    shutil.copy(FOLDER / "japanese/task.json", folder)
    softcall("push", folder, "japanese", "--base", BASE, "--template", "{text}→")
    assert stored(store, "japanese").template.source == "{text}→"
    assert stored(store, "japanese").labels == ("肯定", "否定", "どちらでもない")


def test_pushing_the_same_again_gives_the_same_version(store, folder):
    shutil.copy(FOLDER / "english/task.json", folder)
    assert softcall("push", folder, "a", "--base", BASE) == softcall("push", folder, "a", "--base", BASE)


def test_conditional_writes(store):
    first = softcall("push", ARTIFACT, "a", "--create").split()[1]
    assert f"task a is at version {first}; expected no such task" in refusal("push", OTHER, "a", "--create")
    second = softcall("push", OTHER, "a", "--if-version", first).split()[1]
    message = refusal("push", ARTIFACT, "a", "--if-version", first)
    assert f"task a is at version {second}; expected version {first}, so nothing was written" in message
    assert open_store(store).get("a")[0] == OTHER.read_bytes()
    assert "exclude each other" in refusal("push", ARTIFACT, "a", "--create", "--if-version", first)


@pytest.mark.parametrize("broken", sorted((TINY / "broken").iterdir()), ids=lambda path: path.stem)
def test_nothing_broken_is_stored(store, broken):
    assert refusal("push", broken, "a", "--base", BASE)
    assert open_store(store).list().tasks == ()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "not a JSON object"),
        ({"labels": ["a", "b"]}, "says nothing of the task's template; give --template"),
        ({"template": "{text}"}, "says nothing of the task's labels; give --label"),
        ({"template": 1, "labels": ["a", "b"]}, "template is 1; expected a string that holds {text}"),
        ({"template": "text", "labels": ["a", "b"]}, "task.json: template 'text' has no field"),
        ({"template": "{text}", "labels": "ab"}, "labels is 'ab'; expected a list of names"),
        ({"template": "{text}", "labels": ["a"]}, "1 labels; expected 2 to 10000"),
        ({"template": "{text}", "labels": ["a", "a"]}, "label 'a' appears twice; expected distinct names"),
        ({"template": "{text}", "labels": ["card_arrival", "card arrival"]}, "are the same tokens"),
        (
            {"template": "{text}", "labels": ["a", "b"], "label": []},
            "unknown field 'label'; expected template",
        ),
        (
            {"template": "{text}", "labels": ["a", "b"], "verbalizers": {"c": "c"}},
            "names 'c', which is not a label",
        ),
        ({"template": "{text}", "labels": ["a", "b"], "verbalizers": {"a": ""}}, "'' has no tokens"),
        ({"template": "{text}", "labels": ["a", "b"], "temperature": "1"}, "temperature is '1'; expected a"),
        (
            {"template": "{text}", "labels": ["a", "b"], "temperature": 0},
            "temperature is 0; expected a number",
        ),
    ],
)
def test_task_files_that_make_no_sense_are_refused(store, folder, record, message):
    (folder / "task.json").write_text(json.dumps(record))
    assert message in refusal("push", folder, "a", "--base", BASE)
    assert open_store(store).list().tasks == ()


def test_a_peft_folder_needs_a_base(store, folder):
    shutil.copy(FOLDER / "english/task.json", folder)
    assert "does not record its base; give --base" in refusal("push", folder, "a")


def test_an_artifact_keeps_its_own_template(store):
    assert "has its own template" in refusal("push", ARTIFACT, "a", "--template", "{text}")


def test_a_source_that_is_missing_is_named(store, tmp_path):
    assert "cannot be read (No such file or directory)" in refusal("push", tmp_path / "none", "a")


def test_names_are_checked_before_anything_else(store):
    for command in (["push", ARTIFACT, "../a"], ["show", "a//b"], ["rm", "A"]):
        assert refusal(*command).startswith("task name ")


def test_tasks_are_listed(store):
    versions = {name: softcall("push", ARTIFACT, name).split()[1] for name in ("b", "acme/a")}
    lines = [line.split() for line in softcall("ls").splitlines()]
    assert [line[:3] for line in lines] == [
        [name, versions[name], str(ARTIFACT.stat().st_size)] for name in ("acme/a", "b")
    ]
    records = [json.loads(line) for line in softcall("ls", "--json").splitlines()]
    assert [record["version"] for record in records] == [versions["acme/a"], versions["b"]]
    assert [record["modified"] for record in records] == [line[3] for line in lines]


def test_a_task_is_shown_with_everything_it_says(store):
    version = softcall("push", TINY / "tasks/long/adapter_model.safetensors", "long").split()[1]
    shown = json.loads(softcall("show", "long", "--json"))
    assert shown["task"] == "long"
    assert shown["version"] == version
    assert (shown["prompt_tokens"], shown["hidden_size"]) == (16, 64)
    assert shown["labels"] == ["sport", "politics", "文化"]
    assert (shown["temperature"], shown["abstain_threshold"]) == (1.5, 0.75)
    assert shown["base"]["name"] == "tiny-llama"
    text = softcall("show", "long")
    assert 'labels: ["sport", "politics", "文化"]' in text
    assert '  name: "tiny-llama"' in text


def test_a_broken_stored_task_is_shown_as_such(store, tmp_path):
    (tmp_path / "tasks/bad").mkdir()
    shutil.copy(TINY / "broken/nan.safetensors", tmp_path / "tasks/bad/adapter_model.safetensors")
    assert refusal("show", "bad") == (
        f"store {store}: task bad: prompt_embeddings holds nan at element 197; expected finite values"
    )


def test_a_task_is_removed_when_asked_twice(store):
    softcall("push", ARTIFACT, "a")
    with pytest.raises(SoftcallError, match="nothing was removed"):
        softcall("rm", "a", input="n\n")
    assert softcall("rm", "a", input="y\n").endswith(f"removed a from {store}\n")
    assert refusal("rm", "a", "--yes") == f"store {store} has no task a"


def test_a_store_must_be_named(monkeypatch):
    monkeypatch.delenv("SOFTCALL_STORE", raising=False)
    with pytest.raises(SystemExit, match="2"):
        softcall("ls")


def test_a_file_that_is_too_large_is_not_read_whole(store, tmp_path):
    with (tmp_path / "huge.safetensors").open("wb") as file:
        file.truncate((64 << 20) + 1)
    assert "huge.safetensors: larger than 67108864 bytes, the limit" in refusal(
        "push", tmp_path / "huge.safetensors", "a"
    )


def test_an_artifact_that_servers_refuse_for_its_size_is_not_stored(store, monkeypatch):
    size = ARTIFACT.stat().st_size
    assert size > 1 << 10
    monkeypatch.setenv("SOFTCALL_STORE_MAX_ARTIFACT_BYTES", "1K")
    assert refusal("push", ARTIFACT, "a") == (
        f"{ARTIFACT}: the artifact has {size} bytes; servers accept at most 1024"
        " (softcall.store.max-artifact-bytes, SOFTCALL_STORE_MAX_ARTIFACT_BYTES here and there)"
    )
    monkeypatch.setenv("SOFTCALL_STORE_MAX_ARTIFACT_BYTES", str(size))
    softcall("push", ARTIFACT, "a")
    # What is added on the way counts too.
    refused = refusal("push", ARTIFACT, "b", "--base", BASE, "--prefix", "fp32")
    assert f"servers accept at most {size} (" in refused
    assert [task.task for task in open_store(store).tasks()] == ["a"]


def named(folder, base):
    """The folder's configuration with another base's name."""
    config = folder / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": base}))


FLAGS = ["--template", "{text} =", "--label", "a", "--label", "b"]


@pytest.mark.parametrize(
    "name",
    [
        None,
        "",
        "tiny-llama",
        "someone/Tiny-Llama",
        "/models/tiny_llama/",
        "tiny-llama-Q4_K_M-GGUF",
        "tiny-llama.Q8_0",
        "tiny-llama-bf16",
        "/cache/models--someone--tiny-llama/snapshots/0123abc",
    ],
)
def test_a_base_of_the_same_name_is_no_cause_for_a_warning(store, folder, name):
    named(folder, name)
    done = CliRunner().invoke(app, ["push", str(folder), "a", "--base", str(BASE), "--strict", *FLAGS])
    assert (done.exit_code, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "name", ["facebook/galactica-125m-576", "tiny-llama-chat", "tiny", "Q4_K", "./checkpoint-100", "別の"]
)
def test_a_prompt_of_another_base_is_warned_of_or_refused(store, folder, tmp_path, name):
    named(folder, name)
    message = f"{folder}: made for base model {name}; base tiny-llama may be another one"
    for command in (["push", folder, "a", *FLAGS], ["convert", folder, tmp_path / "plain"]):
        command = [*map(str, command), "--base", str(BASE)]
        assert refusal(*command, "--strict") == f"{message} (--strict)"
        assert list(open_store(store).tasks()) == [] and not (tmp_path / "plain").exists()
    for command in (["push", folder, "a", *FLAGS], ["convert", folder, tmp_path / "plain"]):
        done = CliRunner().invoke(app, [*map(str, command), "--base", str(BASE)])
        assert (done.exit_code, done.stderr) == (0, f"warning: {message}\n")


def test_a_warning_is_printable(store, folder):
    named(folder, "evil\x1b[2J\nwarning: all is well" + "x" * 1_000)
    done = CliRunner().invoke(app, ["push", str(folder), "a", "--base", str(BASE), *FLAGS])
    (line,) = done.stderr.splitlines()
    assert line.isprintable() and len(line) <= 500 and r"evil\u001b[2J\nwarning" in line


def test_a_pointer_of_git_lfs_in_place_of_the_weights_is_named(store, folder):
    model = folder / "adapter_model.safetensors"
    model.write_bytes(POINTER)
    for source in (folder, model):
        assert refusal("push", source, "a", "--base", BASE, *FLAGS) == (
            f"{model}: it is a Git LFS pointer, not the file: run `git lfs pull`; expected a safetensors file"
        )
    (folder / "adapter_config.json").write_bytes(POINTER)
    assert "adapter_config.json: it is a Git LFS pointer" in refusal(
        "push", folder, "a", "--base", BASE, *FLAGS
    )


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["a.safetensors", "a.npy", "a.bin", "decoder.pt"])
def test_a_named_pipe_in_place_of_a_prompt_does_not_hang(store, tmp_path, name):
    os.mkfifo(tmp_path / name)
    assert "it is a named pipe; expected a file" in refusal(
        "push", tmp_path / name, "a", "--base", BASE, *FLAGS
    )


def test_what_a_stored_task_says_is_shown_without_obeying_it(store):
    artifact = replace(
        Artifact.from_bytes(ARTIFACT.read_bytes()),
        labels=("good\x9b31m", "bad\u202egnp"),
        metrics={'a\x1b]0;title\x07\nversion: "forged"': 1},
    )
    open_store(store).put("a", artifact.to_bytes(), b"{}")
    shown = softcall("show", "a")
    assert all(line.isprintable() for line in shown.splitlines())
    assert sum(line.startswith("version: ") for line in shown.splitlines()) == 1
    assert r'labels: ["good\u009b31m", "bad\u202egnp"]' in shown
    record = json.loads(softcall("show", "a", "--json"))
    assert record["labels"] == list(artifact.labels) and record["metrics"] == artifact.metrics


def test_a_ready_prefix_is_the_models_own_cache(store):
    """What transformers keeps after the prompt, in 16 bits."""
    softcall("push", ARTIFACT, "acme/ready", "--base", BASE, "--prefix", "fp32")
    artifact, plain = stored(store, "acme/ready"), Artifact.from_bytes(ARTIFACT.read_bytes())
    model = tiny_base().model
    with torch.no_grad():
        prompt = torch.tensor(plain.prompt)[None]
        cache = model(inputs_embeds=prompt, use_cache=True).past_key_values
    expected = np.stack([np.stack([layer.keys[0], layer.values[0]]) for layer in cache.layers])
    assert artifact.prefixes["fp32"].shape == expected.shape
    np.testing.assert_allclose(artifact.prefixes["fp32"], expected, rtol=2e-3, atol=2e-3)
    assert artifact.prefix_layouts == {"fp32": Bundle.open(BASE).variant("fp32").kv_layout}
    np.testing.assert_array_equal(artifact.prompt, plain.prompt)


def test_a_kv_prompt_is_stored_for_peft_and_needs_no_prefix(store):
    kv = TINY / "tasks/acme/kv-long/adapter_model.safetensors"
    told = softcall("push", kv, "acme/kv", "--base", BASE)
    assert told.startswith("acme/kv ") and told.endswith(" 16 tokens, 3 labels\n")
    folder = store.removeprefix("file:") + "/acme/kv"
    model = PeftModel.from_pretrained(tiny_base().model, folder).eval()
    row = json.loads((TINY / "golden.json").read_text("utf-8"))["tasks"]["acme/kv-long"][0]
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([row["ids"]]), output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(hidden[0, -1], row["hidden"], atol=1e-5)
    assert "so it needs no prefix" in refusal("push", kv, "x", "--base", BASE, "--prefix", "fp32")
    shown = softcall("show", "acme/kv")
    assert 'prompt: "kv"' in shown and "prompt_tokens: 16" in shown


CONTEXT = "Decide whether a text is positive or negative.\n\nA joy: positive\nRude waiter: negative\n"


def test_a_context_is_what_the_model_computes_of_its_text(store, tmp_path):
    (tmp_path / "context.txt").write_text(CONTEXT)
    flags = ["--base", BASE, "--template", "{text}:", "--label", "positive", "--label", "negative"]
    softcall("push", "--context", tmp_path / "context.txt", "spam", *flags)
    artifact, base = stored(store, "spam"), tiny_base()
    assert artifact.prompt_type == PromptType.KV and artifact.training["made_as"] == "a context"
    tokenizer = Bundle.open(BASE).tokenizer()
    context = tokenizer.encode(CONTEXT, add_special_tokens=False).ids
    text = tokenizer.encode("cold food:", add_special_tokens=False).ids
    words = [tokenizer.encode(f" {label}", add_special_tokens=False).ids for label in artifact.labels]
    with torch.no_grad():
        vocabulary = base.model(torch.tensor([context + text])).logits[0, -1].numpy()
    trunk = Bundle.open(BASE).trunk(threads=1)
    (hidden,) = trunk.hidden(
        np.array([text]), np.array([len(text) - 1]), prefix=artifact.prefix(Bundle.open(BASE))
    )
    expected = [vocabulary[word].mean() for word in words]
    np.testing.assert_allclose(artifact.label_head @ hidden, expected, atol=1e-2)  # float16


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 tokens as a context; expected 1 to 1023"),
        (b"a b " * 1000, "tokens as a context; expected 1 to 1023"),
        (b"caf\xe9", "it is not UTF-8 (byte 3); expected a text"),
        (b"\x1f\x8b\x08" + bytes(9), "it is a gzip file"),
    ],
)
def test_what_is_no_context_is_refused(store, tmp_path, content, message):
    (tmp_path / "context").write_bytes(content)
    flags = ["--base", BASE, "--template", "{text}:", "--label", "a", "--label", "b"]
    refused = refusal("push", "--context", tmp_path / "context", "spam", *flags)
    assert str(tmp_path / "context") in refused and message in refused
    assert list(open_store(store).tasks()) == []


def test_a_ready_prefix_needs_a_base_that_has_the_variant(store):
    assert "--prefix needs --base" in refusal("push", ARTIFACT, "acme/ready", "--prefix", "fp32")
    refused = refusal("push", ARTIFACT, "acme/ready", "--base", BASE, "--prefix", "int4")
    assert "has no variant 'int4', only fp32" in refused
    assert list(open_store(store).tasks()) == []
