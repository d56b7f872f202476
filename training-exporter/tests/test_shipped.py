"""The shipped tasks: artifacts that a server takes, folders that PEFT loads, and PEFT's own answers."""

import gzip
import json

import numpy as np
import pytest
import torch
from make_shipped_golden import FOLDER, LIMIT, ROOT, TEST_SETS, peft_logits, peft_model, shipped
from peft import PeftModel, PromptTuningConfig

from softcall.base.source import LoadedBase, Source

TASKS = sorted(TEST_SETS)
CHECKED = 15  # rows of each task; all of them take minutes


@pytest.fixture(scope="module")
def default_base() -> LoadedBase:
    torch.set_num_threads(1)
    return Source.resolve(None).load()


def golden(task: str) -> dict:
    return json.loads(gzip.decompress((FOLDER / f"{task}.json.gz").read_bytes()))


def test_every_shipped_task_has_golden_values():
    assert sorted(folder.name for folder in (ROOT / "tasks").iterdir()) == TASKS
    assert sorted(file.name for file in FOLDER.iterdir()) == [f"{task}.json.gz" for task in TASKS]


def test_shipped_tasks_are_small():
    assert sum(file.stat().st_size for file in (ROOT / "tasks").rglob("*") if file.is_file()) < 1_000_000


@pytest.mark.parametrize("task", TASKS)
def test_golden_rows_fit_their_task(task):
    artifact, rows = shipped(task), golden(task)["rows"]
    assert golden(task)["labels"] == list(artifact.labels)
    assert len({row["index"] for row in rows}) == len(rows) == 300
    assert all(0 < len(row["ids"]) <= LIMIT for row in rows)
    assert all(row["label"] in artifact.labels for row in rows)
    assert all(len(row["logits"]) == len(artifact.labels) for row in rows)


@pytest.mark.parametrize("task", TASKS)
def test_peft_is_as_accurate_as_the_artifact_says(task):
    artifact, rows = shipped(task), golden(task)["rows"]
    right = [artifact.labels[int(np.argmax(row["logits"]))] == row["label"] for row in rows]
    accuracy = artifact.metrics["test_accuracy"]
    assert np.mean(right) == pytest.approx(accuracy, abs=3 * (accuracy * (1 - accuracy) / len(rows)) ** 0.5)


@pytest.mark.real_base
@pytest.mark.parametrize("task", TASKS)
def test_shipped_tasks_belong_to_the_default_base(default_base, task):
    artifact = shipped(task)
    assert (artifact.base_name, artifact.base_fingerprint) == (default_base.name, default_base.fingerprint)


@pytest.mark.real_base
@pytest.mark.parametrize("task", TASKS)
def test_peft_loads_the_folder_of_a_shipped_task(default_base, task):
    model = PeftModel.from_pretrained(default_base.model, ROOT / "tasks" / task)
    assert isinstance(model.peft_config["default"], PromptTuningConfig)
    prompt = model.prompt_encoder["default"].embedding.weight.detach().numpy()
    np.testing.assert_array_equal(prompt, shipped(task).prompt)


@pytest.mark.real_base
@pytest.mark.parametrize("task", TASKS)
def test_peft_gives_the_golden_logits(default_base, task):
    artifact = shipped(task)
    model = peft_model(default_base, artifact)
    for row in golden(task)["rows"][:CHECKED]:
        ids = artifact.template.encode(default_base.tokenizer, [row["text"]], LIMIT, truncate=True)
        assert ids == row["ids"]
        np.testing.assert_allclose(peft_logits(model, artifact, ids), row["logits"], rtol=1e-4, atol=1e-3)
