"""What `softcall train` refuses before it reads anything, and when two runs are the same."""

import json
from pathlib import Path

import pytest

from softcall.core.errors import SoftcallError
from softcall.training.settings.config import PROMPT_LENGTHS, TrainConfig


def config(**options):
    return TrainConfig(**{"data": Path("train.jsonl"), "out": Path("a.safetensors")} | options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": 21}, "--tokens 21: 8, 16, 20 and 32 are accepted, so that tasks share runs; with --any"),
        ({"tokens": 2049, "any_length": True}, "--tokens 2049: accepted are 1 to 2,048"),
        ({"steps": 0}, "--steps 0: accepted are 1 to 1,000,000"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"learning_rate": float("nan")}, "--learning-rate nan"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0"),
        ({"head_learning_rate": -1.0}, "--head-learning-rate -1"),
        ({"steps": 1000, "warmup": 1001}, "--warmup 1001: accepted are 0 to 1,000"),
        ({"max_text_tokens": 0}, "--max-text-tokens 0"),
        ({"eval_every": 0}, "--eval-every 0"),
        ({"patience": -1}, "--patience -1"),
        ({"seed": -1}, "--seed -1"),
        ({"label_smoothing": 1.0}, "--label-smoothing 1.0: accepted are 0 to 0.9"),
        ({"token_dropout": 1.0}, "--token-dropout 1.0: accepted are 0 to 0.9"),
        ({"calibration_folds": 1}, "--calibration-folds 1: accepted are 0, and 2 to 20"),
        ({"calibration_folds": 21}, "--calibration-folds 21: accepted are 0 to 20"),
        ({"dev_fraction": 0.9}, "--dev-fraction 0.9: accepted are 0.001 to 0.5"),
        ({"report_to": ("paper",)}, "--report-to 'paper': accepted are mlflow, wandb"),
        ({"init": "zeros"}, "--init 'zeros': accepted are text, labels, vocab, random"),
        ({"init": "vocab", "init_text": "a"}, "--init-text goes with --init text, not with --init vocab"),
        ({"out": Path("a.bin")}, "--out a.bin: the name of an artifact ends in .safetensors"),
    ],
)  # fmt: skip
def test_options_that_cannot_work_are_refused_by_name(options, message):
    with pytest.raises(SoftcallError) as refusal:
        config(**options)
    assert message in str(refusal.value)


def test_the_usual_lengths_need_no_permission():
    assert [config(tokens=tokens).tokens for tokens in PROMPT_LENGTHS] == [8, 16, 20, 32]
    assert config(tokens=50, any_length=True).tokens == 50


def test_warm_up_is_a_twentieth_of_the_steps():
    assert config(steps=2000).warmup_steps == 100
    assert config(steps=2000, warmup=7).warmup_steps == 7


def test_every_run_has_a_folder_of_its_own_and_keeps_it():
    def folder(**options):
        run = config(**options).settled(10_000)
        return run.run_folder(run.identity())

    assert folder() == folder(out=Path("elsewhere/a.safetensors")) == folder(test=Path("test.jsonl"))
    assert folder() != folder(learning_rate=0.03)
    assert folder(run_dir=Path("mine")) == Path("mine")


def test_the_identity_is_plain_json():
    settled = config(sweep=4).settled(100)
    assert json.loads(json.dumps(settled.identity())) == settled.identity()
