"""A plain PEFT folder becomes an artifact with PEFT's own logits, and PEFT reads the artifact back."""

import json
import pickle

import numpy as np
import pytest
import torch
from make_peft_folders import FOLDER, TASKS, encode, fill, label_logits, tune, write_task_file
from make_tiny import DEFAULT_FOLDER as TINY
from make_tiny import tiny_base
from peft import (
    IA3Config,
    LoraConfig,
    MultitaskPromptTuningConfig,
    PeftModel,
    PromptTuningConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerFast

from softcall.artifact.artifact import Artifact
from softcall.artifact.task_description import TaskDescription, read_task_file
from softcall.base.bundle import Bundle
from softcall.core.errors import SoftcallError
from softcall.prompt_formats import read_prompt
from softcall.prompt_formats.peft_output import peft_config
from softcall.stores.addresses import open_store

LOGITS = {"rtol": 1e-4, "atol": 1e-3}


@pytest.fixture(scope="module")
def bundle():
    return Bundle.open(TINY / "base")


@pytest.fixture(scope="module", params=TASKS)
def tuned(request, tiny_folder, tmp_path_factory):
    """(task, PEFT's model, its folder): prompt tuning of the tiny base by the usual lines."""
    torch.set_num_threads(1)
    task = TASKS[request.param]
    model = tune(AutoModelForCausalLM.from_pretrained(tiny_folder), str(tiny_folder), task, steps=6)
    folder = tmp_path_factory.mktemp("peft")
    model.save_pretrained(folder)
    write_task_file(folder, task)
    return task, model, folder


def described(folder):
    return TaskDescription.of_record(read_task_file(folder / "task.json"), "task.json")


def config_of(artifact):
    return peft_config(artifact.prompt_type, artifact.base_name, artifact.prompt.shape)


def served_logits(artifact, bundle, texts):
    """What a server does: the prompt's prefix once, then each text behind it, then the label head."""
    trunk = bundle.trunk()
    tokenizer = bundle.tokenizer()
    prefix = trunk.encode(artifact.prompt)
    for text in texts:
        ids = np.array([artifact.template.encode(tokenizer, [text])])
        (hidden,) = trunk.hidden(ids, np.array([ids.size - 1]), prefix=prefix)
        yield artifact.label_head @ hidden + artifact.label_bias


def test_logits_are_pefts(tuned, bundle):
    task, model, folder = tuned
    artifact = read_prompt(folder).fold(bundle, described(folder))
    assert artifact.labels == tuple(task.verbalizers)
    expected = [label_logits(model, bundle.tokenizer(), task, text) for text in task.texts]
    np.testing.assert_allclose(list(served_logits(artifact, bundle, task.texts)), expected, **LOGITS)


def test_peft_loads_a_stored_task_as_it_lies(tuned, bundle, tiny_folder, tmp_path):
    task, model, folder = tuned
    artifact = read_prompt(folder).fold(bundle, described(folder))
    open_store(f"file:{tmp_path}").put("acme/task", artifact.to_bytes(), config_of(artifact))
    loaded = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(tiny_folder), tmp_path / "acme/task"
    ).eval()
    ids = torch.tensor([encode(bundle.tokenizer(), fill(task.template, task.texts[0]))])
    with torch.no_grad():
        torch.testing.assert_close(loaded(input_ids=ids).logits, model(input_ids=ids).logits, rtol=0, atol=0)


def test_the_old_format_is_read_too(tuned, tmp_path):
    _, _, folder = tuned
    (tmp_path / "adapter_config.json").write_bytes((folder / "adapter_config.json").read_bytes())
    torch.save(load_file(folder / "adapter_model.safetensors"), tmp_path / "adapter_model.bin")
    np.testing.assert_array_equal(read_prompt(tmp_path).vectors, read_prompt(folder).vectors)


@pytest.mark.parametrize("name", TASKS)
def test_folders_of_the_default_base_give_the_logits_that_are_kept_with_them(name, default_bundle):
    folder = FOLDER / name
    artifact = read_prompt(folder).fold(default_bundle, described(folder))
    golden = json.loads((folder / "golden.json").read_text())
    assert artifact.base_fingerprint == golden["base"]["fingerprint"]
    assert list(artifact.labels) == golden["labels"]
    assert len(golden["rows"]) == 10
    tokenizer = default_bundle.tokenizer()
    for row in golden["rows"]:
        assert artifact.template.encode(tokenizer, row["texts"]) == row["ids"]
    texts, expected = zip(*((row["texts"][0], row["logits"]) for row in golden["rows"]), strict=True)
    np.testing.assert_allclose(list(served_logits(artifact, default_bundle, texts)), expected, **LOGITS)


IA3 = IA3Config(task_type="CAUSAL_LM", target_modules=["q_proj"], feedforward_modules=[])
LORA = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"])


@pytest.fixture
def folder(tmp_path):
    """Saves the adapter of a configuration for the tiny base; gives its folder."""

    def save(config, model=None):
        get_peft_model(model or tiny_base().model, config).save_pretrained(tmp_path)
        return tmp_path

    return save


def refusal(folder):
    with pytest.raises(SoftcallError) as refused:
        read_prompt(folder)
    assert str(refused.value).startswith(str(folder))
    return str(refused.value)


def change_config(folder, **changes):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (IA3, "peft_type is 'IA3', which changes the weights of the base"),
        (LORA, "peft_type is 'LORA', which changes the weights of the base"),
    ],
)
def test_what_is_no_prompt_is_refused_with_the_reason(config, reason, folder):
    message = refusal(folder(config))
    assert reason in message
    assert message.endswith(
        "; expected PROMPT_TUNING, MULTITASK_PROMPT_TUNING, P_TUNING, CPT, PREFIX_TUNING, CARTRIDGE"
    )


def test_a_prompt_of_an_encoder_decoder_model_is_refused(plain):
    change_config(plain, task_type="SEQ_2_SEQ_LM")
    assert "task_type is 'SEQ_2_SEQ_LM', which belongs to an encoder-decoder model" in refusal(plain)


def test_a_multitask_file_is_known_by_its_tensors(folder):
    saved = folder(
        MultitaskPromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=8, num_tasks=2, num_ranks=1)
    )
    change_config(saved, peft_type="PROMPT_TUNING")
    assert "belongs to peft_type MULTITASK_PROMPT_TUNING; expected PROMPT_TUNING" in refusal(saved)


def test_a_classifier_goes_with_a_task_type(folder, tiny_folder):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_folder, num_labels=2)
    saved = folder(PromptTuningConfig(task_type="SEQ_CLS", num_virtual_tokens=8), model)
    change_config(saved, task_type="CAUSAL_LM")
    assert "expected prompt_embeddings alone" in refusal(saved)
    change_config(saved, task_type="TOKEN_CLS")
    assert "task_type is 'TOKEN_CLS', which labels every token, and a task labels a text" in refusal(saved)
    change_config(saved, task_type="SEQ_CLS")
    prompt = {"prompt_embeddings": load_file(saved / "adapter_model.safetensors")["prompt_embeddings"]}
    save_file(prompt, saved / "adapter_model.safetensors")
    assert "has no trained classifier (base_model.score.weight)" in refusal(saved)


@pytest.fixture
def plain(folder):
    return folder(PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=8))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_virtual_tokens": 7}, "prompt_embeddings has shape [8, 64]; adapter_config.json says [7, 64]"),
        ({"token_dim": 32}, "prompt_embeddings has shape [8, 64]; adapter_config.json says [8, 32]"),
        ({"num_virtual_tokens": "8"}, "num_virtual_tokens is '8'; expected a number"),
        (
            {"num_transformer_submodules": 2},
            "num_transformer_submodules is 2, which is not served; expected 1",
        ),
        ({"peft_type": None}, "peft_type is None, which is not served; expected PROMPT_TUNING"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(plain, changes, message):
    change_config(plain, **changes)
    assert message in refusal(plain)


def test_another_hidden_size_is_refused(plain, default_bundle):
    description = TaskDescription.of_record({"template": "{text}", "labels": ["a", "b"]}, "flags")
    with pytest.raises(SoftcallError, match=r"the prompt.* has hidden size 64; base SmolLM2-.* has 576"):
        read_prompt(plain).fold(default_bundle, description)


def test_values_that_are_not_finite_are_refused(plain):
    prompt = load_file(plain / "adapter_model.safetensors")["prompt_embeddings"]
    prompt[2, 3] = torch.inf
    save_file({"prompt_embeddings": prompt}, plain / "adapter_model.safetensors")
    assert "prompt_embeddings holds inf at element 131; expected finite values" in refusal(plain)


def test_a_task_artifact_is_no_plain_folder(plain):
    data = (TINY / "tasks/sentiment/adapter_model.safetensors").read_bytes()
    (plain / "adapter_model.safetensors").write_bytes(data)
    assert "it is a task artifact; give this file instead of its folder" in refusal(plain)


def test_a_pickle_runs_no_code(plain, tmp_path):
    class Trap:
        def __reduce__(self):
            return open, (str(tmp_path / "sprung"), "w")

    (plain / "adapter_model.safetensors").unlink()
    (plain / "adapter_model.bin").write_bytes(pickle.dumps({"prompt_embeddings": Trap()}))
    assert "adapter_model.bin: not a file of tensors" in refusal(plain)
    assert not (tmp_path / "sprung").exists()


def test_files_that_are_missing_or_damaged_are_named(plain):
    (plain / "adapter_model.safetensors").write_bytes(b"PK")
    assert "adapter_model.safetensors: 2 bytes are too few" in refusal(plain)
    (plain / "adapter_model.safetensors").unlink()
    assert "adapter_model.bin: cannot be read (No such file or directory)" in refusal(plain)
    (plain / "adapter_config.json").write_text("{")
    assert "adapter_config.json: not valid JSON" in refusal(plain)
    (plain / "adapter_config.json").unlink()
    assert "holds no prompt; expected a folder made by PEFT's save_pretrained" in refusal(plain)


def test_the_configuration_for_peft_says_nothing_of_this_machine():
    artifact = Artifact.from_bytes((TINY / "tasks/sentiment/adapter_model.safetensors").read_bytes())
    config = json.loads(config_of(artifact))
    assert PromptTuningConfig(**config).num_virtual_tokens == 8
    assert config["base_model_name_or_path"] == "tiny-llama"


def test_a_tokenizer_folder_is_what_peft_expects(tiny_folder, bundle):
    """`tune` reads its tokenizer as PEFT does; both must give the ids of the bundle's."""
    theirs = PreTrainedTokenizerFast.from_pretrained(tiny_folder)
    for text in TASKS["japanese"].texts:
        assert theirs(text, add_special_tokens=False)["input_ids"] == encode(bundle.tokenizer(), text)
