"""Train a prompt: the base stays frozen; only the prompt and the label head learn.

A row is a text behind the prompt, padded on the right. The label head turns the trunk's hidden row at the
last token into label logits; the loss is the cross-entropy over the labels alone. This module prepares a run
and stores its outcome; `softcall.training.loop.fit` is the loop.
"""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from accelerate import PartialState
from rich.console import Console

from softcall.artifact.artifact import ClassificationArtifact
from softcall.artifact.template import Template
from softcall.base.source import LoadedBase, Source
from softcall.core.console import print_plain
from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.evaluation.classifier import torch_device
from softcall.training.compute.determinism import deterministic
from softcall.training.compute.stepping import stepping_trunk
from softcall.training.cross_validation import out_of_fold
from softcall.training.initialization import first_classifier, source_prompt, verbalizers
from softcall.training.inputs.examples import encode
from softcall.training.inputs.rows import TrainingRows
from softcall.training.loop.fit import fit
from softcall.training.loop.learner import Learner
from softcall.training.loop.run import Run
from softcall.training.loop.scoring import score
from softcall.training.outcome import as_artifact
from softcall.training.report import announce, report
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.sweep import Candidate


def train(config: TrainConfig, console: Console) -> ClassificationArtifact:
    """Run `config` to its end, write the artifact to `config.out`, and return it.

    Resumes from the checkpoint in the run folder, if there is one. `console` shows the settings and the
    outcome. If Accelerate started several processes, they share the work, and only the main one prints and
    writes. Raises `SoftcallError` for inputs that cannot be trained on, and if the loss or the gradient
    explodes or is not finite.
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
    if rows.is_multi_label and config.abstain_threshold is not None:
        raise SoftcallError(
            "--abstain-threshold: the rows have lists of labels, and each label gets a threshold of its own"
        )
    words = verbalizers(config, rows.labels)
    with processes.local_main_process_first():  # it fetches the default base
        found = Source.resolve(config.base)
    base = found.load()
    _require_positions(config, base)
    source = source_prompt(config, base)
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

        exact = base.model.base_model.to(device)  # in float32, for all scores
        learners = begin(config.tried)
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
        print_plain(console, f"trained in {time.monotonic() - started:.1f} s")
        unseen = None
        if config.calibration_folds:
            (unseen,) = out_of_fold(run, partial(begin, [winner.candidate]), config.calibration_folds)
        stored = winner.classifier.stored()
        results = {
            name: score(stored, exact, examples[name], rows.labels)
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


def _require_folder(option: str, folder: Path) -> None:
    """Make a folder, and check before the training that it is writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SoftcallError(f"{option}: the folder {folder} cannot be made ({error.strerror})") from None
    if not os.access(folder, os.W_OK):
        raise SoftcallError(f"{option}: the folder {folder} is not writable")


def _require_positions(config: TrainConfig, base: LoadedBase) -> None:
    tokens = max(candidate.tokens for candidate in config.tried)
    if tokens + config.max_text_tokens > base.positions:
        raise SoftcallError(
            f"--tokens {tokens} and --max-text-tokens {config.max_text_tokens} are together more than"
            f" the {base.positions} positions of {base.name}"
        )
