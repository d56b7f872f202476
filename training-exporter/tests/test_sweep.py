"""Sweeps: candidates learn side by side what each would learn alone, and the worse half is dropped."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from make_tiny import HIDDEN, TEXTS, tiny_base
from workshop import ENVIRONMENT, kill_at_checkpoint, train_in

from softcall.artifact.artifact import Artifact
from softcall.artifact.template import Template
from softcall.core.errors import SoftcallError
from softcall.evaluation.classifier import PromptedClassifier, label_logits, pad_right
from softcall.evaluation.prompt import SoftPrompt
from softcall.training.loop import fit
from softcall.training.loop.run import Run
from softcall.training.loop.step import STEP_TOKENS
from softcall.training.settings import sweep
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.prompt_init import PromptInit
from softcall.training.settings.sweep import Candidate, Standing, default_candidates, halvings

OWN = Candidate(0.01, PromptInit.TEXT, 20, 13)
BASE = tiny_base()
ROWS = [Template("{text}\nIntent:").encode(BASE.tokenizer, [text]) for text in TEXTS]


# What is tried


def test_the_default_candidates_begin_with_the_run_s_own_and_are_distinct():
    candidates = default_candidates(OWN, 8)
    assert candidates[0] == OWN and len(set(candidates)) == 8
    assert {candidate.seed for candidate in candidates} == {13}
    assert {candidate.init for candidate in candidates} == {"text", "labels", "vocab", "random"}
    assert default_candidates(OWN, 3) == candidates[:3]
    more = default_candidates(OWN, 20)
    assert more[:8] == candidates and len(set(more)) == 20 and more[8].seed == 14


def test_a_start_that_is_in_the_grid_is_tried_once():
    own = Candidate(0.01, PromptInit.VOCAB, 20, 13)
    assert len(set(default_candidates(own, 8))) == 8


def test_a_candidate_varies_what_it_names():
    assert OWN.varied("learning-rate=0.03, init=vocab") == Candidate(0.03, PromptInit.VOCAB, 20, 13)
    assert OWN.varied("tokens=8,seed=2") == Candidate(0.01, PromptInit.TEXT, 8, 2)
    for text in ("steps=3", "tokens", "tokens=8,tokens=16"):
        with pytest.raises(SoftcallError, match="expected NAME=VALUE, joined by commas, with each of"):
            OWN.varied(text)
    with pytest.raises(SoftcallError, match="--candidate 'init=zeros': init cannot be 'zeros'"):
        OWN.varied("init=zeros")


def test_half_go_on_until_one_is_left_and_the_cost_is_bounded():
    assert halvings(8, 1000) == {100: 4, 200: 2, 400: 1}
    assert halvings(5, 1000) == {100: 3, 200: 2, 400: 1}
    assert halvings(1, 1000) == {}
    assert halvings(8, 3) == {1: 1}
    for count in (2, 3, 8, 16):
        kept = halvings(count, 10_000)
        going, rows = count, 0
        for step in range(1, 10_001):
            rows += going
            going = kept.get(step, going)
        assert going == 1
        assert rows / 10_000 <= 1 + 0.4 * np.ceil(np.log2(count)) + 1e-9
    assert rows / 10_000 == pytest.approx(2.6)


def test_the_best_are_those_of_highest_accuracy_then_lowest_loss_then_first():
    assert sweep.ranking([(0.5, 1.0), (0.7, 2.0), (0.7, 1.0), (0.7, 1.0)]) == [2, 3, 1, 0]
    assert sweep.ranking([(0.5, 1.0), (0.5, 1.0)]) == [0, 1]


def test_those_that_have_begun_to_learn_go_on_by_accuracy_and_the_others_by_loss():
    def going(count, *standings, rows=400):
        return sweep.going_on([Standing(*each) for each in standings], 0.6, rows, count)

    begun = [(0.7, 0.5, 0.5), (0.9, 0.4, 0.4), (0.8, 0.3, 0.3), (0.8, 0.2, 0.2)]
    assert going(2, *begun) == [1, 3]
    assert going(3, *begun) == [1, 2, 3]
    waiting = [(0.61, 0.9, 0.69), (0.55, 0.9, 0.52), (0.64, 0.9, 0.68)]
    assert going(1, *waiting) == [1]
    assert going(2, *waiting) == [0, 1]  # losses of 0.69 and 0.68 are equal
    assert going(2, *waiting, (0.66, 0.9, 0.7)) == [1, 3]
    assert going(1, *waiting, (0.66, 0.9, 0.7), rows=100) == [1]  # 0.66 of so few rows says nothing


def test_unlike_candidates_are_refused_by_name(tmp_path):
    def config(**options):
        return TrainConfig(data=tmp_path / "a.jsonl", out=tmp_path / "a.safetensors", **options)

    for options, message in (
        ({"sweep": 65}, "--sweep 65: accepted are 1 to 64"),
        ({"sweep": 2, "candidates": (OWN,)}, "--sweep and --candidate exclude each other"),
        ({"candidates": (OWN, OWN)}, "two candidates have the same settings"),
        ({"candidates": (OWN.varied("tokens=9"),)}, "--tokens 9: 8, 16, 20 and 32 are accepted"),
        ({"candidates": (OWN.varied("learning-rate=11"),)}, "--learning-rate 11"),
        ({"init_from": "a.safetensors"}, "--init artifact and --init-from"),
    ):
        with pytest.raises(SoftcallError) as refusal:
            config(**options)
        assert message in str(refusal.value)


# One run of the base


def classifiers():
    random = np.random.default_rng(6)
    return [
        PromptedClassifier(
            SoftPrompt(random.standard_normal((tokens, HIDDEN))),
            random.standard_normal((3, HIDDEN)),
            random.standard_normal(3),
            train_head=True,
        )
        for tokens in (8, 3, 20)
    ]


def test_prompts_of_any_length_in_one_run_equal_each_alone_in_logits_and_gradients():
    cpu = torch.device("cpu")
    batches = [pad_right(part, cpu) for part in (ROWS[:4], ROWS[2:5], ROWS[5:6])]
    together, alone = classifiers(), classifiers()
    logits = label_logits(BASE.model.base_model, together, batches)
    sum(part.logsumexp(dim=1).sum() for part in logits).backward()
    for mine, single, batch, scored in zip(together, alone, batches, logits, strict=True):
        expected = single(BASE.model.base_model, *batch)
        torch.testing.assert_close(scored, expected, atol=3e-5, rtol=0)
        expected.logsumexp(dim=1).sum().backward()
        for learnt, expected in zip(mine.parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(learnt.grad, expected.grad, atol=1e-4, rtol=1e-4)


# Whole runs


@pytest.fixture
def workshop(tmp_path, tiny_folder, toy_rows):
    """Train in a folder of its own with the toy rows; gives (artifact, what was told)."""
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))

    def run(name, **options):
        options = {"steps": 40, "batch_size": 16, "eval_every": 20, "tokens": 8} | options
        return train_in(tmp_path, tiny_folder, data, name, width=120, **options)

    return run


def test_the_winner_learns_what_a_run_of_its_settings_alone_learns(workshop):
    candidates = tuple(
        Candidate(0.05, PromptInit.TEXT, 8, 13).varied(text)
        for text in ("learning-rate=0.00001", "tokens=16,seed=3", "init=vocab,learning-rate=0.0001")
    )
    swept, told = workshop("swept", candidates=candidates)
    alone, _ = workshop("alone", learning_rate=0.05, tokens=16, seed=3)
    assert (swept.training["learning_rate"], swept.training["tokens"], swept.training["seed"]) == (
        0.05,
        16,
        3,
    )
    np.testing.assert_allclose(swept.prompt, alone.prompt, atol=2e-3)
    np.testing.assert_allclose(swept.label_head, alone.label_head, atol=2e-3)
    assert swept.metrics["dev_accuracy"] == alone.metrics["dev_accuracy"]

    tried = swept.training["candidates"]
    assert [each["steps"] for each in tried if each["dropped"]] == [8, 16] or [
        each["steps"] for each in tried if each["dropped"]
    ] == [16, 8]
    assert "3 candidates, soft prompts; 2 soft after step 8, 1 soft after step 16" in told
    (row,) = (line for line in told.splitlines() if "won" in line)
    assert "0.05" in row and "text" in row and " 16 " in row
    assert told.count("behind others") == 2


def test_candidates_beyond_the_tokens_of_a_step_run_one_after_the_other(workshop, tmp_path, monkeypatch):
    together, _ = workshop("together", sweep=4, learning_rate=0.05)
    monkeypatch.setitem(STEP_TOKENS, "cpu", 1)
    apart, _ = workshop("apart", sweep=4, learning_rate=0.05)
    np.testing.assert_allclose(together.prompt, apart.prompt, atol=2e-3)


def test_a_candidate_that_diverges_is_dropped_and_the_others_go_on(workshop, monkeypatch):
    take_step = fit.take_step

    def diverging(run, learners, rows, share):
        measured = take_step(run, learners, rows, share)
        return {
            learner: (float("nan"), norm) if learner.candidate.learning_rate == 0.9 else (loss, norm)
            for learner, (loss, norm) in measured.items()
        }

    monkeypatch.setattr(fit, "take_step", diverging)
    own = Candidate(0.05, PromptInit.TEXT, 8, 13)
    artifact, told = workshop("a", candidates=(own.varied("learning-rate=0.9"), own))
    assert artifact.training["learning_rate"] == 0.05
    assert artifact.training["candidates"][0]["dropped"] == "loss or gradient not finite"
    assert "loss or gradient not finite" in told


def test_the_artifact_is_calibrated_on_dev(workshop):
    artifact, told = workshop("a", steps=12, learning_rate=0.05, abstain_threshold="auto")
    assert artifact.metrics["dev_accuracy"] < 1 and artifact.temperature != 1
    assert f"temperature {artifact.temperature:.3f}, fitted on dev" in told
    before, after = (artifact.metrics[f"dev_calibration_error{end}"] for end in ("_before", ""))
    assert f"expected calibration error {before:.4f} before, {after:.4f} after" in told
    fixed, _ = workshop("b", steps=12, learning_rate=0.05, abstain_threshold=0.7)
    assert fixed.abstain_threshold == 0.7


def command(folder, tiny_folder, name):
    options = {"steps": 120, "eval-every": 5, "batch-size": 8, "tokens": 8, "patience": 0, "sweep": 4}
    options |= {"device": "cpu", "base": tiny_folder, "run-dir": folder / name}
    options |= {"out": folder / f"{name}.safetensors"}
    flags = [text for option, value in options.items() for text in (f"--{option}", str(value))]
    return [sys.executable, "-m", "softcall", "train", str(folder / "train.jsonl"), *flags]


def test_a_killed_sweep_goes_on_and_ends_with_the_same_file(tmp_path, tiny_folder, toy_rows):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in toy_rows))
    cut = command(tmp_path, tiny_folder, "cut")
    kill_at_checkpoint(cut, tmp_path / "cut")

    resumed = subprocess.run(cut, env=ENVIRONMENT, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert 5 <= int(resumed.stderr.split("going on from step ")[1].split(",")[0]) < 120
    whole = command(tmp_path, tiny_folder, "whole")
    assert subprocess.run(whole, env=ENVIRONMENT, capture_output=True).returncode == 0
    first, second = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("cut", "whole"))
    assert first == second


# Another task's prompt


def test_a_prompt_starts_from_another_task_s(workshop, tmp_path):
    source, _ = workshop("source")
    path = tmp_path / "source.safetensors"
    artifact, told = workshop("a", init=PromptInit.ARTIFACT, init_from=str(path), learning_rate=1e-8)
    np.testing.assert_allclose(artifact.prompt, source.prompt, atol=1e-4)
    assert artifact.training["init_from"] == str(path) and f"8 tokens from artifact {path}" in told
    task = tmp_path / "store/acme/source/adapter_model.safetensors"
    task.parent.mkdir(parents=True)
    task.write_bytes(path.read_bytes())
    stored, _ = workshop(
        "b", init="artifact", init_from="acme/source", store=f"file:{tmp_path}/store", learning_rate=1e-8
    )
    np.testing.assert_array_equal(stored.prompt, artifact.prompt)
    assert Artifact.from_bytes(path.read_bytes()).tokens == 8

    for options, message in (
        ({"tokens": 16, "init_from": str(path)}, "its prompt has 8 tokens, not 16; give --tokens 8"),
        (
            {"init_from": "nowhere"},
            "--init-from nowhere: no such file; an artifact is expected",
        ),
    ):
        with pytest.raises(SoftcallError) as refusal:
            workshop("c", init="artifact", **options)
        assert message in str(refusal.value)


# Few rows, unequal classes


def test_few_rows_get_small_batches_and_a_larger_dev(workshop):
    def picked(rows):
        config = TrainConfig(data="a.jsonl", out=Path("a.safetensors")).settled(rows)
        return config.batch_size, config.steps, config.eval_every

    assert picked(32) == (8, 400, 40)
    assert picked(1_232) == (16, 800, 80)
    assert picked(10_003) == (32, 1_000, 100)


def test_balanced_classes_weigh_the_same_as_scikit_learn_s(workshop):
    from sklearn.utils.class_weight import compute_class_weight

    answers = np.array([0] * 90 + [1] * 9 + [2])
    config = TrainConfig(data="a", out=Path("a.safetensors"), class_balanced=True)
    examples = type("Examples", (), {"answers": answers})
    run = Run(config, None, BASE.model, examples, examples, ("a", "b", "c"), None, {}, None)
    expected = compute_class_weight("balanced", classes=np.arange(3), y=answers)
    np.testing.assert_allclose(run.class_weights.numpy(), expected, rtol=1e-6)
