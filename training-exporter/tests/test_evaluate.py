"""Scoring a task with PyTorch and over HTTP: its figures, and a server's refusals in its own words."""

import csv
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from make_tiny import DEFAULT_FOLDER
from typer.testing import CliRunner

from softcall.artifact.artifact import Artifact
from softcall.cli import app
from softcall.core.errors import SoftcallError
from softcall.evaluation.local import evaluate_artifact, labels_of_logits
from softcall.evaluation.server import evaluate_server

GOLDEN = json.loads((DEFAULT_FOLDER / "golden.json").read_text())["tasks"]


def artifact_path(task):
    return DEFAULT_FOLDER / "tasks" / task / "adapter_model.safetensors"


def write_rows(path, task, labels):
    """The golden file's texts of a task with the given labels, as rows to score."""
    names = ("text",) if len(GOLDEN[task][0]["texts"]) == 1 else ("text1", "text2")
    rows = [
        dict(zip(names, row["texts"], strict=True), label=label)
        for row, label in zip(GOLDEN[task], labels, strict=True)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def peft_labels(task, labels):
    """What PEFT answers, by the golden file."""
    return [labels[int(np.argmax(row["logits"]))] for row in GOLDEN[task]]


class Server(ThreadingHTTPServer):
    """Speaks `POST /v1/classify` with PEFT's golden answers, and keeps what it was asked."""

    def __init__(self, task, labels, version="v1", failure=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {
            tuple(row["texts"]): label
            for row, label in zip(GOLDEN[task], peft_labels(task, labels), strict=True)
        }
        self.version, self.failure, self.asked, self.keys = version, failure, [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, asked))
        self.server.keys.append(self.headers["Authorization"])
        if self.server.failure:
            return self.answer(*self.server.failure)
        texts = [(item,) if isinstance(item, str) else tuple(item) for item in asked["input"]]
        data = [{"index": i, "label": self.server.answers[text]} for i, text in enumerate(texts)]
        return self.answer(200, json.dumps({"data": data[::-1], "version": self.server.version}))

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def serve():
    servers = []

    def start(*arguments, **options):
        servers.append(Server(*arguments, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("task", ["sentiment", "acme/intent", "pair"])
def test_pytorch_gives_peft_s_labels(tmp_path, tiny_folder, task):
    labels = Artifact.from_bytes(artifact_path(task).read_bytes()).labels
    file = write_rows(tmp_path / "test.jsonl", task, peft_labels(task, labels))
    result = evaluate_artifact(
        artifact_path(task), file, base=str(tiny_folder), device="cpu", max_text_tokens=None
    )
    assert (result.scores.accuracy, result.scores.rows) == (1.0, len(GOLDEN[task]))
    assert result.answered_by == "tiny-llama on cpu" and result.ms_per_text > 0


def test_the_columns_of_a_file_may_have_any_names(tmp_path, tiny_folder):
    labels = Artifact.from_bytes(artifact_path("pair").read_bytes()).labels
    file = tmp_path / "odd.csv"
    with file.open("w", newline="") as opened:
        rows = zip(GOLDEN["pair"], peft_labels("pair", labels), strict=True)
        csv.writer(opened).writerows([("one", "two", "is"), *((*row["texts"], label) for row, label in rows)])
    options = ["--text-column", "one", "--text-column", "two", "--label-column", "is"]
    arguments = ["eval", artifact_path("pair"), file, "--base", tiny_folder, "--json", *options]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert json.loads(done.stdout)["accuracy"] == 1.0


def test_an_uncertain_answer_abstains_as_it_does_when_served(tmp_path, tiny_folder):
    artifact = Artifact.from_bytes(artifact_path("long").read_bytes())
    assert (artifact.temperature, artifact.abstain_threshold) == (1.5, 0.75)
    expected = [max(row["probs"]) < 0.75 for row in GOLDEN["long"]]
    assert any(expected) and not all(expected)
    logits = np.array([row["logits"] for row in GOLDEN["long"]], np.float32)
    assert [label is None for label in labels_of_logits(artifact, logits)] == expected

    file = write_rows(tmp_path / "test.jsonl", "long", peft_labels("long", artifact.labels))
    result = evaluate_artifact(
        artifact_path("long"), file, base=str(tiny_folder), device="cpu", max_text_tokens=None
    )
    assert result.scores.abstained == sum(expected)
    assert result.scores.accuracy == pytest.approx(1 - np.mean(expected))


@pytest.mark.parametrize("task", ["acme/intent", "pair"])
def test_a_server_is_asked_in_calls_of_32_and_scored_by_index(tmp_path, serve, task):
    labels = Artifact.from_bytes(artifact_path(task).read_bytes()).labels
    server = serve(task, labels)
    gold = peft_labels(task, labels)
    gold[0] = next(label for label in labels if label != gold[0])
    file = write_rows(tmp_path / "test.jsonl", task, gold)
    file.write_text(file.read_text() * 3)
    result = evaluate_server(server.url + "/", task, file, api_key="secret", max_text_tokens=64)
    rows = 3 * len(GOLDEN[task])
    assert [len(asked["input"]) for _, asked in server.asked] == [32, rows - 32]
    path, asked = server.asked[0]
    assert path == "/v1/classify" and asked["model"] == task and asked["truncate_prompt_tokens"] == 64
    texts = GOLDEN[task][0]["texts"]
    assert asked["input"][0] == (texts if len(texts) == 2 else texts[0])
    assert server.keys == ["Bearer secret"] * 2
    assert (result.scores.right, result.scores.rows, result.versions) == (rows - 3, rows, ("v1",))


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (
            (404, '{"error": {"message": "no task \\"sentiment\\""}}'),
            r'answered 404 Not Found: .*no task \\"sentiment',
        ),
        ((503, "the store is away"), "answered 503 Service Unavailable: the store is away"),
        ((200, "<html>"), "answered something other than a JSON object: b'<html>'"),
        ((200, "[]"), "answered something other than a JSON object"),
        (
            (200, '{"data": [{"index": 0, "label": "x"}]}'),
            "answered without `data` of an index and a label for each of 12",
        ),
    ],
)
def test_a_server_s_refusal_is_shown_as_it_is(tmp_path, serve, failure, message):
    server = serve("sentiment", ("negative", "positive"), failure=failure)
    file = write_rows(tmp_path / "test.jsonl", "sentiment", ["positive"] * len(GOLDEN["sentiment"]))
    with pytest.raises(SoftcallError, match=message):
        evaluate_server(server.url, "sentiment", file, api_key=None, max_text_tokens=None)
    assert server.keys == [None]
    assert "truncate_prompt_tokens" not in server.asked[0][1]


def test_no_server_and_no_address_are_told_apart(tmp_path):
    file = write_rows(tmp_path / "test.jsonl", "sentiment", ["positive"] * len(GOLDEN["sentiment"]))
    for url, message in (
        ("http://127.0.0.1:9", "cannot be reached"),
        ("http://no host", "cannot be reached"),
        ("localhost:8080", "expected an address such as"),
    ):
        with pytest.raises(SoftcallError, match=message):
            evaluate_server(url, "sentiment", file, api_key=None, max_text_tokens=None)


def test_what_cannot_be_scored_is_refused(tmp_path, tiny_folder):
    def score(artifact=None, label="positive", base=tiny_folder, limit=None):
        file = write_rows(tmp_path / "test.jsonl", "sentiment", [label] * len(GOLDEN["sentiment"]))
        artifact = artifact or artifact_path("sentiment")
        evaluate_artifact(artifact, file, base=str(base), device="cpu", max_text_tokens=limit)

    refusals = [
        ({"label": "neutral"}, r"test\.jsonl line 1: label 'neutral' is not one of .*'s labels"),
        (
            {"artifact": tmp_path / "none"},
            r"none: cannot be read \(No such file or directory\); expected an artifact",
        ),
        ({"artifact": tmp_path}, r"cannot be read \(Is a directory\)"),
        ({"artifact": DEFAULT_FOLDER / "broken/nan.safetensors"}, "finite"),
        ({"artifact": DEFAULT_FOLDER / "broken/other-base.safetensors"}, "was trained for base"),
        ({"limit": 2}, "the template alone has"),
    ]
    for options, message in refusals:
        with pytest.raises(SoftcallError, match=message):
            score(**options)


# The command


def run(*arguments):
    result = CliRunner().invoke(
        app, ["eval", *map(str, arguments)], catch_exceptions=False, env={"COLUMNS": "80"}
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_prints_interval_labels_and_confusions(tmp_path, tiny_folder):
    gold = peft_labels("sentiment", ("negative", "positive"))
    right = gold.count("positive")
    file = write_rows(tmp_path / "test.jsonl", "sentiment", ["positive"] * len(gold))
    shown = run(artifact_path("sentiment"), file, "--base", tiny_folder, "--device", "cpu")
    assert f"accuracy   {right / 12:.4f}  (95 % interval " in shown
    assert "gold \\ predicted" in shown and "macro-F1" in shown and "ms per text, tiny-llama on cpu" in shown
    row = next(line for line in shown.splitlines() if "positive" in line and "1.000" in line)
    assert f"{right / 12:.3f}" in row  # recall; precision is 1


def test_many_labels_are_shown_by_the_worst(tmp_path, serve):
    labels = tuple(f"label [{i:02}]" for i in range(12))
    server = serve("sentiment", labels)
    server.answers = {texts: labels[i] for i, texts in enumerate(server.answers)}
    gold = [*labels[:10], "label [98]", "label [99]"]
    file = write_rows(tmp_path / "test.jsonl", "sentiment", gold)
    shown = run("sentiment", file, "--server", server.url)
    assert "the 10 worst of 14 labels" in shown and "most frequent confusions" in shown
    assert "label [98]" in shown and "label [11]" in shown and "version    v1" in shown


def test_json_holds_everything_and_nothing_else_is_printed(tmp_path, serve, monkeypatch):
    monkeypatch.setenv("SOFTCALL_API_KEY", "from the environment")
    labels = ("negative", "positive")
    server = serve("sentiment", labels)
    file = write_rows(tmp_path / "test.jsonl", "sentiment", peft_labels("sentiment", labels))
    printed = json.loads(run("sentiment", file, "--server", server.url, "--json"))
    assert (printed["accuracy"], printed["rows"], printed["versions"]) == (1.0, 12, ["v1"])
    assert printed["accuracy_interval_95"] == pytest.approx([0.7575, 1.0], abs=1e-4)
    assert {label["label"] for label in printed["per_label"]} == set(labels)
    assert server.keys == ["Bearer from the environment"]


def test_a_base_means_nothing_to_a_server(tmp_path):
    with pytest.raises(SoftcallError, match="--base goes with an artifact, not with --server"):
        run("sentiment", tmp_path / "test.jsonl", "--server", "http://localhost:8080", "--base", tmp_path)
