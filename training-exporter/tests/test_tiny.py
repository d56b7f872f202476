"""The tiny base and its tasks: PEFT's answers, which Python and Java are both held to."""

import filecmp
import json
from pathlib import Path

import make_tiny
import numpy as np
import pytest
import torch
from peft import PeftModel, PrefixTuningConfig, PromptTuningConfig
from safetensors import safe_open

from softcall.artifact.metadata import PromptType
from softcall.base.bundle import Bundle

TINY = make_tiny.DEFAULT_FOLDER
GOLDEN = json.loads((TINY / "golden.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """Everything made anew."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    make_tiny.main(folder)
    return folder


def test_making_it_again_gives_the_same_files(again):
    files = [file.relative_to(TINY) for file in TINY.rglob("*") if file.is_file()]
    computed = {Path("golden.json"), Path("base/base.json")}
    assert {file.relative_to(again) for file in again.rglob("*") if file.is_file()} == set(files)
    different = [str(file) for file in files if not filecmp.cmp(TINY / file, again / file, shallow=False)]
    assert set(map(Path, different)) <= computed, "answers may differ in their last digit between machines"


@pytest.mark.parametrize("task", GOLDEN["tasks"])
def test_peft_gives_the_same_answers_again(again, task):
    anew = json.loads((again / "golden.json").read_text("utf-8"))["tasks"][task]
    assert [row["ids"] for row in anew] == [row["ids"] for row in GOLDEN["tasks"][task]]
    for field in ("hidden", "logits", "probs"):
        for row, before in zip(anew, GOLDEN["tasks"][task], strict=True):
            np.testing.assert_allclose(row[field], before[field], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("task", GOLDEN["tasks"])
def test_the_trunk_gives_pefts_hidden_rows_in_one_batch_behind_a_prefix(task):
    bundle = Bundle.open(TINY / "base")
    trunk = bundle.trunk(threads=1)
    rows = GOLDEN["tasks"][task]
    with safe_open(TINY / "tasks" / task / "adapter_model.safetensors", "pt") as artifact:
        prompt = artifact.get_tensor("prompt_embeddings").float().numpy()
    is_kv = make_tiny.TASKS[task].prompt_type == PromptType.KV
    prefix = bundle.identity.kv.prefix(prompt) if is_kv else trunk.encode(prompt)
    ids = np.zeros((len(rows), max(len(row["ids"]) for row in rows)), np.int64)
    for line, row in zip(ids, rows, strict=True):
        line[: len(row["ids"])] = row["ids"]
    last = np.array([len(row["ids"]) - 1 for row in rows])
    expected = np.array([row["hidden"] for row in rows])
    np.testing.assert_allclose(trunk.hidden(ids, last, prefix=prefix), expected, atol=1e-5)


def test_the_base_row_has_no_prompt():
    row = GOLDEN["base"]
    hidden = (
        Bundle.open(TINY / "base")
        .trunk(threads=1)
        .hidden(np.array([row["ids"]]), np.array([len(row["ids"]) - 1]))
    )
    np.testing.assert_allclose(hidden[0], row["hidden"], atol=1e-5)


@pytest.mark.parametrize("task", GOLDEN["tasks"])
def test_answers_of_different_texts_are_far_apart(task):
    """A server that mixes rows up is found out."""
    logits = np.array([row["logits"] for row in GOLDEN["tasks"][task]])
    distances = np.abs(logits[:, None] - logits[None]).max(-1)[np.triu_indices(len(logits), 1)]
    assert distances.min() > 0.01


@pytest.mark.parametrize(("task", "prompt_type"), [("sentiment", PromptType.SOFT), ("kv", PromptType.KV)])
def test_peft_loads_an_artifact_with_the_configuration_that_it_belongs_to(tmp_path, task, prompt_type):
    artifact = TINY / "tasks" / task / "adapter_model.safetensors"
    (tmp_path / artifact.name).write_bytes(artifact.read_bytes())
    sizes = {"num_virtual_tokens": 8, "num_transformer_submodules": 1, "num_layers": 2}
    if prompt_type == PromptType.KV:
        config = PrefixTuningConfig(task_type="CAUSAL_LM", token_dim=32, num_attention_heads=2, **sizes)
    else:
        config = PromptTuningConfig(task_type="CAUSAL_LM", token_dim=64, num_attention_heads=4, **sizes)
    config.save_pretrained(tmp_path)
    base, row = make_tiny.tiny_base(), GOLDEN["tasks"][task][0]
    peft = PeftModel.from_pretrained(base.model, tmp_path)
    with torch.no_grad():
        hidden = peft(input_ids=torch.tensor([row["ids"]]), output_hidden_states=True).hidden_states[-1][
            0, -1
        ]
    np.testing.assert_allclose(hidden, row["hidden"], atol=1e-5)


def test_broken_artifacts_stay_small():
    sizes = [file.stat().st_size for file in (TINY / "broken").iterdir()]
    assert len(sizes) == 20
    assert sum(file.stat().st_size for file in TINY.rglob("*") if file.is_file()) < 1_300_000
