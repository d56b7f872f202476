"""Shows Softcall on its shipped tasks: one server, two tasks, one of them replaced while it runs.

`make demo` sets up what this needs. The server works on a copy of tasks/: the repository stays as it is.
"""

import gzip
import json
import random
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from local_server import ROOT, Answer, LocalServer, ServerFailed
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from softcall.artifact.artifact import Artifact

FOLDER = ROOT / "build/demo"
TASKS = FOLDER / "tasks"
SERVER_LOG = FOLDER / "server.log"
EXAMPLES = ROOT / "training-exporter/examples"
SEED = 7
SENTENCES = 6  # of each task
CALLS = 20
MOST_TOKENS = 256  # longer e-mails are cut, as in training

console = Console(highlight=False, width=None if sys.stdout.isatty() else 132)


class DemoFailed(Exception):
    """Something went otherwise than the demo says it goes."""


@dataclass(frozen=True)
class Sentence:
    """A text of a task's test set and the label that people gave it."""

    task: str
    text: str
    label: str


def main() -> None:
    """Run the demo."""
    shutil.rmtree(TASKS, ignore_errors=True)
    shutil.copytree(ROOT / "tasks", TASKS)
    banking, mail = test_set("banking77", "test.jsonl"), test_set("spamassassin", "test.jsonl.gz")
    console.print(f"Starting the server; its store is the folder {TASKS.relative_to(ROOT)}")
    with LocalServer(TASKS, SERVER_LOG) as server:
        console.print(f"Ready at {server.url}\n")
        warm_up(server, banking[0], mail[0])
        classify(server, banking, mail)
        switch(server, banking[0], mail[0])
        replace_task(server, next(row for row in mail if row.label == "spam"))
        delete_task(server, mail[0])
    console.print("\nThe server is stopped.\n")
    say_what_next()


def test_set(task: str, file: str) -> list[Sentence]:
    """Return a task's test set, shuffled, the same way each time."""
    path = EXAMPLES / task / file
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as lines:
        rows = [json.loads(line) for line in lines]
    random.Random(SEED).shuffle(rows)
    return [Sentence(task, row["text"], row["label"]) for row in rows]


def ask(server: LocalServer, sentence: Sentence) -> Answer:
    """Classify a sentence; `DemoFailed` unless the server answers 200."""
    answer = server.classify(sentence.task, sentence.text, truncate_prompt_tokens=MOST_TOKENS)
    if answer.status != 200:
        raise DemoFailed(f"the server answered {answer.status} for {sentence.task}: {answer.body}")
    return answer


def warm_up(server: LocalServer, *sentences: Sentence) -> None:
    """Let Java compile what is called often, so that what follows shows the usual latency."""
    for _ in range(CALLS):
        for sentence in sentences:
            ask(server, sentence)


def classify(server: LocalServer, banking: list[Sentence], mail: list[Sentence]) -> None:
    """Classify sentences of both tasks in turn, and show labels and times."""
    heading("1. Two tasks on one model, called in turn")
    console.print(
        "One frozen model of 135 million parameters serves both. A task is a prompt of 20 vectors and a\n"
        f"label head ({artifact_bytes('banking77'):,} and {artifact_bytes('spamassassin'):,} bytes); "
        "each call asks the store for it. The texts are drawn at random from\n"
        f"the test sets, which training never saw; e-mails are cut to {MOST_TOKENS} tokens."
    )
    table = Table("task", "text", "people say", "Softcall says", "", pad_edge=False)
    for column in ("score", "ms", "store", "model"):
        table.add_column(column, justify="right", no_wrap=True)
    right = 0
    pairs = list(zip(banking[:SENTENCES], mail[:SENTENCES], strict=True))
    for sentence in (sentence for pair in pairs for sentence in pair):
        answer = ask(server, sentence)
        (item,) = answer.body["data"]
        right += item["label"] == sentence.label
        table.add_row(
            sentence.task,
            escape(shortened(sentence.text)),
            escape(sentence.label),
            escape(item["label"]),
            "[green]✓[/]" if item["label"] == sentence.label else "[red]✗[/]",
            f"{item['score']:.3f}",
            f"{answer.ms:.1f}",
            f"{answer.stage_ms('fetch'):.1f}",
            f"{answer.stage_ms('infer'):.1f}",
        )
    console.print(table)
    console.print(
        f"{right} of {2 * SENTENCES} right. ms: seen by this client; store: asking for the prompt's version; "
        "model: computing.\n`make score` scores both tasks on all 3,668 test texts.\n"
    )


def switch(server: LocalServer, first: Sentence, second: Sentence) -> None:
    """Show that calling tasks in turn takes no longer than calling one."""
    heading("2. Changing the task costs nothing")
    alone = {row.task: [ask(server, row).ms for _ in range(CALLS)] for row in (first, second)}
    in_turn: dict[str, list[float]] = {first.task: [], second.task: []}
    for _ in range(CALLS):
        for row in (first, second):
            in_turn[row.task].append(ask(server, row).ms)
    table = Table(f"median ms of {CALLS} calls with one text", pad_edge=False)
    table.add_column("always this task", justify="right")
    table.add_column("in turn with the other", justify="right")
    for task, times in alone.items():
        table.add_row(task, f"{statistics.median(times):.1f}", f"{statistics.median(in_turn[task]):.1f}")
    console.print(table)
    console.print()


def replace_task(server: LocalServer, spam: Sentence) -> None:
    """Push another artifact while the server runs, show the next answer, and take it back."""
    heading("3. A task is replaced while the server runs")
    console.print(f"spamassassin is asked about this e-mail: {escape(shortened(spam.text, 80))}")
    before = ask(server, spam)
    show("before", before)

    shipped = TASKS / "spamassassin/adapter_model.safetensors"
    other = FOLDER / "inbox-or-junk.safetensors"
    artifact = Artifact.from_bytes((ROOT / "tasks/spamassassin/adapter_model.safetensors").read_bytes())
    # Without training: other names for ham and spam, and scores that are less sure of themselves.
    other.write_bytes(replace(artifact, labels=("inbox", "junk"), temperature=2.0).to_bytes())
    softcall("push", other, "spamassassin")
    after = ask(server, spam)
    show("the very next call", after)
    if after.body["version"] == before.body["version"] or after.body["data"][0]["label"] not in (
        "inbox",
        "junk",
    ):
        raise DemoFailed(f"the server still answers with what was replaced: {after.body}")

    softcall("push", ROOT / "tasks/spamassassin/adapter_model.safetensors", "spamassassin")
    again = ask(server, spam)
    show("taken back", again)
    if again.body["version"] != before.body["version"]:
        raise DemoFailed(f"{shipped} was put back, but the server answers with another version: {again.body}")
    console.print()


def delete_task(server: LocalServer, mail: Sentence) -> None:
    """Remove a task, and show that the next call knows."""
    heading("4. A task is removed")
    softcall("rm", "spamassassin", "--yes")
    answer = server.classify(mail.task, mail.text, truncate_prompt_tokens=MOST_TOKENS)
    console.print(f"  {'the very next call':<20} {answer.status} {escape(answer.body['error']['message'])}")
    if answer.status != 404:
        raise DemoFailed(f"404 is the answer for a task that was removed, not {answer.status}")


def softcall(*arguments: object) -> None:
    """Run the command line as a user would, showing what is typed and what it says."""
    store = f"file:{TASKS.relative_to(ROOT)}"
    shown = [str(word).removeprefix(f"{ROOT}/") for word in arguments]
    console.print(f"  [bold]$ softcall {escape(' '.join(shown))} --store {store}[/]", soft_wrap=True)
    command = [Path(sys.executable).with_name("softcall"), *arguments, "--store", store]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DemoFailed(f"`softcall {' '.join(shown)}` failed: {done.stderr.strip()}")
    console.print(f"    {escape(done.stdout.strip())}", style="dim", soft_wrap=True)


def show(when: str, answer: Answer) -> None:
    """Print one answer in a line."""
    (item,) = answer.body["data"]
    console.print(
        f"  {when:<20} [bold]{escape(item['label']):<6}[/] score {item['score']:.4f}   "
        f"version {answer.body['version'][:12]}   {answer.ms:.1f} ms"
    )


def say_what_next() -> None:
    """Print how to go on by hand."""
    heading("Go on by hand")
    console.print(
        "make serve        # the same server on port 8080; then, in another terminal:", markup=False
    )
    body = json.dumps({"model": "banking77", "input": "My card has not arrived yet"})
    console.print(
        f"curl -s localhost:8080/v1/classify -H 'content-type: application/json' -d '{body}'",
        markup=False,
        soft_wrap=True,
    )
    console.print(
        "\nREADME.md says how to train, publish and serve tasks of your own; docs/ has the formats. "
        f"The server's log: {SERVER_LOG.relative_to(ROOT)}"
    )


def heading(text: str) -> None:
    """Print a section's heading."""
    console.print(f"[bold]{escape(text)}[/]")


def shortened(text: str, most: int = 44) -> str:
    """Return a text in one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def artifact_bytes(task: str) -> int:
    """Return the size of a shipped task."""
    return (ROOT / "tasks" / task / "adapter_model.safetensors").stat().st_size


if __name__ == "__main__":
    try:
        main()
    except (DemoFailed, ServerFailed) as failure:
        sys.exit(f"demo: {failure}\nThe server's log is {SERVER_LOG}")
    except KeyboardInterrupt:
        sys.exit("\ndemo: interrupted; the server is stopped")
