"""Tasks of any number of labels for a text: rows, scores, thresholds, training, and both evaluations."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from make_tiny import DEFAULT_FOLDER
from rich.console import Console
from sklearn.metrics import f1_score
from test_evaluate import Handler, Server
from typer.testing import CliRunner
from workshop import train_in

from softcall.artifact.artifact import Artifact
from softcall.artifact.metadata import Kind
from softcall.base.source import Source
from softcall.cli import app
from softcall.comparison.compare import compare
from softcall.comparison.config import CompareConfig, DataSet
from softcall.core.errors import SoftcallError
from softcall.datasets.rows import labels_of, read_rows, split_dev
from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.local import evaluate_artifact, label_sets_of_logits
from softcall.evaluation.multi_label import LabelSetScores, fit_thresholds, sigmoid
from softcall.evaluation.server import evaluate_server
from softcall.evaluation.temperature import fit_temperature
from softcall.training.cross_validation import folds_of
from softcall.training.inputs.examples import Examples, encode
from softcall.training.loop.run import MOST_POSITIVE_WEIGHT, Run
from softcall.training.loop.step import _loss
from softcall.training.settings.config import TrainConfig

GOLDEN = json.loads((DEFAULT_FOLDER / "golden.json").read_text())["tasks"]["topics"]
TOPICS = DEFAULT_FOLDER / "tasks/topics/adapter_model.safetensors"
WORDS = {"joyful": "joy", "rude": "rude", "money": "card"}


@pytest.fixture(scope="module")
def tagged():
    """240 rows: a label for each of three words that the text has twice; a fifth or so has none of them."""
    generator = random.Random(5)
    rows = []
    for number in range(240):
        chosen = [label for label in WORDS if generator.random() < 0.4]
        words = generator.choices(["the", "film", "waiter", "morning", "machine", "scene"], k=5)
        for label in 2 * chosen:
            words.insert(generator.randrange(len(words) + 1), WORDS[label])
        rows.append({"text": " ".join(words) + f" {number}", "labels": chosen})
    return rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# Rows


def test_a_list_is_a_set_of_labels(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": "a", "labels": ["x", "y"]}, {"text": "b", "labels": []}])
    rows = read_rows(path)
    assert [(row.label, row.labels, row.gold) for row in rows] == [
        (None, ("x", "y"), ("x", "y")),
        (None, (), ()),
    ]
    assert {row.kind for row in rows} == {Kind.MULTI_LABEL}
    assert labels_of(rows, path) == ("x", "y")
    (one,) = read_rows(write(tmp_path / "b.jsonl", [{"text": "a", "labels": "x"}]))
    assert (one.kind, one.gold) == (Kind.CLASSIFICATION, ("x",))
    (none,) = read_rows(write(tmp_path / "c.jsonl", [{"text": "a", "labels": None}]), labelled=False)
    assert none.gold is None


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"text": "b", "label": "x"}, "line 2: field 'label' holds one label, but not in"),
        ({"text": "b", "label": ["x", "x"]}, "line 2: field 'label' names a label twice"),
        ({"text": "b", "label": ["x", " "]}, "line 2: field 'label' is empty"),
        (
            {"text": "b", "label": [["x"]]},
            "line 2: field 'label' holds a list, expected a string or an integer",
        ),
        ({"text": "b"}, "line 2: no label in field 'label'"),
    ],
)
def test_rows_are_refused_by_their_line(tmp_path, second, message):
    path = write(tmp_path / "a.jsonl", [{"text": "a", "label": ["x"]}, second])
    with pytest.raises(SoftcallError) as refusal:
        read_rows(path)
    assert message in str(refusal.value)


def test_dev_and_folds_are_drawn_whatever_the_labels_are(tmp_path, tagged):
    rows = read_rows(write(tmp_path / "a.jsonl", tagged))
    kept, dev = split_dev(rows, 0.25)
    assert len(dev) == 60 and len(kept) == 180
    folds = folds_of(np.zeros((100, 3), bool), 3)
    assert sorted(np.concatenate(folds)) == list(range(100)) and {len(fold) for fold in folds} == {33, 34}


def test_the_report_counts_labels_and_says_that_there_are_several(tmp_path, tagged):
    path = write(tmp_path / "train.jsonl", tagged)
    other = write(tmp_path / "test.jsonl", [{"text": "a b", "labels": "joyful"}])
    shown = CliRunner().invoke(app, ["data", str(path)])
    mean = np.mean([len(row["labels"]) for row in tagged])
    assert shown.exit_code == 0
    assert f"labels  3, any number of them a row, {mean:.2f} on average: " in shown.output
    refused = CliRunner().invoke(app, ["data", str(path), str(other)])
    assert refused.exit_code == 1
    assert (
        "test.jsonl: its rows have one label, and those of train.jsonl have a list of labels"
        in refused.output
    )


# Scores


def test_f1_is_scikit_learn_s():
    generator = np.random.default_rng(3)
    gold, predicted = generator.random((2, 200, 5)) < 0.3
    gold[:, 4] = predicted[:, 4] = False  # a label that does not occur
    scores = LabelSetScores(tuple("abcde"), gold, predicted)
    assert scores.micro_f1 == pytest.approx(f1_score(gold, predicted, average="micro"))
    assert scores.macro_f1 == pytest.approx(f1_score(gold[:, :4], predicted[:, :4], average="macro"))
    each = f1_score(gold, predicted, average=None, zero_division=0)
    assert [label.f1 for label in scores.per_label] == pytest.approx(each)
    assert [label.rows for label in scores.per_label] == gold.sum(axis=0).tolist()
    assert scores.exact_match == pytest.approx((gold == predicted).all(axis=1).mean())
    nothing = LabelSetScores(("a", "b"), np.zeros((3, 2), bool), np.zeros((3, 2), bool))
    assert (nothing.micro_f1, nothing.macro_f1, nothing.exact_match) == (0, 0, 1)
    with pytest.raises(ValueError, match="label 'z' is not listed"):
        LabelSetScores.of_sets(("a",), [["a"]], [["z"]])


def test_thresholds_have_the_highest_f1_of_all():
    generator = np.random.default_rng(4)
    probabilities = generator.random((60, 3)).round(2)
    gold = generator.random((60, 3)) < probabilities**2
    for column, threshold in enumerate(fit_thresholds(probabilities, gold)):
        reached = f1_score(gold[:, column], probabilities[:, column] >= threshold)
        others = [f1_score(gold[:, column], probabilities[:, column] >= t / 200) for t in range(1, 201)]
        assert 0 < threshold <= 1 and reached == pytest.approx(max(others))


def test_thresholds_keep_a_distance_and_default_to_a_half():
    probabilities = np.array(
        [[0.9, 0.3, 0.9, 1.0, 0.2], [0.6, 0.2, 0.8, 1.0, 0.1], [0.1, 0.1, 0.7, 0.0, 0.3]]
    )
    gold = np.array([[1, 1, 0, 1, 1], [1, 0, 0, 1, 1], [0, 0, 0, 0, 1]], bool)
    assert fit_thresholds(probabilities, gold) == pytest.approx((0.5, 0.25, 0.5, 0.5, 0.05))


def test_the_temperature_has_the_highest_likelihood():
    generator = np.random.default_rng(5)
    true = generator.normal(0, 2, (400, 3))
    gold = generator.random((400, 3)) < sigmoid(true)
    assert fit_temperature(3 * true, gold) == pytest.approx(3, rel=0.15)
    assert fit_temperature(np.array([[5.0, -5], [-5, 5]]), np.array([[True, False], [False, True]])) == 1


def test_the_loss_is_the_sum_of_pytorch_s_binary_cross_entropies():
    generator = np.random.default_rng(6)
    answers = generator.random((8, 3)) < 0.4
    logits = torch.from_numpy(generator.normal(size=(8, 3))).float()
    examples = Examples([[1]] * 8, answers, 0)
    model = torch.nn.Linear(1, 1)

    def loss(**options):
        config = TrainConfig(data="a", out=Path("a.safetensors"), **options)
        run = Run(config, model, model, examples, examples, ("a", "b", "c"), None, {}, None)
        return _loss(run, logits, torch.from_numpy(answers), np.arange(8)).item()

    targets = torch.from_numpy(answers).float()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits
    assert loss() == pytest.approx(entropy(logits, targets, reduction="sum").item() / 8)
    smooth = entropy(logits, 0.9 * targets + 0.05, reduction="sum").item() / 8
    assert loss(label_smoothing=0.1) == pytest.approx(smooth)
    positive = targets.sum(dim=0)
    weights = ((8 - positive) / positive).clamp(max=MOST_POSITIVE_WEIGHT)
    balanced = entropy(logits, targets, pos_weight=weights, reduction="sum").item() / 8
    assert loss(class_balanced=True) == pytest.approx(balanced)


# Training


@pytest.fixture
def workshop(tmp_path, tiny_folder, tagged):
    data = write(tmp_path / "train.jsonl", tagged)

    def run(name="a", **options):
        options = {
            "steps": 40,
            "batch_size": 16,
            "eval_every": 20,
            "tokens": 8,
            "learning_rate": 0.05,
        } | options
        return train_in(tmp_path, tiny_folder, data, name, **options)

    return run


@pytest.mark.parametrize("prompt", ["soft", "kv"])
def test_words_are_learnt_as_labels(workshop, tmp_path, tiny_folder, tagged, prompt):
    test = write(tmp_path / "test.jsonl", [{**row, "text": row["text"] + " bill"} for row in tagged])
    artifact, told = workshop(steps=300, eval_every=50, prompt=prompt, test=test, dev_fraction=0.2)
    stored = Artifact.from_bytes((tmp_path / "a.safetensors").read_bytes())
    assert (stored.kind, stored.labels) == (Kind.MULTI_LABEL, ("joyful", "money", "rude"))
    assert len(stored.thresholds) == 3 and stored.abstain_threshold is None
    assert stored.metrics["dev_micro_f1"] > 0.85 and "dev_accuracy" not in stored.metrics
    assert "labels    3, any number of them for a text: the label column holds lists" in told
    assert "dev: micro-F1 0." in told and "thresholds from 0." in told

    scored = evaluate_artifact(
        tmp_path / "a.safetensors", test, base=str(tiny_folder), device="cpu", max_text_tokens=None
    )
    metrics = artifact.metrics
    found = (scored.scores.micro_f1, scored.scores.macro_f1, scored.scores.exact_match)
    assert found == (metrics["test_micro_f1"], metrics["test_macro_f1"], metrics["test_exact_match"])
    assert f"test: micro-F1 {metrics['test_micro_f1']:.4f}, macro-F1 {metrics['test_macro_f1']:.4f}" in told


def test_thresholds_and_temperature_are_those_that_fit_dev(workshop, tmp_path, tagged, tiny_folder):
    dev = write(tmp_path / "dev.jsonl", tagged[:80])
    artifact, _ = workshop(dev=dev)
    base = Source.resolve(tiny_folder).load()
    examples = encode(read_rows(dev), artifact.labels, artifact.template, base, 256)
    scorer = PromptedClassifier.of(artifact, base.identity.kv)
    logits = scorer.score(base.model.base_model, examples.ids).astype(np.float64)
    assert artifact.temperature == pytest.approx(fit_temperature(logits, examples.answers), rel=1e-4)
    expected = fit_thresholds(sigmoid(logits / artifact.temperature), examples.answers)
    assert artifact.thresholds == pytest.approx(expected, abs=1e-4)
    scores = LabelSetScores(artifact.labels, examples.answers, label_sets_of_logits(artifact, logits))
    assert artifact.metrics["dev_micro_f1"] == pytest.approx(scores.micro_f1)


def test_sweeps_folds_and_resumption_are_the_same_for_sets(workshop, tmp_path):
    artifact, told = workshop("a", prompt="auto", sweep=3, calibration_folds=2)
    assert [set(each) >= {"dev_micro_f1", "prompt"} for each in artifact.training["candidates"]] == [True] * 3
    assert "out_of_fold_micro_f1" in artifact.metrics and "folds of train (micro-F1 " in told
    (tmp_path / "a.safetensors").unlink()
    again, told = workshop("a", prompt="auto", sweep=3, calibration_folds=2)
    assert "going on from step 40" in told and again.to_bytes() == artifact.to_bytes()


def test_what_does_not_go_with_lists_is_refused(workshop, tmp_path, tagged, tiny_folder):
    other = write(tmp_path / "other.jsonl", [{"text": "a", "labels": "joyful"}])
    for options, message in (
        (
            {"abstain_threshold": "auto"},
            "--abstain-threshold: the rows have lists of labels, and each label gets",
        ),
        ({"dev": other}, "other.jsonl line 1: has one label; a row of the training data a list of labels"),
        (
            {"test": write(tmp_path / "new.jsonl", [{"text": "a", "labels": ["new"]}])},
            "label 'new' does not occur in the training data",
        ),
    ):
        with pytest.raises(SoftcallError) as refusal:
            workshop(**options)
        assert message in str(refusal.value)

    folder = tmp_path / "data"
    folder.mkdir()
    for part, rows in (("train", tagged[:200]), ("test", tagged[200:])):
        write(folder / f"{part}.jsonl", rows)
    config = CompareConfig(
        data=(DataSet.open(folder),), out=tmp_path / "out", base=str(tiny_folder), device="cpu"
    )
    with pytest.raises(
        SoftcallError, match="its rows have lists of labels; softcall compare takes rows of one"
    ):
        compare(config, Console(quiet=True))


# Evaluation


def golden_sets():
    artifact = Artifact.from_bytes(TOPICS.read_bytes())
    return artifact, [
        [
            label
            for label, p, t in zip(artifact.labels, row["probs"], artifact.thresholds, strict=True)
            if p >= t
        ]
        for row in GOLDEN
    ]


def test_pytorch_gives_the_sets_of_peft_s_probabilities(tmp_path, tiny_folder):
    _, sets = golden_sets()
    rows = [{"text": row["texts"][0], "labels": labels} for row, labels in zip(GOLDEN, sets, strict=True)]
    file = write(tmp_path / "test.jsonl", rows)
    options = ["--base", str(tiny_folder), "--device", "cpu"]
    printed = CliRunner().invoke(app, ["eval", str(TOPICS), str(file), *options, "--json"])
    found = json.loads(printed.stdout)
    assert (found["micro_f1"], found["exact_match"], found["rows"]) == (1.0, 1.0, len(GOLDEN))
    shown = CliRunner().invoke(app, ["eval", str(TOPICS), str(file), *options]).stdout
    assert "micro-F1   1.0000" in shown and "macro-F1   1.0000" in shown and "confusions" not in shown


def test_a_row_of_one_label_is_a_set_of_one_and_a_list_needs_a_task_of_sets(tmp_path, tiny_folder):
    rows = [{"text": row["texts"][0], "label": "film"} for row in GOLDEN]
    file = write(tmp_path / "test.jsonl", rows)
    result = evaluate_artifact(TOPICS, file, base=str(tiny_folder), device="cpu", max_text_tokens=None)
    assert isinstance(result.scores, LabelSetScores) and result.scores.gold.sum() == len(GOLDEN)
    lists = write(tmp_path / "lists.jsonl", [{"text": "a", "labels": ["positive"]}])
    sentiment = DEFAULT_FOLDER / "tasks/sentiment/adapter_model.safetensors"
    with pytest.raises(
        SoftcallError, match="line 1: has a list of labels; the task gives one label to a text"
    ):
        evaluate_artifact(sentiment, lists, base=str(tiny_folder), device="cpu", max_text_tokens=None)


def test_a_server_s_lists_are_scored_as_sets(tmp_path, monkeypatch):
    artifact, sets = golden_sets()
    answers = {tuple(row["texts"]): labels for row, labels in zip(GOLDEN, sets, strict=True)}

    def answer(handler, status, body):
        told = json.loads(body)
        for item, text in zip(told["data"][::-1], handler.server.asked[-1][1]["input"], strict=True):
            item["labels"] = answers[text,]
            item["label"] = item["labels"][0] if item["labels"] else None
        Handler.answer(handler, status, json.dumps(told))

    class Sets(Handler):
        def answer(self, status, body):
            answer(self, status, body)

    server = Server("topics", artifact.labels)
    server.RequestHandlerClass = Sets
    gold = [labels[1:] if number == 0 else labels for number, labels in enumerate(sets)]
    rows = [{"text": row["texts"][0], "labels": labels} for row, labels in zip(GOLDEN, gold, strict=True)]
    file = write(tmp_path / "test.jsonl", rows)
    scores = evaluate_server(server.url, "topics", file, api_key=None, max_text_tokens=None).scores
    server.shutdown()
    server.server_close()
    wrong = 1 if sets[0] else 0
    assert isinstance(scores, LabelSetScores)
    total = sum(map(len, sets))
    assert scores.micro_f1 == pytest.approx(2 * (total - wrong) / (2 * total - wrong))
    assert scores.exact_match == pytest.approx(1 - wrong / len(sets))
