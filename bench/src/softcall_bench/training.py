"""Training: what a step costs beside PEFT, on the same rows in batches of the same size, a step each in turn.

`make bench-training`; each bar is a line: its name, the figure, what is wanted, and whether it holds.
"""

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from softcall_bench.bars import Bar
from softcall_bench.machine import Machine
from softcall_bench.report import bar_line
from softcall_bench.server import ROOT
from softcall_bench.sides import ANSWER_LIMIT_S, END_LIMIT_S, QUIET, SideFailed

BATCH, STEPS, TOKENS, SEED = 16, 50, 20, 13
LIMIT = 256  # tokens of a text
DATA = ROOT / "training-exporter/examples/banking77/train.jsonl"


@dataclass(frozen=True)
class Task:
    """What all sides learn from: token ids of rows, the index of each row's label, and the labels' words."""

    ids: list[list[int]]
    answers: np.ndarray
    words: list[str]

    @classmethod
    def read(cls, file: Path, rows: int) -> "Task":
        """So many rows of a file, drawn by `SEED`."""
        from softcall.data import labels_of, read_rows
        from softcall.label_head import default_verbalizer
        from softcall.source import Source
        from softcall.template import Template
        from softcall.train_data import default_template, encode

        found = read_rows(file)
        labels = labels_of(found, file)
        drawn = [found[i] for i in np.random.default_rng(SEED).permutation(len(found))[:rows]]
        template = Template(default_template(drawn))
        examples = encode(drawn, labels, template, Source.resolve(None).load(), LIMIT)
        return cls(examples.ids, examples.answers, [*map(default_verbalizer, labels)])


@dataclass
class Turns:
    """A side's part of the measurement: it waits for its turn, takes a step, and says how long that took."""

    pipe: Connection

    def begin(self) -> None:
        """Wait for the turn."""
        self.pipe.recv()
        self._started = time.perf_counter()

    def end(self) -> None:
        """The step is done."""
        self.pipe.send(time.perf_counter() - self._started)


def softcall(task: Task, turns: Turns) -> None:
    """The steps of `softcall train`."""
    from softcall import fit
    from softcall.train_batches import LengthBuckets
    from softcall.train_data import Examples

    config, base, learner = _learner(task)
    examples = Examples(task.ids, task.answers, 0)
    trunk = base.model.base_model
    run = fit.Run(config, trunk, trunk, examples, examples, tuple(task.words), None, {}, Console(quiet=True))
    buckets = LengthBuckets(examples.lengths, BATCH, SEED)
    with fit.deterministic():
        for step in range(len(task.ids) // BATCH):
            turns.begin()
            fit.take_step(run, [learner], [buckets.batch(step)], 1.0)
            learner.optimizer.step()
            turns.end()


def peft_label_loss(task: Task, turns: Turns) -> None:
    """PEFT's prompt before the trunk, with Softcall's batches, label head, loss, and optimizer."""
    import torch
    from peft import PromptTuningConfig, get_peft_model
    from torch import nn

    from softcall.classifier import pad_right
    from softcall.train_batches import LengthBuckets

    config, base, learner = _learner(task)
    tuning = PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=TOKENS)
    model = get_peft_model(base.model.base_model, tuning)
    head = learner.classifier
    learnt = [model.prompt_encoder["default"].embedding.weight, head.label_head, head.label_bias]
    optimizer = torch.optim.AdamW(learnt, lr=config.learning_rate)
    buckets = LengthBuckets([*map(len, task.ids)], BATCH, SEED)
    for step in range(len(task.ids) // BATCH):
        turns.begin()
        rows = buckets.batch(step)
        ids, lengths = pad_right([task.ids[row] for row in rows], torch.device("cpu"))
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        hidden = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits = head.head(hidden[torch.arange(len(rows)), TOKENS + lengths - 1])
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, torch.from_numpy(task.answers[rows])).backward()
        nn.utils.clip_grad_norm_(learnt, config.clip_norm)
        optimizer.step()
        turns.end()


def peft_trainer(task: Task, turns: Turns) -> None:
    """PEFT in transformers' Trainer as both document it: rows padded to the longest, the vocabulary's loss."""
    from peft import PromptTuningConfig, get_peft_model
    from transformers import (
        DataCollatorForSeq2Seq,
        PreTrainedTokenizerFast,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    config, base, _ = _learner(task)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=base.tokenizer, padding_side="right")
    tokenizer.pad_token = base.tokenizer.id_to_token(0)
    words = [base.tokenizer.encode(word, add_special_tokens=False).ids for word in task.words]
    rows = [
        {"input_ids": ids + words[answer], "labels": [-100] * len(ids) + words[answer]}
        for ids, answer in zip(task.ids, task.answers, strict=True)
    ]

    class InTurn(TrainerCallback):
        def on_step_begin(self, *_state: Any, **_more: Any) -> None:
            turns.begin()

        def on_step_end(self, *_state: Any, **_more: Any) -> None:
            turns.end()

    model = get_peft_model(
        base.model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS)
    )
    arguments = TrainingArguments(
        per_device_train_batch_size=BATCH,
        num_train_epochs=1,
        learning_rate=config.learning_rate,
        use_cpu=True,
        seed=SEED,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
    )
    Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
        callbacks=[InTurn()],
    ).train()


def _learner(task: Task):
    """(the configuration, the base, what `softcall train` would learn): all sides start from these."""
    from softcall.fit import Learner
    from softcall.source import Source
    from softcall.train import first_classifier
    from softcall.train_config import TrainConfig

    config = TrainConfig(Path("rows"), Path("out.safetensors"), tokens=TOKENS, device="cpu", seed=SEED)
    config = config.settled(len(task.ids))
    base = Source.resolve(None).load()
    classifier = first_classifier(config, config.own_candidate, base, task.words)
    return config, base, Learner(config, config.own_candidate, classifier)


class TrainingSide:
    """A side in a process of its own."""

    def __init__(self, train: Callable[[Task, Turns], None], task: Task) -> None:
        """`train(task, turns)` runs there."""
        self.name = train.__name__
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_train, args=(theirs, train, task), daemon=True)
        self._process.start()
        theirs.close()

    def step(self) -> float:
        """Let the side take one step; its seconds."""
        self._pipe.send(None)
        return self._answer()

    def finish(self) -> int:
        """The peak of the side's resident memory in bytes, when it has ended."""
        peak = self._answer()
        self._process.join(END_LIMIT_S)
        return peak

    def _answer(self) -> Any:
        try:
            if not self._pipe.poll(ANSWER_LIMIT_S):
                raise SideFailed(f"{self.name} did not answer within {ANSWER_LIMIT_S} s")
            answer = self._pipe.recv()
        except EOFError:
            raise SideFailed(f"{self.name} ended") from None
        if isinstance(answer, str):
            raise SideFailed(f"{self.name}: {answer}")
        return answer


def _train(pipe: Connection, train: Callable[[Task, Turns], None], task: Task) -> None:
    import os

    os.environ |= QUIET
    try:
        train(task, Turns(pipe))
        pipe.send(1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    except Exception as error:  # whatever a library raises is told, not lost
        pipe.send(f"{type(error).__name__}: {error}")


def measure(task: Task, console: Console) -> list[Bar]:
    """Run all sides, a step each in turn."""
    sides = [TrainingSide(train, task) for train in (softcall, peft_label_loss, peft_trainer)]
    steps = len(task.ids) // BATCH
    took: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(steps):
        for side in sides:
            took[side.name].append(side.step())
    for side in sides:
        seconds = took[side.name]
        console.print(
            f"  {side.name:<16} {sum(seconds):6.1f} s for {steps} steps, median"
            f" {1e3 * statistics.median(seconds):5.0f} ms; peak RSS {side.finish() / 1e6:,.0f} MB",
            highlight=False,
        )
    mine = sum(took[softcall.__name__])
    return [
        Bar(
            f"{steps} steps of {BATCH} rows: time of {told}",
            mine / sum(took[other.__name__]),
            wanted,
            at_most=True,
        )
        for other, told, wanted in (
            (peft_trainer, "PEFT with the Trainer, full-vocabulary loss", 0.6),
            (peft_label_loss, "PEFT with the same batches and label loss", 0.95),
        )
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure; status 1 when a bar falls short."""
    parser = argparse.ArgumentParser(prog="softcall_bench.training", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="labelled texts; default: banking77's")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of {BATCH} rows each")
    options = parser.parse_args(arguments)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(str(Machine.here()), highlight=False)
    task = Task.read(options.data, BATCH * options.steps)
    lengths = [*map(len, task.ids)]
    console.print(
        f"  {options.data}: {len(task.ids):,} rows, median {statistics.median(lengths):.0f} tokens,"
        f" longest {max(lengths)}",
        highlight=False,
    )
    bars = measure(task, console)
    for bar in bars:
        console.print(bar_line(bar), highlight=False, soft_wrap=True)
    sys.exit(any(bar.verdict == "falls short" for bar in bars))


if __name__ == "__main__":
    main()
