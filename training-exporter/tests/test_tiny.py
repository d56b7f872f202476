"""The tiny base and its tasks: PEFT's answers, which Python and Java are both held to."""

import filecmp
import json
from pathlib import Path

import make_tiny
import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_writers import MAX_NEW_TOKENS, WRITERS, peft_model

from softcall.artifact.artifact import Artifact, GenerationArtifact
from softcall.artifact.metadata import PromptType
from softcall.base.bundle import Bundle

TINY = make_tiny.DEFAULT_FOLDER
GOLDEN = json.loads((TINY / "golden.json").read_text("utf-8"))
WRITTEN = json.loads((TINY / "generation.json").read_text("utf-8"))["tasks"]
TIE = 1e-3
END = 2


@pytest.fixture(scope="module")
def again(tmp_path_factory) -> Path:
    """Everything made anew."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    make_tiny.main(folder)
    return folder


def test_making_it_again_gives_the_same_files(again):
    files = [file.relative_to(TINY) for file in TINY.rglob("*") if file.is_file()]
    computed = {Path("golden.json"), Path("generation.json"), Path("base/base.json")}
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
def test_peft_loads_an_artifact_with_the_configuration_that_it_belongs_to(task, prompt_type):
    artifact = TINY / "tasks" / task / "adapter_model.safetensors"
    row = GOLDEN["tasks"][task][0]
    peft = peft_model(make_tiny.tiny_base(), artifact, prompt_type, tokens=8)
    with torch.no_grad():
        hidden = peft(input_ids=torch.tensor([row["ids"]]), output_hidden_states=True).hidden_states[-1][
            0, -1
        ]
    np.testing.assert_allclose(hidden, row["hidden"], atol=1e-5)


@pytest.mark.parametrize("task", WRITERS)
def test_peft_writes_the_same_again(again, task):
    anew = json.loads((again / "generation.json").read_text("utf-8"))["tasks"][task]
    for row, before in zip(anew, WRITTEN[task], strict=True):
        assert (row.get("text"), row.get("messages")) == (before.get("text"), before.get("messages"))
        assert (row["ids"], row["tokens"], row["decoded"]) == (
            before["ids"],
            before["tokens"],
            before["decoded"],
        )
        for field in ("logprobs", "gaps"):
            np.testing.assert_allclose(row[field], before[field], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("task", WRITERS)
def test_the_exported_graphs_write_what_peft_writes(task):
    """Greedily, all rows at once, until one of them ends."""
    bundle = Bundle.open(TINY / "base")
    trunk, decoder, head = bundle.trunk(threads=1), bundle.decoder(threads=1), bundle.lm_head(threads=1)
    artifact = Artifact.from_bytes((TINY / "tasks" / task / "adapter_model.safetensors").read_bytes())
    prefix, rows = artifact.prefix(bundle, threads=1), WRITTEN[task]
    pasts = [trunk.read(row["ids"][:-1], prefix) for row in rows]
    lengths = np.array([past[0].shape[2] for past in pasts])
    cache = decoder.cache(pasts, lengths.max() + MAX_NEW_TOKENS)
    before = [row["ids"][-1] for row in rows]
    for step in range(min(len(row["tokens"]) for row in rows)):
        logits = head.logits(decoder.hidden(before, lengths + step, cache))
        logprobs = torch.from_numpy(logits).log_softmax(-1).numpy()
        before = [row["tokens"][step] for row in rows]
        assert logits.argmax(1).tolist() == before
        expected = [row["logprobs"][step] for row in rows]
        np.testing.assert_allclose(logprobs[np.arange(len(rows)), before], expected, atol=1e-4)


def test_written_tokens_vary_and_some_texts_end():
    """A server that mixes rows up, or repeats a token, is found out."""
    rows = [row for task in WRITTEN.values() for row in task]
    assert len({tuple(row["tokens"]) for row in rows}) == len(rows)
    assert all(len(set(row["tokens"])) >= 3 for row in rows)
    assert min(gap for row in rows for gap in row["gaps"]) > TIE
    assert sum(row["tokens"][-1] == END for row in rows) == 3
    assert all((len(row["tokens"]) == MAX_NEW_TOKENS) != (row["tokens"][-1] == END) for row in rows)


def test_writers_are_artifacts_of_their_kind():
    artifacts = {
        task: Artifact.from_bytes((TINY / "tasks" / task / "adapter_model.safetensors").read_bytes())
        for task in WRITERS
    }
    assert all(isinstance(artifact, GenerationArtifact) for artifact in artifacts.values())
    assert [artifact.generation.is_chat for artifact in artifacts.values()] == [False, False, True]
    writer = artifacts["writer"].generation
    assert [any(stop in row["decoded"] for row in WRITTEN["writer"]) for stop in writer.stop] == [True, True]


def test_broken_artifacts_stay_small():
    sizes = [file.stat().st_size for file in (TINY / "broken").iterdir()]
    assert len(sizes) == 20
    assert sum(file.stat().st_size for file in TINY.rglob("*") if file.is_file()) < 1_300_000
