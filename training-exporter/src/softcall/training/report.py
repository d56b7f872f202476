"""What training prints before its first step and after its last step."""

from collections.abc import Sequence
from pathlib import Path

import torch
from accelerate import PartialState
from rich.console import Console
from rich.table import Table

from softcall.artifact.artifact import ClassificationArtifact
from softcall.artifact.template import Template
from softcall.base.source import LoadedBase
from softcall.core.console import print_plain
from softcall.core.printable import printable
from softcall.training.initialization import init_text_of
from softcall.training.inputs.examples import Examples
from softcall.training.inputs.rows import TrainingRows
from softcall.training.loop.learner import Learner
from softcall.training.loop.scoring import LabelResult, Result
from softcall.training.outcome import device_name
from softcall.training.settings.config import Head, TrainConfig
from softcall.training.settings.prompt_init import PromptInit
from softcall.training.settings.sweep import halvings_by_type


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
    """Print the chosen settings, defaults included."""
    head = f" (head {config.head_learning_rate:g})" if config.head == Head.TRAINED else ""
    rate = " or ".join(f"{each.learning_rate:g}" for each in config.own_candidates)
    several = ", any number of them for a text: the label column holds lists" if rows.is_multi_label else ""
    longest = max(examples["train"].lengths)
    cut = sum(part.cut for part in examples.values())
    processes = PartialState().num_processes
    shared = f", {processes} processes" if processes > 1 else ""
    where = f"{printable(base.name)} on {device_name(device)}{shared}"
    lines = [
        f"base      {where}; steps in {config.dtype}, scores in float32",
        f"rows      {len(rows.train):,} train, {len(rows.dev):,} dev, {len(rows.test):,} test",
        f"labels    {len(rows.labels)}{several}; label head: {config.head}",
        f"texts     {template.source!r}, at most {longest} tokens; {cut:,} texts were cut",
        *_told_candidates(config, words),
        f"steps     {config.steps:,} of {config.batch_size} rows, dev every {config.eval_every}",
        f"learning  rate {rate}{head}, {config.warmup_steps} steps of warm-up, cosine",
        f"run       {folder}",
    ]
    lines += [f"warning   {note}" for note in rows.notes]
    print_plain(console, "\n".join(lines))


def _told_candidates(config: TrainConfig, words: Sequence[str]) -> list[str]:
    tried = config.tried
    if len(tried) > 1:
        types = " and ".join(dict.fromkeys(each.prompt.value for each in tried))
        kept = ", ".join(
            f"{count} {prompt} after step {step}"
            for step, counts in halvings_by_type(tried, config.steps).items()
            for prompt, count in counts.items()
        )
        return [f"sweep     {len(tried)} candidates, {types} prompts; {kept or 'all learn to the end'}"]
    init = config.init.value
    if config.init == PromptInit.TEXT:
        init += f" {init_text_of(config, words)[:60]!r}"
    elif config.init == PromptInit.ARTIFACT:
        init += f" {config.init_from}"
    return [f"prompt    {config.prompt}, {config.tokens} tokens from {init}, seed {config.seed}"]


def report(
    console: Console,
    config: TrainConfig,
    learners: Sequence[Learner],
    winner: Learner,
    raw: Result,
    results: dict[str, Result],
    artifact: ClassificationArtifact,
) -> None:
    """Print the outcome."""
    if len(learners) > 1:
        console.print(candidate_table(learners, winner, raw.quality_told))
    for name, result in results.items():
        print_plain(console, f"{name}: {result.told} of {result.scores.rows:,} rows")
    fitted_on = "dev"
    if config.calibration_folds:
        quality = artifact.metrics[f"out_of_fold_{raw.quality_name}"]
        fitted_on += f" and {config.calibration_folds} folds of train ({raw.quality_told} {quality:.4f})"
    print_plain(
        console,
        f"temperature {artifact.temperature:.3f}, fitted on {fitted_on}: {_gained(raw, results['dev'])}",
    )
    if artifact.thresholds is not None:
        low, high = min(artifact.thresholds), max(artifact.thresholds)
        print_plain(
            console, f"thresholds from {low:.4f} to {high:.4f}, a label each, fitted on {fitted_on} for F1"
        )
    if artifact.abstain_threshold is not None:
        below = (results["dev"].confidence < artifact.abstain_threshold).mean()
        print_plain(
            console,
            f"abstains below a probability of {artifact.abstain_threshold:.4f}: {below:.1%} of dev's rows",
        )
    size, step = config.out.stat().st_size, winner.state.best_step
    print_plain(console, f"wrote {config.out} ({size:,} bytes): the prompt of step {step}")


def _gained(before: Result, after: Result) -> str:
    """Return what the temperature has changed, in words."""
    if not isinstance(before, LabelResult) or not isinstance(after, LabelResult):
        return f"loss {before.loss:.4f} before, {after.loss:.4f} after"
    errors = [result.scores.calibration_error for result in (before, after)]
    return f"expected calibration error {errors[0]:.4f} before, {errors[1]:.4f} after"


def candidate_table(learners: Sequence[Learner], winner: Learner, quality: str) -> Table:
    """Return a table of a sweep's candidates and their outcomes; `quality` names what they compete in."""
    table = Table(title="candidates, by their best on dev", title_justify="left")
    for column in ("prompt", "learning rate", "init", "tokens", "seed", "steps", quality, "loss", ""):
        table.add_column(column, justify="left" if column in ("prompt", "init", "") else "right")
    for learner in learners:
        candidate, state = learner.candidate, learner.state
        shown = [candidate.prompt.value, f"{candidate.learning_rate:.4g}", candidate.init.value]
        shown += [
            candidate.tokens,
            candidate.seed,
            state.steps,
            f"{state.best_accuracy:.4f}",
            f"{state.best_loss:.3f}",
        ]
        if not state.evaluations:
            shown[-2:] = "-", "-"
        table.add_row(*map(str, shown), "won" if learner is winner else state.dropped)
    return table
