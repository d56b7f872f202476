"""A comparison on the toy task: what each method learns, what is kept, and the report."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from make_tiny import HIDDEN, tiny_base
from rich.console import Console
from scipy import stats
from sklearn.metrics import matthews_corrcoef
from typer.testing import CliRunner

from softcall.artifact.artifact import Artifact
from softcall.base.source import Source
from softcall.cli import app
from softcall.comparison.compare import compare
from softcall.comparison.config import CompareConfig, DataSet, Method
from softcall.comparison.context import CONTEXT_TOKENS, _with_examples
from softcall.comparison.prepared import prepare
from softcall.comparison.record import RUNS, RunRecord
from softcall.comparison.report import html, markdown
from softcall.comparison.runs import PROMPTS
from softcall.comparison.sections import Line, correlation, sections
from softcall.core.errors import SoftcallError
from softcall.evaluation.scores import wilson_interval
from softcall.stores.store import OBJECT

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def toy(tmp_path_factory, toy_rows):
    """The toy task as a folder; its name and one label look like HTML."""
    folder = tmp_path_factory.mktemp("data") / "toy&co"
    folder.mkdir()
    names = {"good": "good", "bad": "<b>ad"}
    rows = [{**row, "label": names[row["label"]]} for row in toy_rows]
    for part, some in (("train", rows[:160]), ("dev", rows[160:200]), ("test", rows[200:])):
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return folder


@pytest.fixture(scope="module")
def config(toy, tiny_folder, tmp_path_factory):
    return CompareConfig(
        data=(DataSet.open(toy),),
        out=tmp_path_factory.mktemp("comparison"),
        seeds=2,
        base=str(tiny_folder),
        tokens=8,
        steps=60,
        batch_size=16,
        eval_every=20,
        learning_rate=0.05,
        full_learning_rate=1e-3,
        lora_learning_rate=5e-3,
        device="cpu",
    )


@pytest.fixture(scope="module")
def records(config):
    return compare(config, QUIET)


def of(records, method):
    return [record for record in records if record.method == method]


def test_methods_with_seeds_run_once_a_seed(records):
    assert {method: len(of(records, method)) for method in Method} == {
        "prompt": 2, "kv": 2, "lora": 2, "full": 2, "zero-shot": 1, "few-shot": 2, "tfidf": 1
    }  # fmt: skip
    assert [record.seed for record in of(records, "prompt")] == [13, 14]
    for method in ("prompt", "kv", "lora", "full"):
        first, second = of(records, method)
        assert first.curve != second.curve and len(first.curve) == 6 and len(first.evaluations) == 3


def test_what_learns_is_what_the_method_says(records, config):
    head = 2 * (HIDDEN + 1)
    prompt, kv, lora, full = (of(records, m)[0] for m in ("prompt", "kv", "lora", "full"))
    base = tiny_base().model.base_model
    assert prompt.trained_parameters == 8 * HIDDEN + head
    assert full.trained_parameters == sum(p.numel() for p in base.parameters()) + head
    linear = [m for m in base.modules() if isinstance(m, torch.nn.Linear)]
    rank = config.lora_rank
    assert lora.trained_parameters == head + sum(rank * (m.in_features + m.out_features) for m in linear)
    assert prompt.learnt_bytes == 4 * prompt.trained_parameters
    width = 2 * 2 * 2 * 16  # keys and values of two layers with two heads of 16
    assert kv.trained_parameters == 8 * width + head and kv.learnt_bytes == 2 * 8 * width + 4 * head
    assert of(records, "zero-shot")[0].trained_parameters == 0


def test_what_trains_beats_what_does_not(records):
    zero_shot = of(records, "zero-shot")[0].accuracy
    for method in ("full", "tfidf"):
        assert all(record.accuracy >= 0.9 for record in of(records, method))
    for method in ("prompt", "kv", "lora"):
        assert all(record.accuracy > max(0.6, zero_shot) for record in of(records, method))
    for record in records:
        assert np.trace(record.confusion) == record.right and np.sum(record.confusion) == record.total == 40


def test_few_shot_shows_rows_of_train_with_their_labels(config, tiny_folder):
    base = Source.resolve(tiny_folder).load()
    prepared = prepare(config, config.data[0], base)
    texts = {}
    for seed in (13, 14):
        training = config.training(config.data[0], Method.FEW_SHOT, seed)
        texts[seed] = _with_examples("Say which.", training, prepared, base)
        first, *shown, end = texts[seed].split("\n\n")
        assert (first, end) == ("Say which.", "") and len(shown) > 4
        answers = prepared.examples["train"].answers
        told = [base.tokenizer.decode(ids) for ids in prepared.examples["train"].ids]
        expected = {text + prepared.words[answer] for text, answer in zip(told, answers, strict=True)}
        assert set(shown) <= expected and len(set(shown)) == len(shown)
        counts = [sum(text.endswith(word) for text in shown) for word in prepared.words]
        assert max(counts) - min(counts) <= 1
        ids = base.tokenizer.encode(texts[seed], add_special_tokens=False).ids
        assert CONTEXT_TOKENS - 60 < len(ids) <= CONTEXT_TOKENS
    assert texts[13] != texts[14]


def test_the_base_is_the_same_after_every_method(records, config, tiny_folder):
    """Zero-shot answers come last in one process and first in another."""
    alone = CompareConfig(
        **{**vars(config), "out": config.out.parent / "alone", "methods": (Method.ZERO_SHOT,)}
    )
    (record,) = compare(alone, QUIET)
    assert record.confusion == of(records, "zero-shot")[0].confusion


def test_processes_share_the_runs_and_reach_the_same(records, config):
    shared = config.out.parent / "shared"
    methods = (Method.PROMPT, Method.KV, Method.LORA)
    some = CompareConfig(**{**vars(config), "out": shared, "methods": methods, "jobs": 2})
    for record, expected in zip(compare(some, QUIET), records, strict=False):
        assert (record.method, record.seed, record.jobs) == (expected.method, expected.seed, 2)
        assert record.curve == expected.curve and record.confusion == expected.confusion


def test_finished_runs_are_taken_over_and_others_are_refused(records, config):
    stamps = {path: path.stat().st_mtime_ns for path in (config.out / RUNS).iterdir()}
    again = compare(config, QUIET)
    assert [vars(record) for record in again] == [vars(record) for record in records]
    assert stamps == {path: path.stat().st_mtime_ns for path in (config.out / RUNS).iterdir()}
    with pytest.raises(SoftcallError, match=r"prompt-13\.json is of other settings or rows"):
        compare(CompareConfig(**{**vars(config), "learning_rate": 0.01}), QUIET)
    damaged = config.out.parent / "damaged"
    (damaged / RUNS).mkdir(parents=True)
    RunRecord.path(damaged, "toy&co", "prompt", 13).write_text("{}")
    with pytest.raises(SoftcallError, match="is not the record of a run"):
        compare(CompareConfig(**{**vars(config), "out": damaged}), QUIET)


def test_intervals_are_student_s_over_seeds_and_wilson_s_over_rows(records):
    line = Line("prompt", tuple(of(records, "prompt")))
    accuracies = [record.accuracy for record in line.records]
    half = stats.t.ppf(0.975, 1) * np.std(accuracies, ddof=1) / np.sqrt(2)
    low, high = np.clip([line.accuracy - half, line.accuracy + half], 0, 1)
    assert line.interval == pytest.approx((low, high))
    single = Line("tfidf", tuple(of(records, "tfidf")))
    assert single.interval == wilson_interval(single.records[0].right, 40)


def test_the_correlation_is_scikit_learn_s():
    random = np.random.default_rng(0)
    for labels in (2, 5):
        gold, predicted = random.integers(0, labels, (2, 200))
        predicted = np.where(random.random(200) < 0.5, gold, predicted)
        confusion = np.zeros((labels, labels), int)
        np.add.at(confusion, (gold, predicted), 1)
        assert correlation(confusion) == pytest.approx(matthews_corrcoef(gold, predicted))
    assert correlation(np.array([[5, 0], [3, 0]])) == 0.0


def test_a_record_tells_calibration_and_the_cost_of_a_switch(records):
    for record in records:
        assert 0 <= record.dev_accuracy <= 1 and record.temperature > 0
        assert 0 <= record.calibration_error <= 1 and 0 <= record.calibration_error_before <= 1
    switch = {m: np.median([record.switch_seconds for record in of(records, m)]) for m in ("prompt", "full")}
    assert switch["prompt"] > 0 and switch["full"] > 0


def test_prompts_are_kept(records, config):
    for record in (*of(records, "prompt"), *of(records, "kv")):
        kind = {"prompt": "", "kv": "-kv"}[record.method]
        task = config.out / PROMPTS / f"{record.data}{kind}-{record.seed}"
        artifact = Artifact.from_bytes((task / OBJECT).read_bytes())
        assert artifact.tokens == config.tokens and list(artifact.labels) == record.labels
        assert artifact.temperature == record.temperature
        assert artifact.metrics["test_accuracy"] == record.accuracy
        assert artifact.training["seed"] == record.seed
        assert artifact.prompt_type == ("kv" if kind else "soft")
    assert len(list((config.out / PROMPTS).iterdir())) == 4


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.links += [
            value for name, value in attributes if name in ("src", "href") or name.endswith(":href")
        ]


def test_the_page_holds_everything_and_refers_to_nothing(records):
    text = html(sections(records))
    page = Page(text)
    assert page.tags.count("svg") == 2 and "script" not in page.tags and "b" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert "toy&amp;co" in text and "&lt;b&gt;ad" in text
    for words in ("accuracy on dev", "gradient norm", "training loss", "peak MB"):
        assert words in text


def test_the_command_writes_both_reports_and_prints_the_table(records, config, toy, tiny_folder):
    options = ["--seeds", 2, "--tokens", 8, "--steps", 60, "--batch-size", 16, "--eval-every", 20]
    options += ["--learning-rate", 0.05, "--full-learning-rate", 1e-3, "--lora-learning-rate", 5e-3]
    options += ["--base", tiny_folder, "--out", config.out, "--device", "cpu"]
    result = CliRunner().invoke(app, ["compare", str(toy), *map(str, options)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    table = markdown(sections(records))
    assert (config.out / "report.md").read_text() == table and table in result.stdout
    assert re.search(r"\| prompt \| 0\.\d{4} \| 0\.\d{4} to [01]\.\d{4} \| 2 \|", table) or "1.0000" in table
    assert (config.out / "report.html").read_text() == html(sections(records))


def test_a_task_file_gives_template_and_words(toy, tmp_path, tiny_folder):
    folder = tmp_path / "described"
    folder.mkdir()
    for part in ("train", "test"):
        (folder / f"{part}.jsonl").write_bytes((toy / f"{part}.jsonl").read_bytes())
    task = {"template": "{text}\nMood:", "labels": ["<b>ad", "good"], "verbalizers": {"good": " the"}}
    (folder / "task.json").write_text(json.dumps(task))
    config = CompareConfig(data=(DataSet.open(folder),), out=tmp_path / "out", base=str(tiny_folder))
    training = config.training(config.data[0], Method.PROMPT, 13)
    assert (training.template, training.verbalizers) == ("{text}\nMood:", {"good": " the"})


def test_what_cannot_be_compared_is_refused(tmp_path, toy):
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(SoftcallError, match="has no test file; expected a folder with train and test"):
        DataSet.open(tmp_path)
    data = DataSet.open(toy)
    for options, message in (
        ({"data": (data, data)}, "with distinct names"),
        ({"methods": ()}, "--method: expected one or more of prompt, kv, lora, full"),
        ({"seeds": 0}, "--seeds 0: accepted are 1 to 20"),
        ({"lora_rank": 0}, "--lora-rank 0"),
        ({"jobs": 0}, "--jobs 0: accepted are 1 to 64"),
    ):
        with pytest.raises(SoftcallError) as refusal:
            CompareConfig(**{"data": (data,), "out": tmp_path} | options)
        assert message in str(refusal.value)


def test_folds_change_what_prompts_are_calibrated_on_and_nothing_else(records, config):
    methods = (Method.PROMPT, Method.FULL)
    out = config.out.parent / "folds"
    folds = compare(
        CompareConfig(**{**vars(config), "out": out, "methods": methods, "calibration_folds": 3}), QUIET
    )
    for record, plain in zip(folds, [*of(records, "prompt"), *of(records, "full")], strict=True):
        assert (record.method, record.seed, record.confusion) == (plain.method, plain.seed, plain.confusion)
        prompt = record.method == "prompt"
        assert (record.temperature != plain.temperature) == prompt
        assert record.settings == plain.settings | ({"calibration_folds": 3} if prompt else {})
        if prompt:
            kept = Artifact.from_bytes((out / PROMPTS / f"toy&co-{record.seed}" / OBJECT).read_bytes())
            assert kept.temperature == record.temperature and "out_of_fold_accuracy" in kept.metrics
