"""Training: what a step costs beside PEFT, on the same rows in batches of the same size, a step each in turn.

`make bench-training`; each bar is a line: its name, the figure, what is wanted, and whether it holds.
"""

import argparse
import os
import statistics
import sys
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from softcall_bench.bar import Bar, bar_line
from softcall_bench.local_server import ROOT
from softcall_bench.machine import Machine
from softcall_bench.sides import Run, Side

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
        from softcall.artifact.label_head import default_verbalizer
        from softcall.artifact.template import Template
        from softcall.base.source import Source
        from softcall.datasets.default_template import default_template
        from softcall.datasets.rows import labels_of, read_rows
        from softcall.training.inputs.examples import encode

        found = read_rows(file)
        labels = labels_of(found, file)
        drawn = [found[i] for i in np.random.default_rng(SEED).permutation(len(found))[:rows]]
        template = Template(default_template(drawn))
        examples = encode(drawn, labels, template, Source.resolve(None).load(), LIMIT)
        return cls(examples.ids, examples.answers, [*map(default_verbalizer, labels)])


# Each side makes what takes the next step, and is handed no rows: it has its own.


def softcall(task: Task) -> Run:
    """The steps of `softcall train`."""
    from softcall.training.compute.determinism import deterministic
    from softcall.training.inputs.batches import TrainBatches
    from softcall.training.inputs.examples import Examples
    from softcall.training.loop.run import Run as TrainingRun
    from softcall.training.loop.step import take_step

    config, base, learner = _learner(task)
    examples = Examples(task.ids, task.answers, 0)
    trunk = base.model.base_model
    labels, quiet = tuple(task.words), Console(quiet=True)
    run = TrainingRun(config, trunk, trunk, examples, examples, labels, None, {}, quiet)
    batches = TrainBatches(task.ids, BATCH, config.token_dropout, SEED)
    steps = iter(range(len(task.ids) // BATCH))

    def step(_rows: Any) -> None:
        with deterministic():
            take_step(run, [learner], [batches.batch(next(steps))], 1.0)
            learner.optimizer.step()

    return step


def peft_label_loss(task: Task) -> Run:
    """PEFT's prompt before the trunk, with Softcall's batches, label head, loss, and optimizer."""
    import torch
    from peft import PromptTuningConfig, get_peft_model
    from torch import nn

    from softcall.evaluation.classifier import pad_right
    from softcall.training.inputs.batches import LengthBuckets

    config, base, learner = _learner(task)
    tuning = PromptTuningConfig(task_type="FEATURE_EXTRACTION", num_virtual_tokens=TOKENS)
    model = get_peft_model(base.model.base_model, tuning)
    head = learner.classifier
    learnt = [model.prompt_encoder["default"].embedding.weight, head.label_head, head.label_bias]
    optimizer = torch.optim.AdamW(learnt, lr=config.learning_rate)
    buckets = LengthBuckets([*map(len, task.ids)], BATCH, SEED)
    steps = iter(range(len(task.ids) // BATCH))

    def step(_rows: Any) -> None:
        rows = buckets.batch(next(steps))
        ids, lengths = pad_right([task.ids[row] for row in rows], torch.device("cpu"))
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        hidden = model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits = head.head(hidden[torch.arange(len(rows)), TOKENS + lengths - 1])
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, torch.from_numpy(task.answers[rows])).backward()
        nn.utils.clip_grad_norm_(learnt, config.clip_norm)
        optimizer.step()

    return step


def peft_trainer(task: Task) -> Run:
    """PEFT in transformers' Trainer as both document it: padded to the longest, the vocabulary's loss."""
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

    # Trainer has the loop, so it runs in a thread, and waits there for its turn.
    begin, end = threading.Semaphore(0), threading.Semaphore(0)

    class InTurn(TrainerCallback):
        def on_step_begin(self, *_state: Any, **_more: Any) -> None:
            begin.acquire()

        def on_step_end(self, *_state: Any, **_more: Any) -> None:
            end.release()

    base.model.is_quantized = False  # Trainer looks for a quantizer; the GGUF's weights are plain by now
    model = get_peft_model(base.model, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=TOKENS))
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
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=rows,
        data_collator=DataCollatorForSeq2Seq(tokenizer, padding=True),
        callbacks=[InTurn()],
    )
    threading.Thread(target=trainer.train, daemon=True).start()

    def step(_rows: Any) -> None:
        begin.release()
        end.acquire()

    return step


def _learner(task: Task):
    """(the configuration, the base, what `softcall train` would learn): all sides start from these."""
    from softcall.base.source import Source
    from softcall.training.initialization import first_classifier
    from softcall.training.loop.learner import Learner
    from softcall.training.settings.config import TrainConfig

    config = TrainConfig(Path("rows"), Path("out.safetensors"), tokens=TOKENS, device="cpu", seed=SEED)
    config = config.settled(len(task.ids))
    base = Source.resolve(None).load()
    (candidate,) = config.tried
    return config, base, Learner(config, candidate, first_classifier(config, candidate, base, task.words))


def measure(task: Task, console: Console) -> list[Bar]:
    """Run all sides, a step each in turn."""
    steps = len(task.ids) // BATCH
    makers = (softcall, peft_label_loss, peft_trainer)
    with ExitStack() as stack:
        sides = {make.__name__: stack.enter_context(Side(make, task)) for make in makers}
        took: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(steps):
            for name, side in sides.items():
                took[name] += side.seconds((), 1)
        for name, side in sides.items():
            console.print(
                f"  {name:<16} {sum(took[name]):6.1f} s for {steps} steps, median"
                f" {1e3 * statistics.median(took[name]):5.0f} ms;"
                f" peak RSS {side.memory_mb()['peak_rss_mb']:,.0f} MB",
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
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # a side that waits shall not spin on the other's cores
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
