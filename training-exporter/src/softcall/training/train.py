"""Train a soft prompt: the base stays frozen, only the prompt's vectors (and the label head) learn.

A row is [prompt; text], padded on the right. The trunk's hidden row at its last token, times the label
head, gives the label logits; the loss is the cross-entropy over the labels alone. What happens around the
loop is here; the loop is `softcall.training.loop.fit.fit`.
"""

import hashlib
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from accelerate import PartialState
from rich.console import Console
from rich.table import Table
from torch import nn

import softcall
from softcall.artifact.artifact import Artifact
from softcall.artifact.bounds import max_artifact_bytes
from softcall.artifact.label_head import default_verbalizer, verbalizer_head
from softcall.artifact.template import Template
from softcall.base.source import LoadedBase, Source
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.core.printable import printable
from softcall.evaluation.classifier import PromptedClassifier, torch_device
from softcall.evaluation.temperature import fit_abstain_threshold
from softcall.stores.addresses import open_store
from softcall.stores.store import check_task
from softcall.training.cross_validation import out_of_fold
from softcall.training.loop.fit import PLAIN, Learner, Result, Run, deterministic, fit, score
from softcall.training.loop.stepping import stepping_trunk
from softcall.training.rows import Examples, TrainingRows, encode
from softcall.training.settings.config import Head, TrainConfig
from softcall.training.settings.prompt_init import PromptInit, default_init_text, initial_prompt
from softcall.training.settings.sweep import Candidate, halvings


def train(config: TrainConfig, console: Console) -> Artifact:
    """Run `config` to its end, write the artifact to `config.out`, and return it.

    Goes on from the run folder's checkpoint where there is one. What was picked and what was reached is
    told on `console`. Where Accelerate started several processes they share the work, and the main one
    alone tells and writes. Raises `SoftcallError` for input that cannot be trained on, and when loss or
    gradient are no longer finite, or explode.
    """
    _require_folder("--out", config.out.parent)
    device = torch_device(config.device)
    processes = PartialState(cpu=device.type == "cpu")
    if device.type == "cuda":
        device = torch.device("cuda", processes.local_process_index)
    if not processes.is_main_process:
        console = Console(quiet=True)
    rows = TrainingRows.read(config)
    config = config.settled(len(rows.train))
    words = verbalizers(config, rows.labels)
    with processes.local_main_process_first():  # which fetches the default base
        found = Source.resolve(config.base)
    base = found.load()
    _require_positions(config, base)
    source = _source(config, base)
    template = Template(config.template or rows.default_template)
    examples = {
        name: encode(part, rows.labels, template, base, config.max_text_tokens)
        for name, part in (("train", rows.train), ("dev", rows.dev), ("test", rows.test))
    }
    identity = config.identity() | rows.identity
    identity |= {"base": base.fingerprint, "template": template.source, "verbalizers": words}
    identity |= {"init_from_sha256": source.sha256} if source else {}
    folder = config.run_folder(identity)
    announce(console, config, rows, examples, template, base, words, device, folder)

    with deterministic():

        def begin(candidates: Sequence[Candidate]) -> list[Learner]:
            return [
                Learner(config, each, first_classifier(config, each, base, words, source).to(device))
                for each in candidates
            ]

        learners = begin(config.tried)
        exact = base.model.base_model.to(device)  # float32: what every score is taken with
        run = Run(
            config,
            stepping_trunk(exact, config),
            exact,
            examples["train"],
            examples["dev"],
            rows.labels,
            folder if processes.is_main_process else None,
            identity,
            console,
        )
        if processes.is_main_process:
            _require_folder("--run-dir", folder)
        started = time.monotonic()
        winner, *_ = fit(run, learners)
        _say(console, f"trained in {time.monotonic() - started:.1f} s")
        unseen = None
        if config.calibration_folds:
            (unseen,) = out_of_fold(run, partial(begin, [winner.candidate]), config.calibration_folds)
        results = {
            name: score(winner.classifier, exact, examples[name], rows.labels)
            for name in ("dev", "test")
            if examples[name].ids
        }

    raw = results["dev"]
    artifact, results = as_artifact(
        config, rows, base, words, results, winner, learners, source=source, unseen=unseen
    )
    if processes.is_main_process:
        write_file(config.out, artifact.to_bytes())
        report(console, config, learners, winner, raw, results, artifact)
    return artifact


def as_artifact(
    config: TrainConfig,
    rows: TrainingRows,
    base: LoadedBase,
    words: Sequence[str],
    results: Mapping[str, Result],
    winner: Learner,
    learners: Sequence[Learner],
    *,
    source: "SourcePrompt | None" = None,
    unseen: Result | None = None,
) -> tuple[Artifact, dict[str, Result]]:
    """The winner as an artifact, and `results` of dev, perhaps test, with the temperature.

    That fits dev, and where there are any the `unseen`: training rows with the answers of prompts that have
    not seen them.
    """
    raw = results["dev"]
    temperature = (raw if unseen is None else raw.beside(unseen)).calibrated.temperature
    results = {name: replace(result, temperature=temperature) for name, result in results.items()}
    metrics = {
        f"{name}_{key}": value for name, result in results.items() for key, value in result.metrics.items()
    }
    metrics["dev_calibration_error_before"] = raw.scores.calibration_error
    if unseen is not None:
        metrics["out_of_fold_accuracy"] = unseen.scores.accuracy
    classifier = winner.classifier
    artifact = Artifact(
        prompt=classifier.prompt.detach().cpu().numpy(),
        label_head=classifier.label_head.detach().cpu().numpy(),
        label_bias=classifier.label_bias.detach().cpu().numpy(),
        template=Template(config.template or rows.default_template),
        labels=rows.labels,
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        temperature=temperature,
        abstain_threshold=_abstain_threshold(config, results["dev"]),
        metrics=metrics,
        training=provenance(config, rows, words, source, winner, learners, classifier.prompt.device),
    )
    return artifact, results


def report(
    console: Console,
    config: TrainConfig,
    learners: Sequence[Learner],
    winner: Learner,
    raw: Result,
    results: dict[str, Result],
    artifact: Artifact,
) -> None:
    """Say what was reached."""
    if len(learners) > 1:
        console.print(candidate_table(learners, winner))
    for name, result in results.items():
        _say(console, f"{name}: {result.told} of {result.scores.rows:,} rows")
    before, after = (result.scores.calibration_error for result in (raw, results["dev"]))
    fitted_on = "dev"
    if config.calibration_folds:
        accuracy = artifact.metrics["out_of_fold_accuracy"]
        fitted_on += f" and {config.calibration_folds} folds of train (accuracy {accuracy:.4f})"
    _say(
        console,
        f"temperature {artifact.temperature:.3f}, fitted on {fitted_on}:"
        f" expected calibration error {before:.4f} before, {after:.4f} after",
    )
    if artifact.abstain_threshold is not None:
        below = (results["dev"].confidence < artifact.abstain_threshold).mean()
        _say(
            console,
            f"abstains below a probability of {artifact.abstain_threshold:.4f}: {below:.1%} of dev's rows",
        )
    size, step = config.out.stat().st_size, winner.state.best_step
    _say(console, f"wrote {config.out} ({size:,} bytes): the prompt of step {step}")


def candidate_table(learners: Sequence[Learner], winner: Learner) -> Table:
    """What a sweep tried, and what became of it."""
    table = Table(title="candidates, by their best on dev", title_justify="left")
    for column in ("learning rate", "init", "tokens", "seed", "steps", "accuracy", "loss", ""):
        table.add_column(column, justify="left" if column in ("init", "") else "right")
    for learner in learners:
        candidate, state = learner.candidate, learner.state
        shown = [f"{candidate.learning_rate:.4g}", candidate.init.value, candidate.tokens, candidate.seed]
        shown += [state.steps, f"{state.best_accuracy:.4f}", f"{state.best_loss:.3f}"]
        if not state.evaluations:
            shown[-2:] = "-", "-"
        table.add_row(*map(str, shown), "won" if learner is winner else state.dropped)
    return table


def _abstain_threshold(config: TrainConfig, dev: Result) -> float | None:
    if config.abstain_threshold == "auto":
        return fit_abstain_threshold(dev.confidence, dev.logits.argmax(axis=1) == dev.answers)
    return config.abstain_threshold


# Where the prompt and the label head start


def first_classifier(
    config: TrainConfig,
    candidate: Candidate,
    base: LoadedBase,
    words: Sequence[str],
    source: "SourcePrompt | None" = None,
) -> PromptedClassifier:
    """The prompt by the candidate's init, a label head of the verbalizers' rows, a bias of zeros."""
    prompt = initial_prompt(
        candidate.init,
        candidate.tokens,
        _rows_of(base.model.get_input_embeddings()),
        base.tokenizer,
        init_text=_init_text(config, words),
        verbalizers=words,
        seed=candidate.seed,
        given=source.prompt if source else None,
    )
    return classifier_behind(prompt, config, base, words)


def classifier_behind(
    prompt: np.ndarray, config: TrainConfig, base: LoadedBase, words: Sequence[str]
) -> PromptedClassifier:
    """A prompt [tokens, hidden] before a label head of the verbalizers' rows, with a bias of zeros."""
    head = verbalizer_head(_rows_of(base.model.get_output_embeddings()), base.tokenizer, words)
    bias = np.zeros(len(head), np.float32)
    return PromptedClassifier(prompt, head, bias, train_head=config.head == Head.TRAINED)


@dataclass(frozen=True)
class SourcePrompt:
    """Another task's prompt [tokens, hidden] to start from, and the sha256 of its artifact."""

    prompt: np.ndarray
    sha256: str


def _source(config: TrainConfig, base: LoadedBase) -> SourcePrompt | None:
    """What `--init-from` names: an artifact's file, or else a task of `--store`."""
    if config.init_from is None:
        return None
    path = Path(config.init_from)
    if path.is_file():
        data = read_bounded(path, max_artifact_bytes())
    elif config.store is not None:
        data, _ = open_store(config.store).get(check_task(config.init_from))
    else:
        raise SoftcallError(
            f"--init-from {path}: no such file; an artifact is expected, or with --store the name of a task"
        )
    artifact = Artifact.from_bytes(data, config.init_from)
    artifact.require_base(base.name, base.fingerprint, base.model.config.hidden_size)
    if artifact.tokens != config.tokens:
        raise SoftcallError(
            f"--init-from {config.init_from}: its prompt has {artifact.tokens} tokens, not {config.tokens};"
            f" give --tokens {artifact.tokens}"
        )
    return SourcePrompt(artifact.prompt, hashlib.sha256(data).hexdigest())


def _rows_of(embedding: nn.Module) -> Callable[[Sequence[int]], np.ndarray]:
    return lambda ids: embedding.weight[torch.as_tensor(ids)].detach().cpu().numpy()


def verbalizers(config: TrainConfig, labels: tuple[str, ...]) -> list[str]:
    """The words that stand for each label."""
    for label in config.verbalizers:
        if label not in labels:
            raise SoftcallError(
                f"--verbalizer names {label!r}, which is no label of {config.data}; "
                f"its labels are {', '.join(labels[:20])}"
            )
    return [config.verbalizers.get(label, default_verbalizer(label)) for label in labels]


def _init_text(config: TrainConfig, words: Sequence[str]) -> str:
    return config.init_text if config.init_text is not None else default_init_text(words)


# Surroundings


def announce(
    console: Console,
    config: TrainConfig,
    rows: TrainingRows,
    examples: dict[str, Examples],
    template: Template,
    base: LoadedBase,
    words: Sequence[str],
    device: torch.device,
    folder: Path,
) -> None:
    """Say what was picked, so that no default is a secret."""
    head = f" (head {config.head_learning_rate:g})" if config.head == Head.TRAINED else ""
    longest = max(examples["train"].lengths)
    cut = sum(part.cut for part in examples.values())
    processes = PartialState().num_processes
    shared = f", {processes} processes" if processes > 1 else ""
    where = f"{printable(base.name)} on {device_name(device)}{shared}"
    lines = [
        f"base      {where}; steps in {config.dtype}, scores in float32",
        f"rows      {len(rows.train):,} train, {len(rows.dev):,} dev, {len(rows.test):,} test",
        f"labels    {len(rows.labels)}; label head: {config.head}",
        f"texts     {template.source!r}, at most {longest} tokens; {cut:,} texts were cut",
        *_told_candidates(config, words),
        f"steps     {config.steps:,} of {config.batch_size} rows, dev every {config.eval_every}",
        f"learning  rate {config.learning_rate:g}{head}, {config.warmup_steps} steps of warm-up, cosine",
        f"run       {folder}",
    ]
    lines += [f"warning   {note}" for note in rows.notes]
    _say(console, "\n".join(lines))


def _told_candidates(config: TrainConfig, words: Sequence[str]) -> list[str]:
    tried = config.tried
    if len(tried) > 1:
        kept = ", ".join(
            f"{count} after step {step}" for step, count in halvings(len(tried), config.steps).items()
        )
        return [f"sweep     {len(tried)} candidates in one run of the base; {kept}"]
    init = config.init.value
    if config.init == PromptInit.TEXT:
        init += f" {_init_text(config, words)[:60]!r}"
    elif config.init == PromptInit.ARTIFACT:
        init += f" {config.init_from}"
    return [f"prompt    {config.tokens} tokens from {init}, seed {config.seed}"]


def provenance(
    config: TrainConfig,
    rows: TrainingRows,
    words: Sequence[str],
    source: SourcePrompt | None,
    winner: Learner,
    learners: Sequence[Learner],
    device: torch.device,
) -> dict[str, Any]:
    """How the prompt was trained, for people; two runs of one command have the same."""
    state, candidate = winner.state, winner.candidate
    done = {"train_rows": len(rows.train), "best_step": state.best_step, "last_step": state.steps}
    versions = {
        "softcall": softcall.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    picked = {"init_text": _init_text(config, words)} if candidate.init == PromptInit.TEXT else {}
    if candidate.init == PromptInit.ARTIFACT:
        picked = {"init_from": config.init_from, "init_from_sha256": source.sha256}
    where = {"device": device_name(device), "processes": PartialState().num_processes, "versions": versions}
    how = config.identity() | candidate.told | picked | {"verbalizers": list(words)}
    if config.calibration_folds:
        how["calibration_folds"] = config.calibration_folds
    if len(learners) > 1:
        how["candidates"] = [
            learner.candidate.told
            | {
                "steps": learner.state.steps,
                "dev_accuracy": learner.state.best_accuracy,
                "dropped": learner.state.dropped,
            }
            for learner in learners
        ]
    return rows.identity | rows.test_identity | how | done | where


def device_name(device: torch.device) -> str:
    """What a device is called, for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"


def _say(console: Console, text: str) -> None:
    console.print(text, **PLAIN)


def _require_folder(option: str, folder: Path) -> None:
    """Make a folder, and learn before the training, not after it, that nothing can be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SoftcallError(f"{option}: the folder {folder} cannot be made ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise SoftcallError(f"{option}: the folder {folder} is not writable")


def _require_positions(config: TrainConfig, base: LoadedBase) -> None:
    positions = base.model.config.max_position_embeddings
    tokens = max(candidate.tokens for candidate in config.tried)
    if tokens + config.max_text_tokens > positions:
        raise SoftcallError(
            f"--tokens {tokens} and --max-text-tokens {config.max_text_tokens} are together more than"
            f" the {positions} positions of {base.name}"
        )
