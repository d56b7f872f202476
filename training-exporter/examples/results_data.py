"""Lays out data sets as `results.sh` takes them: whole, with few rows, in other words, and in folds.

usage: results_data.py SOURCE TARGET

SOURCE has a folder for each data set, with train.jsonl and what `SETS` names; most of them may not be
redistributed, so they are no part of this repository.
"""

import gzip
import json
import random
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

# (dev, test, template). Without a dev, one is carved out of train. The test rows of cola and rte have no
# public labels, so their dev rows are the test here.
SETS = {
    "agnews": ("dev", "test_2k", "{text}\nTopic:"),
    "banking77": (None, "test", "Message: {text}\nThis message is about"),
    "cola": (None, "dev", "{text}\nGrammar:"),
    "rte": (None, "dev", "{text1}\n{text2}\nAnswer:"),
    "sms_spam": ("dev", "test", "SMS: {text}\nIs this SMS ham or spam? Answer:"),
    "spamassassin": ("dev", "test", "E-mail: {text}\nIs this e-mail ham or spam? Answer:"),
    "sst2": ("dev", "test", "{text}\nSentiment:"),
    "subj": ("dev", "test", "{text}\nThis is:"),
    "trec": (None, "test", "Question: {text}\nThe answer to this question is a kind of"),
}
# Other words: no better on dev (cola) or in cross-validation (banking77, trec); rte's differ less than seeds.
WORDS = {
    "words-a": {
        "banking77": ("{text}\nIntent:", {}),
        "cola": (
            "Sentence: {text}\nIs this sentence grammatically correct? Answer:",
            {"acceptable": " Yes", "unacceptable": " No"},
        ),
        "rte": (
            "{text1}\nQuestion: {text2} True or False?\nAnswer:",
            {"entailment": " True", "not_entailment": " False"},
        ),
        "trec": ("{text}\nQuestion type:", {}),
    },
    "words-b": {
        "rte": (
            "Premise: {text1}\nHypothesis: {text2}\nDoes the premise entail the hypothesis? Answer:",
            {"entailment": " Yes", "not_entailment": " No"},
        ),
    },
    "words-c": {
        "rte": (
            "{text1}\nDoes this mean that the following is true? {text2}\nAnswer:",
            {"entailment": " Yes", "not_entailment": " No"},
        ),
    },
}
FEW = ("agnews", "sst2", "trec")
FEW_ROWS = (16, 64)
# Data sets and words that are compared by cross-validation: each fifth of train is once the test of what
# the other four taught. Test rows have no part in it.
FOLDED = {
    "folds": ("banking77", "rte", "trec"),
    "folds-words-a": ("banking77", "rte", "trec"),
    "folds-words-b": ("rte",),
    "folds-words-c": ("rte",),
}
FOLDS = 5
SEED = 13


def main(source: Path, target: Path) -> None:
    """Write `target`/all, `target`/few and those of `WORDS` and `FOLDED` anew."""
    shutil.rmtree(target, ignore_errors=True)
    for name, (dev, test, template) in SETS.items():
        rows = {"train": read(source / name / "train.jsonl"), "test": read(source / name / f"{test}.jsonl")}
        if dev:
            rows["dev"] = read(source / name / f"{dev}.jsonl")
        write(target / "all" / name, rows, template)
        for kind, words in WORDS.items():
            if name in words:
                write(target / kind / name, rows, *words[name])
        if name in FEW:
            for count in FEW_ROWS:
                few = {"train": sample(rows["train"], count), "test": rows["test"]}
                write(target / "few" / f"{name}-{count}", few, template)
        for kind, names in FOLDED.items():
            if name in names:
                words = WORDS.get(kind.removeprefix("folds-"), {}).get(name, (template,))
                for number, fold in enumerate(folds(rows["train"]), 1):
                    write(target / kind / f"{name}-{number}", fold, *words)


def read(path: Path) -> list[dict[str, Any]]:
    """Rows, with nothing but texts and label."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [{name: row[name] for name in ("text", "text1", "text2", "label") if name in row} for row in rows]


def sample(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """`count` rows of each label, or all that it has."""
    generator = random.Random(SEED)
    by_label: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_label.setdefault(row["label"], []).append(row)
    return [
        row for _, some in sorted(by_label.items()) for row in generator.sample(some, min(count, len(some)))
    ]


def folds(rows: list[dict[str, Any]]) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Each fifth of the shuffled rows as test, the others as train; equal rows lie in one fifth."""
    texts = sorted({text(row) for row in rows})
    random.Random(SEED).shuffle(texts)
    fold = {text: number % FOLDS for number, text in enumerate(texts)}
    for number in range(FOLDS):
        yield {
            "train": [row for row in rows if fold[text(row)] != number],
            "test": [row for row in rows if fold[text(row)] == number],
        }


def text(row: dict[str, Any]) -> str:
    """All texts of a row."""
    return "\n".join(row[name] for name in ("text", "text1", "text2") if name in row)


def write(
    folder: Path,
    rows: dict[str, list[dict[str, Any]]],
    template: str,
    verbalizers: Mapping[str, str] | None = None,
) -> None:
    """A folder as `softcall compare` takes it; the same rows give the same bytes."""
    folder.mkdir(parents=True)
    for part, some in rows.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in some)
        (folder / f"{part}.jsonl.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    task = {"template": template, "labels": sorted({row["label"] for row in rows["train"]})}
    if verbalizers:
        task["verbalizers"] = verbalizers
    (folder / "task.json").write_text(json.dumps(task, indent=1) + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
