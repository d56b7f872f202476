"""`softcall convert` and `export`: plain PEFT folders out of everything, and tasks that come back."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from make_peft_folders import FOLDER, TASKS, encode, fill
from make_tiny import DEFAULT_FOLDER as TINY
from make_tiny import tiny_base
from peft import PeftModel
from safetensors.numpy import load_file
from typer.testing import CliRunner

from softcall.artifact.artifact import Artifact
from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.stores.addresses import open_store

ARTIFACT = TINY / "tasks/sentiment/adapter_model.safetensors"
STORE = f"file:{TINY}/tasks"
BASE = TINY / "base"


def softcall(*arguments):
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if done.exception is not None:
        raise done.exception
    return done.output


def refusal(*arguments):
    with pytest.raises(SoftcallError) as refused:
        softcall(*arguments)
    return str(refused.value)


def logits(folder, ids):
    model = PeftModel.from_pretrained(tiny_base().model, folder).eval()
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].double().numpy()


@pytest.mark.parametrize("task", ["sentiment", "acme/intent", "pair", "long", "kv", "acme/kv-long", "topics"])
def test_an_exported_task_gives_peft_the_logits_that_are_served(task, tmp_path):
    """The vocabulary's logits of PEFT's hidden row, which the tiny base's golden answers keep."""
    softcall("export", task, tmp_path / "plain", "--store", STORE)
    assert sorted(file.name for file in (tmp_path / "plain").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "task.json",
    ]
    stored = Artifact.from_bytes(open_store(STORE).get(task)[0])
    tensors = load_file(tmp_path / "plain/adapter_model.safetensors")
    assert list(tensors) == ["prompt_embeddings"]
    np.testing.assert_array_equal(tensors["prompt_embeddings"], stored.prompt)
    golden = json.loads((TINY / "golden.json").read_text())["tasks"][task][0]
    hidden = np.array(golden["hidden"])
    vocabulary = tiny_base().model.get_output_embeddings().weight.detach().double().numpy()
    np.testing.assert_allclose(
        logits(tmp_path / "plain", golden["ids"]), vocabulary @ hidden, rtol=1e-4, atol=1e-4
    )


def test_an_exported_task_can_be_pushed_again_as_it_was(tmp_path):
    """A task with a head of verbalizers, and every setting of its own."""
    record = json.loads((FOLDER / "japanese/task.json").read_text())
    (tmp_path / "task.json").write_text(
        json.dumps(record | {"temperature": 2.5, "abstain_threshold": 0.5}, ensure_ascii=False)
    )
    plain, store = tmp_path / "plain", f"file:{tmp_path}/store"
    (tmp_path / "store").mkdir()
    softcall("convert", ARTIFACT, plain)
    options = ["--base", BASE, "--store", store]
    softcall("push", plain, "first", *options, "--task-file", tmp_path / "task.json")
    softcall("export", "first", tmp_path / "again", "--store", store)
    softcall("push", tmp_path / "again", "second", *options)
    (first, one), (second, two) = (open_store(store).get(name) for name in ("first", "second"))
    assert first == second and one == two
    assert Artifact.from_bytes(second).abstain_threshold == 0.5


def test_labels_logits_of_the_exported_folder_are_those_of_peft(tmp_path):
    """From PEFT's folder to a task and back: nothing of the model's answers changes."""
    task, plain = TASKS["english"], tmp_path / "plain"
    ids = encode(tiny_base().tokenizer, fill(task.template, task.texts[0]))
    (tmp_path / "store").mkdir()
    store = ["--store", f"file:{tmp_path}/store"]
    softcall("convert", ARTIFACT, plain)
    softcall("push", plain, "a", "--base", BASE, "--task-file", FOLDER / "english/task.json", *store)
    softcall("export", "a", tmp_path / "back", *store)
    np.testing.assert_array_equal(logits(tmp_path / "back", ids), logits(plain, ids))


@pytest.mark.parametrize(
    ("bias", "told"),
    [
        (
            (0.5, -0.5),
            "the trained label head lies beside the prompt; `softcall push` reads it, PEFT does not",
        ),
        ((0, 0), "the trained label head is the classifier of a SEQ_CLS model"),
    ],
)
def test_a_trained_label_head_comes_back(tmp_path, bias, told):
    artifact = replace(
        Artifact.from_bytes(ARTIFACT.read_bytes()), training={"head": "trained"}, label_bias=np.array(bias)
    )
    (tmp_path / "a.safetensors").write_bytes(artifact.to_bytes())
    output = softcall("convert", tmp_path / "a.safetensors", tmp_path / "plain")
    assert output == f"{tmp_path}/plain: 8 tokens of 64, a task artifact\nnote: {told}\n"
    (tmp_path / "store").mkdir()
    store = f"file:{tmp_path}/store"
    softcall("push", tmp_path / "plain", "x", "--base", BASE, "--store", store)
    again = Artifact.from_bytes(open_store(store).get("x")[0])
    for name in ("prompt", "label_head", "label_bias"):
        np.testing.assert_array_equal(getattr(again, name), getattr(artifact, name))
    assert "note:" not in softcall("convert", ARTIFACT, tmp_path / "other")


def test_a_bare_tensor_is_what_its_width_says_on_a_base(tmp_path):
    stored, _ = open_store(STORE).get("kv")
    np.save(tmp_path / "kv.npy", Artifact.from_bytes(stored).prompt)
    softcall("convert", tmp_path / "kv.npy", tmp_path / "plain", "--base", BASE)
    config = json.loads((tmp_path / "plain/adapter_config.json").read_text())
    assert config["peft_type"] == "PREFIX_TUNING"
    row = json.loads((TINY / "golden.json").read_text("utf-8"))["tasks"]["kv"][0]
    model = PeftModel.from_pretrained(tiny_base().model, tmp_path / "plain").eval()
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([row["ids"]]), output_hidden_states=True).hidden_states[-1]
    np.testing.assert_allclose(hidden[0, -1], row["hidden"], atol=1e-5)


def test_a_task_of_several_labels_comes_back(tmp_path):
    stored, _ = open_store(STORE).get("topics")
    artifact = Artifact.from_bytes(stored)
    softcall("export", "topics", tmp_path / "plain", "--store", STORE)
    (tmp_path / "store").mkdir()
    store = f"file:{tmp_path}/store"
    softcall("push", tmp_path / "plain", "x", "--base", BASE, "--store", store)
    again = Artifact.from_bytes(open_store(store).get("x")[0])
    assert (again.kind, again.thresholds, again.labels) == (
        artifact.kind,
        artifact.thresholds,
        artifact.labels,
    )
    assert (again.prompt_type, again.temperature) == (artifact.prompt_type, artifact.temperature)
    np.testing.assert_array_equal(again.prompt, artifact.prompt)


def test_other_formats_are_pushed_and_converted(tmp_path):
    prompt = Artifact.from_bytes(ARTIFACT.read_bytes()).prompt
    np.save(tmp_path / "a.npy", prompt)
    told = softcall("convert", tmp_path / "a.npy", tmp_path / "plain")
    assert told == f"{tmp_path}/plain: 8 tokens of 64, NumPy array\n"
    (tmp_path / "store").mkdir()
    flags = ["--template", "{text} =", "--label", "a", "--label", "b", "--store", f"file:{tmp_path}/store"]
    softcall("push", tmp_path / "a.npy", "x", "--base", BASE, *flags)
    stored = Artifact.from_bytes(open_store(f"file:{tmp_path}/store").get("x")[0])
    np.testing.assert_array_equal(stored.prompt, prompt)
    assert stored.training["made_as"] == "NumPy array"
    np.save(tmp_path / "b.npy", np.ones((8, 65)))
    message = refusal("push", tmp_path / "b.npy", "y", "--base", BASE, *flags)
    assert message == f"{tmp_path}/b.npy: the prompt has hidden size 65; base tiny-llama has 64"


def test_nothing_is_overwritten_and_nothing_half_done(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/letter").touch()
    assert refusal("convert", ARTIFACT, tmp_path / "out").endswith("out exists; name a new folder")
    assert refusal("export", "none", tmp_path / "new", "--store", STORE) == f"store {STORE} has no task none"
    broken = TINY / "broken/nan.safetensors"
    assert "nan.safetensors: prompt_embeddings holds nan" in refusal("convert", broken, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_artifact_holds_one_prompt(tmp_path):
    assert "--task-id is 1, but an artifact holds one prompt alone" in refusal(
        "convert", ARTIFACT, tmp_path / "out", "--task-id", 1
    )
