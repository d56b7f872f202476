"""Training KV prompts: they learn, survive a kill, compete with soft ones, and are scored as stored."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner
from workshop import ENVIRONMENT, kill_at_checkpoint, train_in

from softcall.artifact.artifact import Artifact
from softcall.artifact.metadata import PromptType
from softcall.base.source import Source
from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.evaluation.local import evaluate_artifact
from softcall.evaluation.prompt import KvPrompt
from softcall.training.inputs.prompt_dropout import kept_numbers
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.prompt_init import PromptInit
from softcall.training.settings.sweep import LEARNING_RATES, Candidate, halvings_by_type

OWN = Candidate(None, PromptInit.TEXT, 8, 13, PromptType.KV)


@pytest.fixture
def workshop(tmp_path, tiny_folder, toy_rows):
    """Train on the toy rows in a folder of its own; gives (artifact, what was told)."""
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))

    def run(name="a", **options):
        options = {"steps": 40, "batch_size": 16, "eval_every": 20, "tokens": 8, "prompt": "kv"} | options
        return train_in(tmp_path, tiny_folder, data, name, **options)

    return run


@pytest.mark.parametrize("head", ["trained", "verbalizer"])
def test_a_separable_task_is_learnt(workshop, head):
    artifact, told = workshop(steps=300, eval_every=50, head=head, learning_rate=0.1, dev_fraction=0.1)
    assert artifact.metrics["dev_accuracy"] >= 0.95
    assert "prompt    kv, 8 tokens from text" in told


def test_the_artifact_holds_what_was_scored(workshop, tmp_path, tiny_folder):
    """float16, with provenance; `softcall eval` finds the accuracy that training recorded."""
    artifact, _ = workshop(learning_rate=0.05)
    out = tmp_path / "a.safetensors"
    stored = Artifact.from_bytes(out.read_bytes())
    assert (stored.prompt_type, stored.prompt.dtype) == (PromptType.KV, np.float16)
    assert stored.prompt.shape == (8, 2 * 2 * 2 * 16)
    assert np.array_equal(stored.prompt, artifact.prompt)
    made = stored.training
    assert (made["prompt"], made["learning_rate"], made["tokens"], made["init"]) == ("kv", 0.05, 8, "text")
    assert made["weight_decay"] == 0.01 and "prompt_dropout" not in made

    test = tmp_path / "test.jsonl"
    test.write_bytes((tmp_path / "train.jsonl").read_bytes())
    again, _ = workshop(learning_rate=0.05, test=test)
    result = evaluate_artifact(out, test, base=str(tiny_folder), device="cpu", max_text_tokens=None)
    assert result.scores.accuracy == again.metrics["test_accuracy"]
    assert result.scores.calibration_error == pytest.approx(again.metrics["test_calibration_error"], abs=1e-9)
    shown = CliRunner().invoke(app, ["eval", str(out), str(test), "--base", str(tiny_folder), "--json"])
    assert json.loads(shown.stdout)["accuracy"] == again.metrics["test_accuracy"]


def test_scores_are_those_of_the_rounded_prompt(workshop, monkeypatch):
    scored = []
    stored = KvPrompt.stored
    monkeypatch.setattr(KvPrompt, "stored", lambda prompt: scored.append(stored(prompt)) or scored[-1])
    artifact, _ = workshop(calibration_folds=2)
    assert len(scored) == 3  # of two folds, and of the run
    assert np.array_equal(scored[-1].array(), artifact.prompt)


def test_a_prompt_that_float16_cannot_hold_is_refused(workshop, tmp_path):
    source, _ = workshop("source", steps=2)
    path = tmp_path / "large.safetensors"
    path.write_bytes(replace(source, prompt=np.sign(source.prompt) * 6e4).to_bytes())
    with pytest.raises(SoftcallError, match=r"of layer \d reach .*ends at 65,504\. Try a lower --learning-r"):
        workshop(init="artifact", init_from=str(path), learning_rate=0.1)
    assert not (tmp_path / "a.safetensors").exists()


def test_weight_decay_pulls_to_the_start(workshop, tiny_folder):
    near, far = (
        workshop(f"decay-{decay}", weight_decay=decay, learning_rate=0.05, steps=100)[0].prompt
        for decay in (10, 0)
    )
    start, _ = workshop("start", learning_rate=1e-8)
    distance = [np.abs(each.astype(np.float64) - start.prompt).mean() for each in (near, far)]
    assert distance[0] < 0.5 * distance[1]


def test_the_rate_follows_from_the_type_where_none_is_given(tmp_path):
    def config(**options):
        return TrainConfig(data=tmp_path / "a.jsonl", out=tmp_path / "a.safetensors", **options)

    assert [config(prompt=prompt).learning_rate for prompt in ("soft", "kv", "auto")] == [0.005, 0.01, None]
    assert config(prompt="kv", learning_rate=0.5).learning_rate == 0.5
    assert [each.learning_rate for each in config(prompt="auto").tried] == [0.005, 0.01]
    assert [each.learning_rate for each in config(prompt="auto", learning_rate=0.5).tried] == [0.5, 0.5]
    assert [each.learning_rate for each in config(prompt="kv", sweep=3).tried] == pytest.approx(
        [0.01, 0.03, 0.01 / 3]
    )
    candidates = tuple(OWN.varied(text) for text in ("prompt=soft", "seed=1", "learning-rate=1"))
    assert [each.learning_rate for each in config(candidates=candidates, tokens=8).tried] == [0.005, 0.01, 1]


def test_what_soft_prompts_are_identified_by_has_not_changed(tmp_path):
    """So their checkpoints and records from before there were KV prompts go on."""

    def identity(**options):
        config = TrainConfig(data=tmp_path / "a.jsonl", out=tmp_path / "a.safetensors", **options)
        return config.settled(1_000).identity()

    assert set(identity()) == {
        "tokens", "init", "init_text", "head", "steps", "batch_size", "learning_rate", "head_learning_rate",
        "weight_decay", "clip_norm", "label_smoothing", "token_dropout", "class_balanced", "max_text_tokens",
        "eval_every", "patience", "seed", "dtype", "warmup",
    }  # fmt: skip
    assert set(identity(sweep=2)["candidates"][0]) == {"learning_rate", "init", "tokens", "seed"}
    kv = identity(prompt="kv", prompt_dropout=0.1)
    assert (kv["prompt"], kv["prompt_dropout"], kv["learning_rate"]) == ("kv", 0.1, 0.01)
    assert {each.get("prompt") for each in identity(prompt="auto")["candidates"]} == {None, "kv"}


def test_auto_learns_both_to_the_end_and_dev_picks(workshop):
    artifact, told = workshop("auto", prompt="auto", learning_rate=0.05, steps=60)
    tried = artifact.training["candidates"]
    assert [each["prompt"] for each in tried] == ["soft", "kv"]
    assert [each["steps"] for each in tried] == [60, 60] and not any(each["dropped"] for each in tried)
    assert "2 candidates, soft and kv prompts; all learn to the end" in told
    won = max(tried, key=lambda each: each["dev_accuracy"])
    assert artifact.metrics["dev_accuracy"] == pytest.approx(won["dev_accuracy"], abs=0.02)
    assert artifact.training["prompt"] == artifact.prompt_type.value
    (row,) = (line for line in told.splitlines() if "won" in line)
    assert artifact.prompt_type.value in row
    alone = [workshop(each, prompt=each, learning_rate=0.05, steps=60)[0] for each in ("soft", "kv")]
    picked = alone[["soft", "kv"].index(artifact.prompt_type.value)]
    np.testing.assert_allclose(artifact.prompt, picked.prompt, atol=2e-3)


def test_each_type_is_halved_by_itself():
    soft, kv = OWN.varied("prompt=soft"), OWN
    eight = [soft] * 4 + [kv] * 3
    assert halvings_by_type(eight, 1000) == {200: {"soft": 2, "kv": 2}, 400: {"soft": 1, "kv": 1}}
    assert halvings_by_type([soft, kv], 1000) == {}
    assert halvings_by_type([kv] * 2, 1000) == {400: {"kv": 1}}


def test_a_sweep_of_both_types_gives_what_the_winner_learns_alone(workshop):
    """Lengths and types differ, so the candidates of a step share the base in several runs."""
    given = ("learning-rate=0.05", "learning-rate=0.0001", "tokens=16,learning-rate=0.0001", "prompt=soft")
    candidates = tuple(OWN.varied(text) for text in given)
    swept, told = workshop("swept", candidates=candidates, prompt="soft", steps=60)
    alone, _ = workshop("alone", learning_rate=0.05, steps=60)
    assert swept.prompt_type == PromptType.KV and swept.training["learning_rate"] == 0.05
    np.testing.assert_allclose(swept.prompt, alone.prompt, atol=1e-2)
    assert "the best 1 of 2 kv prompts go on" in told and "soft prompts go on" not in told
    dropped = {(each["prompt"], each["tokens"]): each["dropped"] for each in swept.training["candidates"]}
    assert dropped["soft", 8] == "" and dropped["kv", 16] == "behind others"


def test_prompt_dropout_is_a_function_of_seed_and_step():
    kept = kept_numbers((4, 1000), 0.2, 13, 7)
    assert torch.equal(kept, kept_numbers((4, 1000), 0.2, 13, 7))
    assert not torch.equal(kept, kept_numbers((4, 1000), 0.2, 13, 8))
    assert sorted(set(kept.flatten().tolist())) == pytest.approx([0, 1.25])
    assert kept.mean().item() == pytest.approx(1, abs=0.05)
    assert kept_numbers((4, 1000), 0.0, 13, 7) is None


def test_dropped_numbers_are_those_of_the_start_and_get_no_gradient(tiny_folder):
    trunk = Source.resolve(tiny_folder).load().model.base_model
    prompt = KvPrompt.encoded(np.random.default_rng(4).standard_normal((8, 64)), trunk)
    with torch.no_grad():
        prompt.learnt.fill_(1.0)
    kept = kept_numbers(prompt.learnt.shape, 0.5, 13, 0)
    halves = prompt.in_front_of(torch.zeros(1, 1, 64), kept).past[:, 0]
    dropped = kept == 0
    assert torch.equal(halves[dropped], prompt.start[dropped])
    expected = prompt.start + 2 * prompt.scale
    torch.testing.assert_close(halves[~dropped], expected[~dropped])
    halves.sum().backward()
    assert not prompt.learnt.grad[dropped].any() and prompt.learnt.grad[~dropped].all()


@pytest.mark.parametrize("prompt", ["soft", "kv"])
def test_prompt_dropout_changes_steps_and_not_scores(workshop, prompt):
    plain, _ = workshop("plain", prompt=prompt, learning_rate=0.05)
    dropped, _ = workshop("dropped", prompt=prompt, learning_rate=0.05, prompt_dropout=0.3)
    again, _ = workshop("again", prompt=prompt, learning_rate=0.05, prompt_dropout=0.3)
    assert not np.array_equal(plain.prompt, dropped.prompt)
    assert np.array_equal(dropped.prompt, again.prompt) and dropped.metrics == again.metrics
    assert dropped.training["prompt_dropout"] == 0.3


def test_activations_that_are_computed_anew_change_memory_and_nothing_else(workshop):
    kept, anew = (
        workshop(str(checkpointing), gradient_checkpointing=checkpointing, prompt_dropout=0.1)[0]
        for checkpointing in (False, True)
    )
    np.testing.assert_allclose(anew.prompt, kept.prompt, atol=1e-2)
    assert anew.metrics["dev_loss"] == pytest.approx(kept.metrics["dev_loss"], rel=1e-2)


def test_steps_in_bfloat16_learn_too(workshop):
    artifact, _ = workshop(steps=100, learning_rate=0.05, dtype="bfloat16")
    assert artifact.metrics["dev_accuracy"] >= 0.9


def test_a_kv_prompt_starts_from_a_task_of_either_type(workshop, tmp_path, tiny_folder):
    kv, _ = workshop("kv", learning_rate=0.05)
    again, _ = workshop(
        "again", init="artifact", init_from=str(tmp_path / "kv.safetensors"), learning_rate=1e-8
    )
    np.testing.assert_allclose(again.prompt, kv.prompt, atol=1e-3)

    soft, _ = workshop("soft", prompt="soft")
    given = {"init": "artifact", "init_from": str(tmp_path / "soft.safetensors")}
    encoded, _ = workshop("encoded", **given, learning_rate=1e-8)
    expected = KvPrompt.encoded(soft.prompt, Source.resolve(tiny_folder).load().model.base_model).array()
    np.testing.assert_allclose(encoded.prompt, expected, atol=2e-3)

    from_kv = {"init": "artifact", "init_from": str(tmp_path / "kv.safetensors")}
    for options, message in (
        ({"prompt": "soft"}, "it is a KV prompt, from which no soft prompt can start; give --prompt kv"),
        ({"prompt": "auto"}, "it is a KV prompt, from which no soft prompt can start"),
        ({"tokens": 16}, "its prompt has 8 tokens, not 16; give --tokens 8"),
    ):
        with pytest.raises(SoftcallError) as refusal:
            workshop("refused", **from_kv | options)
        assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "prefix"}, "--prompt 'prefix': accepted are soft, kv, auto"),
        ({"prompt_dropout": 1}, "--prompt-dropout 1: accepted are 0 to 0.9"),
        ({"weight_decay": -1}, "--weight-decay -1: accepted are 0 to 10"),
        ({"prompt": "auto", "candidates": (OWN,)}, "--prompt auto and --candidate exclude each other"),
        ({"max_text_tokens": 1020}, "together more than the 1024 positions of tiny-llama"),
    ],
)
def test_options_that_cannot_work_are_refused_by_name(workshop, options, message):
    with pytest.raises(SoftcallError) as refusal:
        workshop(**options)
    assert message in str(refusal.value)
    with pytest.raises(SoftcallError, match="prompt cannot be 'auto'"):
        OWN.varied("prompt=auto")


def test_a_killed_run_goes_on_and_ends_with_the_same_file(tmp_path, tiny_folder, toy_rows):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in toy_rows))

    def command(name):
        options = {"steps": 200, "eval-every": 10, "batch-size": 8, "tokens": 8, "patience": 0, "sweep": 3}
        options |= {"prompt": "auto", "prompt-dropout": 0.1, "device": "cpu", "base": tiny_folder}
        options |= {"out": tmp_path / f"{name}.safetensors", "run-dir": tmp_path / name}
        flags = [text for option, value in options.items() for text in (f"--{option}", str(value))]
        return [sys.executable, "-m", "softcall", "train", str(tmp_path / "train.jsonl"), *flags]

    kill_at_checkpoint(command("cut"), tmp_path / "cut")

    resumed = subprocess.run(command("cut"), env=ENVIRONMENT, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    assert 10 <= int(resumed.stderr.split("going on from step ")[1].split(",")[0]) < 200
    assert subprocess.run(command("whole"), env=ENVIRONMENT, capture_output=True).returncode == 0
    first, second = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("cut", "whole"))
    assert first == second


def test_defaults_are_told_in_the_help():
    shown = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    for prompt, rate in LEARNING_RATES.items():
        assert f"{rate} for {prompt} prompts" in shown
