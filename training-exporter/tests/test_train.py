"""Training on a toy task: it learns, repeats itself, survives a kill, and leaves the base alone."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner
from workshop import ENVIRONMENT, kill_at_checkpoint

from softcall.artifact.artifact import Artifact
from softcall.base.fingerprint import fingerprint
from softcall.base.source import Source
from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.core.regular_file import file_sha256
from softcall.datasets.rows import read_rows
from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.temperature import fit_temperature
from softcall.training.compute.stepping import stepping_trunk
from softcall.training.cross_validation import folds_of
from softcall.training.inputs.examples import encode
from softcall.training.loop import checkpoint
from softcall.training.loop.step import learning_rate_share
from softcall.training.settings.config import TrainConfig
from softcall.training.train import train


@pytest.fixture
def workshop(tmp_path, tiny_folder, toy_rows):
    """Train in a folder of its own with the toy rows; gives (artifact, what was told)."""

    def run(name="a", rows=toy_rows, told=None, **options):
        data = tmp_path / "train.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        told = told or io.StringIO()
        options = {
            "steps": 30,
            "batch_size": 16,
            "eval_every": 10,
            "tokens": 8,
            "dev_fraction": 0.1,
            "learning_rate": 0.05,
        } | options
        options = {"base": str(tiny_folder), "run_dir": tmp_path / f"{name}.run"} | options
        config = TrainConfig(data=data, out=tmp_path / f"{name}.safetensors", **options)
        return train(config, Console(file=told, width=80)), told.getvalue()

    return run


def events(folder):
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


@pytest.mark.parametrize("head", ["trained", "verbalizer"])
def test_a_separable_task_is_learnt(workshop, tmp_path, toy_rows, head):
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps({**row, "text": row["text"] + " bill"}) + "\n" for row in toy_rows))
    artifact, told = workshop(steps=200, eval_every=50, head=head, test=test)
    assert artifact.metrics["dev_accuracy"] >= 0.95
    assert artifact.metrics["test_accuracy"] >= 0.95
    assert artifact.metrics["test_rows"] == 240 and artifact.metrics["dev_rows"] == 24
    assert f"test: accuracy {artifact.metrics['test_accuracy']:.4f}" in told
    losses = [loss for _, loss in events(tmp_path / "a.run")["train/loss"]]
    assert losses[-1] < 0.3 * losses[0]


def test_the_file_is_the_artifact_and_says_how_it_was_made(workshop, tmp_path, tiny_folder):
    artifact, _ = workshop()
    stored = Artifact.from_bytes((tmp_path / "a.safetensors").read_bytes())
    assert np.array_equal(stored.prompt, artifact.prompt) and stored.prompt.shape[0] == 8
    assert stored.labels == ("bad", "good")
    assert stored.template.source == "{text}\nLabel:"
    base = Source.resolve(tiny_folder).load()
    assert (stored.base_name, stored.base_fingerprint) == (base.name, base.fingerprint)
    made = stored.training
    assert made["data_sha256"] == file_sha256(tmp_path / "train.jsonl")
    assert (made["steps"], made["seed"], made["learning_rate"], made["init"]) == (30, 13, 0.05, "text")
    assert made["init_text"] == "Classify the text. The label is one of: bad, good."
    assert made["versions"]["torch"] == torch.__version__ and made["device"].startswith("cpu")


def test_a_fixed_head_stays_the_verbalizers(workshop, tiny_folder):
    artifact, _ = workshop(head="verbalizer", verbalizers={"good": " the", "bad": " was"})
    base = Source.resolve(tiny_folder).load()
    rows = base.model.get_output_embeddings().weight.numpy()
    expected = [rows[base.tokenizer.encode(word).ids].mean(axis=0) for word in (" was", " the")]
    np.testing.assert_array_equal(artifact.label_head, np.stack(expected))
    assert not artifact.label_bias.any()
    trained, _ = workshop("b", head="trained")
    assert trained.label_bias.any()


def test_the_base_does_not_change(workshop, tiny_folder, monkeypatch):
    loaded = []
    load = Source.load
    monkeypatch.setattr(Source, "load", lambda source: loaded.append(load(source)) or loaded[-1])
    before = {file.name: file_sha256(file) for file in tiny_folder.iterdir()}
    for dtype in ("float32", "bfloat16"):
        artifact, _ = workshop(dtype, dtype=dtype)
        parameters = dict(loaded[-1].model.named_parameters())
        assert fingerprint({name: p.numpy() for name, p in parameters.items()}) == artifact.base_fingerprint
        assert not any(p.requires_grad or p.grad is not None for p in parameters.values())
    assert {file.name: file_sha256(file) for file in tiny_folder.iterdir()} == before


def test_the_same_command_gives_the_same_bytes_and_another_seed_does_not(workshop, tmp_path):
    for name, seed in (("a", 13), ("b", 13), ("c", 14)):
        workshop(name, seed=seed)
    a, b, c = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b != c


def test_the_best_evaluation_is_kept_and_patience_ends_a_run(workshop, tmp_path):
    artifact, told = workshop(steps=400, eval_every=1, patience=3, learning_rate=5.0)
    assert "stopped early: 3 evaluations without a better one" in told
    accuracy = dict(events(tmp_path / "a.run")["dev/accuracy"])
    assert artifact.training["last_step"] == artifact.training["best_step"] + 3 < 400
    assert artifact.metrics["dev_accuracy"] == pytest.approx(max(accuracy.values()))
    assert accuracy[artifact.training["best_step"]] == pytest.approx(max(accuracy.values()))


def test_tensorboard_shows_losses_norms_rates_and_dev(workshop, tmp_path):
    artifact, _ = workshop(steps=40, warmup=20, learning_rate=0.05)
    shown = events(tmp_path / "a.run")
    train_tags = {f"train/{name}" for name in ("loss", "gradient_norm", "prompt_norm", "learning_rate")}
    assert train_tags | {
        f"dev/{name}" for name in ("accuracy", "macro_f1", "loss", "calibration_error", "rows")
    } == set(shown)
    assert [step for step, _ in shown["train/loss"]] == [10, 20, 30, 40]
    assert [rate for _, rate in shown["train/learning_rate"]][:2] == pytest.approx([0.025, 0.05])
    assert all(value > 0 for tag in train_tags for _, value in shown[tag])
    assert max(value for _, value in shown["dev/accuracy"]) == pytest.approx(artifact.metrics["dev_accuracy"])


def test_the_rate_rises_in_a_line_and_falls_as_a_cosine():
    shares = [learning_rate_share(step, 10, 110) for step in range(1, 111)]
    assert shares[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[9] == 1.0 and 0 < shares[-1] < 0.001
    assert learning_rate_share(60, 10, 109) == pytest.approx(0.5)


def test_pairs_from_csv_and_prompts_of_any_length(tmp_path, workshop, tiny_folder, toy_rows):
    data = tmp_path / "pairs.csv"
    rows = [f'"{row["text"]}","the ""same"" card",{row["label"]}' for row in toy_rows]
    data.write_text("text1,text2,label\n" + "\n".join(rows) + "\n")
    config = TrainConfig(
        data=data,
        out=tmp_path / "deep/er/pairs.safetensors",
        base=str(tiny_folder),
        tokens=3,
        any_length=True,
        steps=4,
        run_dir=tmp_path / "run",
    )
    artifact = train(config, Console(quiet=True))
    assert artifact.template.source == "{text1}\n{text2}\nLabel:"
    assert artifact.prompt.shape[0] == 3 and config.out.is_file()


def test_long_texts_are_cut_and_counted(workshop, toy_rows):
    rows = [*toy_rows, {"text": "card " * 300, "label": "good"}]
    _, told = workshop(rows=rows, steps=2, max_text_tokens=64)
    assert "at most 64 tokens; 1 texts were cut" in told


def test_texts_shared_by_train_and_test_are_pointed_out(workshop, tmp_path, toy_rows):
    test = tmp_path / "test.jsonl"
    test.write_text("".join(json.dumps(row) + "\n" for row in toy_rows))
    _, told = workshop(steps=2, test=test)
    assert "216 of the test rows have a text that is in the train rows too" in told


def test_a_strangers_csv_needs_no_flags(tmp_path, tiny_folder, toy_rows):
    """Headers are found by their names, and recorded where a flag named them."""
    data = tmp_path / "sentences.csv"
    data.write_text("sentence,category\n" + "".join(f"{row['text']},{row['label']}\n" for row in toy_rows))
    out = tmp_path / "a.safetensors"
    options = {"out": out, "base": str(tiny_folder), "steps": 2, "tokens": 8, "run_dir": tmp_path / "run"}
    artifact = train(TrainConfig(data=data, **options), Console(quiet=True))
    assert (artifact.labels, artifact.metrics["dev_rows"]) == (("bad", "good"), 60)
    assert "columns" not in artifact.training
    named = {"text_columns": ("sentence",), "label_column": "category", "run_dir": tmp_path / "named"}
    again = train(TrainConfig(data=data, **options | named), Console(quiet=True))
    assert again.training["columns"] == ["sentence", "category"]
    np.testing.assert_array_equal(again.prompt, artifact.prompt)


def test_a_strangers_first_command_has_two_flags(tmp_path, tiny_folder, toy_rows, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{row['text']},{row['label']}\n" for row in toy_rows)
    Path("sentences.csv").write_text("sentence,category\n" + rows)
    command = ["train", "sentences.csv", "--out", "a.safetensors", "--base", str(tiny_folder)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    artifact = Artifact.from_bytes(Path("a.safetensors").read_bytes())
    assert artifact.labels == ("bad", "good") and artifact.metrics["dev_accuracy"] > 0.8
    assert any(Path("runs").iterdir())


def test_activations_that_are_computed_anew_change_memory_and_nothing_else(workshop, tiny_folder, toy_rows):
    kept, _ = workshop("kept", steps=20)
    anew, _ = workshop("anew", steps=20, gradient_checkpointing=True)
    np.testing.assert_allclose(anew.prompt, kept.prompt, atol=1e-3)
    assert anew.metrics["dev_loss"] == pytest.approx(kept.metrics["dev_loss"], rel=1e-2)

    exact = Source.resolve(tiny_folder).load().model.base_model
    sizes = {}
    for checkpointing in (False, True):
        config = TrainConfig("a", Path("a.safetensors"), gradient_checkpointing=checkpointing)
        trunk = stepping_trunk(exact, config)
        assert all(a is b for a, b in zip(trunk.parameters(), exact.parameters(), strict=True))
        saved = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, saved=saved: saved.update({tensor.data_ptr(): tensor.nbytes}) or tensor,
            lambda tensor: tensor,
        ):
            trunk(inputs_embeds=torch.rand(16, 40, 64, requires_grad=True), use_cache=False)
        sizes[checkpointing] = sum(saved.values())
    assert sizes[True] < 0.3 * sizes[False]


def test_a_folder_brings_its_own_dev_and_test(tmp_path, tiny_folder, toy_rows):
    """Of a test part whose labels are kept secret nothing is scored."""
    parts = {"train": toy_rows[:200], "validation": toy_rows[200:220], "test": toy_rows[220:]}
    for name, rows in parts.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"base": str(tiny_folder), "steps": 2, "tokens": 8}
    config = TrainConfig(data=tmp_path, out=tmp_path / "a.out.safetensors", run_dir=tmp_path / "a", **options)
    artifact = train(config, Console(quiet=True))
    made, metrics = artifact.training, artifact.metrics
    assert (made["train_rows"], metrics["dev_rows"], metrics["test_rows"]) == (200, 20, 20)
    for part, name in (("data", "train"), ("dev", "validation"), ("test", "test")):
        assert made[f"{part}_sha256"] == file_sha256(tmp_path / f"{name}.jsonl")
    (tmp_path / "test.jsonl").write_text(
        "".join(json.dumps({"text": row["text"]}) + "\n" for row in toy_rows)
    )
    told = io.StringIO()
    config = TrainConfig(data=tmp_path, out=tmp_path / "b.out.safetensors", run_dir=tmp_path / "b", **options)
    artifact = train(config, Console(file=told, width=80))
    assert "test_rows" not in artifact.metrics and "test_sha256" not in artifact.training
    assert "warning   test: none of the 240 rows has a label, so they are left out" in told.getvalue()


# A run that is cut off


def command(folder, tiny_folder, out, run_dir):
    options = [
        "--steps",
        "300",
        "--eval-every",
        "10",
        "--batch-size",
        "8",
        "--tokens",
        "8",
        "--patience",
        "0",
        "--token-dropout",
        "0.1",
        "--device",
        "cpu",
    ]
    options += ["--base", str(tiny_folder), "--out", str(folder / out), "--run-dir", str(folder / run_dir)]
    return [sys.executable, "-m", "softcall", "train", str(folder / "train.jsonl"), *options]


def test_a_killed_run_goes_on_and_ends_with_the_same_file(tmp_path, tiny_folder, toy_rows):
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in toy_rows))

    cut = command(tmp_path, tiny_folder, "cut.safetensors", "cut")
    kill_at_checkpoint(cut, tmp_path / "cut")
    assert not (tmp_path / "cut.safetensors").exists()

    resumed = subprocess.run(cut, env=ENVIRONMENT, capture_output=True, text=True)
    assert resumed.returncode == 0, resumed.stderr
    step = int(resumed.stderr.split("going on from step ")[1].split(",")[0])
    assert 10 <= step < 300

    undisturbed = command(tmp_path, tiny_folder, "whole.safetensors", "whole")
    assert subprocess.run(undisturbed, env=ENVIRONMENT, capture_output=True).returncode == 0
    assert (tmp_path / "cut.safetensors").read_bytes() == (tmp_path / "whole.safetensors").read_bytes()

    steps = [step for step, _ in events(tmp_path / "cut")["train/loss"]]
    assert steps == list(range(10, 301, 10))  # nothing twice, nothing missing


def test_a_finished_run_writes_its_artifact_again(workshop, tmp_path):
    workshop()
    first = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").unlink()
    _, told = workshop()
    assert "going on from step 30" in told
    assert (tmp_path / "a.safetensors").read_bytes() == first


def test_another_run_s_folder_is_refused_with_the_difference(workshop, tmp_path, toy_rows):
    workshop()
    with pytest.raises(
        SoftcallError, match=r"belongs to another run: learning_rate is 0\.05 there and 0\.01 here"
    ):
        workshop(learning_rate=0.01)
    with pytest.raises(SoftcallError, match="data_sha256 is"):
        workshop(rows=toy_rows[:-2])


def test_a_damaged_checkpoint_is_refused(workshop, tmp_path):
    (tmp_path / "a.run").mkdir()
    (tmp_path / "a.run" / checkpoint.FILE).write_bytes(b"no checkpoint")
    with pytest.raises(
        SoftcallError, match=r"checkpoint\.pt is not a checkpoint of a training run .* --run-dir"
    ):
        workshop()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(
    workshop, tmp_path, tiny_folder, toy_rows
):
    # A base with one broken embedding row: the step that first meets its token has no finite loss.
    broken = tmp_path / "broken"
    shutil.copytree(tiny_folder, broken)
    base = Source.resolve(tiny_folder).load()
    tensors = load_file(broken / "model.safetensors")
    tensors["model.embed_tokens.weight"][base.tokenizer.encode("Q").ids[0]] = float("nan")
    save_file(tensors, broken / "model.safetensors", {"format": "pt"})
    dev = tmp_path / "dev.jsonl"
    dev.write_text("".join(json.dumps(row) + "\n" for row in toy_rows[:20]))
    rows = [*toy_rows, {"text": "Q", "label": "good"}]
    told = io.StringIO()
    with pytest.raises(
        SoftcallError, match=r"the loss is nan .* so training stops.* lower --learning-rate"
    ) as stop:
        workshop(rows=rows, told=told, base=str(broken), dev=dev, eval_every=1)
    step = int(str(stop.value).split(":")[0].removeprefix("step "))
    assert step > 1
    assert f"The checkpoint of step {step - 1} (best dev accuracy " in str(stop.value)
    stored = torch.load(tmp_path / "a.run" / checkpoint.FILE, weights_only=True)["state"]
    assert stored["step"] == step - 1
    assert all(torch.isfinite(tensor).all() for tensor in stored["learners"][0]["learnt"].values())
    assert not (tmp_path / "a.safetensors").exists()


# What cannot be trained on


def test_labels_that_training_never_saw_are_refused(workshop, tmp_path):
    other = tmp_path / "other.jsonl"
    other.write_text('{"text": "a", "label": "good"}\n{"text": "a", "label": "ugly"}\n')
    for part in ("dev", "test"):
        with pytest.raises(SoftcallError, match=r"other\.jsonl line 2: label 'ugly' does not occur"):
            workshop(**{part: other})


def test_bad_input_is_refused_before_any_step(workshop, tmp_path, toy_rows, tiny_folder):
    refusals = [
        ({"rows": toy_rows[::2]}, "has only the label 'good'; at least two labels are needed"),
        ({"rows": toy_rows[:2]}, "2 rows are too few to carve a dev set out of; give one with --dev"),
        ({"verbalizers": {"ugly": " ugly"}}, "--verbalizer names 'ugly', which is not a label of"),
        ({"verbalizers": {"good": " the", "bad": " the"}}, "are the same tokens"),
        ({"template": "no field"}, "template 'no field' has no field"),
        (
            {"template": "{text1} {text2}"},
            "no two columns are known as a pair of texts; it has 'text', 'label'",
        ),
        ({"max_text_tokens": 5}, "the template alone has 7 tokens; at most 5 are accepted"),
        ({"max_text_tokens": 1020}, "together more than the 1024 positions of tiny-llama"),
        ({"base": str(tmp_path / "nowhere")}, "nowhere does not exist"),
    ]
    for options, message in refusals:
        with pytest.raises(SoftcallError) as refusal:
            workshop(**options)
        assert message in str(refusal.value)
    assert not (tmp_path / "a.run").exists()


def test_an_artifact_that_cannot_be_written_is_known_at_once(tmp_path, tiny_folder):
    (tmp_path / "file").write_text("")
    config = TrainConfig(
        data=tmp_path / "none.jsonl", out=tmp_path / "file" / "a.safetensors", base=str(tiny_folder)
    )
    with pytest.raises(SoftcallError, match=r"--out: the folder .*file cannot be made"):
        train(config, Console(quiet=True))


def folds_run(workshop, name="a", **options):
    return workshop(name, steps=60, eval_every=20, calibration_folds=3, learning_rate=0.02, **options)


def test_folds_are_answered_by_prompts_that_have_not_seen_them(workshop, tmp_path, toy_rows, tiny_folder):
    """Each fold's logits are those of a plain run on the other rows, behind PyTorch."""
    noisy = [{**row, "label": "good"} if i % 7 == 0 else row for i, row in enumerate(toy_rows)]
    dev = tmp_path / "dev.jsonl"
    dev.write_text("".join(json.dumps(row) + "\n" for row in noisy[180:]))
    noisy = noisy[:180]
    artifact, told = folds_run(workshop, rows=noisy, dev=dev)
    plain, _ = workshop("plain", rows=noisy, dev=dev, steps=60, eval_every=20, learning_rate=0.02)
    assert np.array_equal(artifact.prompt, plain.prompt) and artifact.training["calibration_folds"] == 3

    base = Source.resolve(tiny_folder).load()
    labels = np.array([artifact.labels.index(row["label"]) for row in noisy])
    folds = folds_of(labels, 3)

    def answers(artifact, rows):
        ids = encode(rows, artifact.labels, artifact.template, base, 256).ids
        return PromptedClassifier.of(artifact, base.identity.kv).score(base.model.base_model, ids)

    rows = {name: read_rows(tmp_path / f"{name}.jsonl") for name in ("train", "dev")}
    logits = [answers(plain, rows["dev"])]
    gold = [[artifact.labels.index(row.label) for row in rows["dev"]]]
    for number, fold in enumerate(folds):
        others = [row for i, row in enumerate(noisy) if i not in fold]
        other, _ = workshop(f"f{number}", rows=others, dev=dev, steps=60, eval_every=20, learning_rate=0.02)
        logits.append(answers(other, [rows["train"][i] for i in fold]))
        gold.append(labels[fold])
    held_out = np.concatenate(logits[1:]).argmax(axis=1) == np.concatenate(gold[1:])
    assert artifact.metrics["out_of_fold_accuracy"] == pytest.approx(held_out.mean())
    expected = fit_temperature(np.concatenate(logits), np.concatenate(gold))
    assert artifact.temperature == pytest.approx(expected, rel=1e-4) != pytest.approx(plain.temperature)
    assert f"fitted on dev and 3 folds of train (accuracy {held_out.mean():.4f})" in told


def test_every_row_is_in_one_fold_and_every_label_in_each():
    answers = np.repeat([0, 1, 2], [50, 20, 6])
    folds = folds_of(answers, 5)
    assert np.array_equal(np.sort(np.concatenate(folds)), np.arange(76))
    for fold in folds:
        counts = np.bincount(answers[fold], minlength=3)
        assert counts[0] == 10 and counts[1] == 4 and counts[2] in (1, 2)


def test_finished_folds_are_taken_over(workshop, tmp_path):
    whole, _ = folds_run(workshop)
    (tmp_path / "a.safetensors").unlink()
    shutil.rmtree(tmp_path / "a.run" / "fold-2-of-3")
    again, told = folds_run(workshop)
    assert told.count("going on from step 60") == 3  # the run itself, and two folds
    assert again.to_bytes() == whole.to_bytes()
