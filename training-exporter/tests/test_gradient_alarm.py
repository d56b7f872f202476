"""Alarms: gradients that vanish end a run with its best prompt, gradients that explode stop it."""

import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console

from softcall.core.errors import SoftcallError
from softcall.training.loop import checkpoint, fit
from softcall.training.loop.gradient_alarm import (
    EXPLODING_STEPS,
    VANISHING_NORM,
    WINDOW,
    exploding_steps,
    vanished,
    window,
)
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.sweep import LEARNING_RATES
from softcall.training.train import train

USUAL = [0.9, 1.0, 1.1] * 10


def test_a_window_forgets():
    norms: list[float] = []
    for norm in range(2 * WINDOW):
        norms = window(norms, norm)
    assert norms == list(range(WINDOW, 2 * WINDOW))


def test_gradients_vanish_when_all_of_a_window_are_small():
    small = [VANISHING_NORM / 2] * WINDOW
    assert vanished(small)
    assert not vanished(small[1:])
    assert not vanished([*small[1:], 2 * VANISHING_NORM])


def test_gradients_explode_far_above_the_median_and_what_they_are_clipped_to():
    assert exploding_steps(USUAL, clip_norm=1.0) == 0
    assert exploding_steps([*USUAL, 99.0], clip_norm=1.0) == 0
    assert exploding_steps([*USUAL, 200.0], clip_norm=1.0) == 1
    assert exploding_steps([*USUAL, 200.0, 1.0, 300.0, 300.0], clip_norm=1.0) == 2
    assert exploding_steps([*USUAL, 200.0], clip_norm=100.0) == 0
    assert exploding_steps([1e-5] * 30 + [5.0], clip_norm=1.0) == 0  # nearly learnt, and one hard batch
    assert exploding_steps([200.0], clip_norm=1.0) == 0  # nothing to compare with


@pytest.fixture
def workshop(tmp_path, tiny_folder, toy_rows, monkeypatch):
    """Train on the toy rows, where `norms(step, norm)` stands in for the norms of the gradients."""
    data = tmp_path / "train.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))
    take_step = fit.take_step

    def run(norms, name="a", told=None, **options):
        steps = iter(range(1, 1_000))

        def altered(*arguments):
            step = next(steps)
            measured = take_step(*arguments).items()
            return {learner: (loss, norms(step, norm)) for learner, (loss, norm) in measured}

        monkeypatch.setattr(fit, "take_step", altered)
        options = {"steps": 100, "eval_every": 40, "batch_size": 4, "tokens": 8, "patience": 0} | options
        config = TrainConfig(
            data=data,
            out=tmp_path / f"{name}.safetensors",
            base=str(tiny_folder),
            run_dir=tmp_path / f"{name}.run",
            **options,
        )
        told = told or io.StringIO()
        return train(config, Console(file=told, width=200)), told.getvalue()

    return run


def test_a_run_whose_gradients_vanish_ends_early_with_its_best_prompt(workshop):
    def norms(step, norm):
        return norm if step <= 10 else 1e-8

    artifact, told = workshop(norms)
    assert artifact.training["last_step"] == 10 + WINDOW
    assert "stopped early: gradients have vanished, to a norm of 1e-08 over the last 50 steps" in told
    again, told = workshop(norms)  # which has nothing left to do
    assert "going on from step 60" in told and "gradients have vanished" in told
    np.testing.assert_array_equal(again.prompt, artifact.prompt)


def test_a_single_jump_is_told_and_clipped(workshop):
    _, told = workshop(lambda step, norm: 5_000.0 if step == 30 else 1.0, steps=40)
    assert told.count("warning: the gradient's norm jumped to 5e+03, clipped to 1") == 1
    assert "step    30/40" in told


def test_a_run_whose_gradients_explode_stops_and_keeps_its_checkpoint(workshop, tmp_path):
    with pytest.raises(SoftcallError) as stop:
        workshop(lambda step, norm: 5_000.0 if step > 60 else 1.0)
    assert f"step {60 + EXPLODING_STEPS}: gradient exploding for 5 steps" in str(stop.value)
    assert "The checkpoint of step 40 (best dev accuracy" in str(stop.value)
    assert f"Try a lower --learning-rate (now {LEARNING_RATES['soft']:g})" in str(stop.value)
    stored = torch.load(tmp_path / "a.run" / checkpoint.FILE, weights_only=True)["state"]
    assert stored["step"] == 40 and stored["learners"][0]["norms"] == [1.0] * 40


def test_in_a_sweep_only_the_candidate_that_explodes_is_dropped(workshop):
    seen: list[float] = []

    def norms(step, norm):
        seen.append(norm)  # the candidates in turn, while there are two
        return 5_000.0 if 10 < step <= 10 + EXPLODING_STEPS and len(seen) % 2 else 1.0

    artifact, _ = workshop(norms, sweep=2)
    dropped = [each["dropped"] for each in artifact.training["candidates"]]
    assert dropped == ["gradient exploding for 5 steps", ""]
