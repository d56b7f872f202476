"""The methods on the base: prompts, LoRA, full fine-tuning, and words alone (zero-shot, few-shot)."""

import copy
import gc
import time
from collections.abc import Sequence

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from torch import nn

from softcall.artifact.artifact import ClassificationArtifact
from softcall.base.source import LoadedBase
from softcall.comparison.attempt import Attempt
from softcall.comparison.config import Method
from softcall.comparison.context import behind_words
from softcall.comparison.meter import Meter
from softcall.comparison.prepared import Prepared
from softcall.evaluation.classifier import PromptedClassifier
from softcall.evaluation.prompt import SoftPrompt
from softcall.training.compute.stepping import stepping_trunk
from softcall.training.cross_validation import out_of_fold
from softcall.training.initialization import classifier_behind, first_classifier
from softcall.training.loop.faults import require_all
from softcall.training.loop.fit import fit
from softcall.training.loop.learner import Learner
from softcall.training.loop.run import Run
from softcall.training.loop.scoring import Result, score
from softcall.training.outcome import as_artifact
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.sweep import Candidate

SWITCHES = 5  # measurements, of which the median is taken


def trained(
    trainings: list[TrainConfig],
    prepared: Prepared,
    method: Method,
    base: LoadedBase,
    meter: Meter,
    rank: int,
) -> list[Attempt]:
    """Train a method on the base; methods differ in what learns. Several prompts learn side by side."""
    exact, labels, training = base.model.base_model, prepared.rows.labels, trainings[0]

    def results(classifier: PromptedClassifier, trunk: nn.Module) -> dict[str, Result]:
        stored = classifier.stored()
        return {part: score(stored, trunk, prepared.examples[part], labels) for part in ("dev", "test")}

    if method in (Method.ZERO_SHOT, Method.FEW_SHOT):
        attempts = []
        for one in trainings:
            classifier = behind_words(one, prepared, base, examples=method == Method.FEW_SHOT)
            attempts.append(Attempt(**results(classifier, exact), size=classifier.prompt.array().nbytes))
        return attempts

    meter.start()
    torch.manual_seed(training.seed)  # LoRA's first matrices
    own = {Method.LORA: _lora_trunk, Method.FULL: _whole_trunk}.get(method)
    trunk = own(base, rank) if own else None
    candidates = [(one, candidate) for one in trainings for candidate in one.tried]
    learners = _learners(candidates, prepared, base, trunk, prompted=own is None)
    run = Run(
        training,
        stepping_trunk(trunk or exact, training, own=trunk is not None),
        trunk or exact,
        prepared.examples["train"],
        prepared.examples["dev"],
        labels,
        None,
        {},
        Console(quiet=True),
        halving=len(trainings) == 1,
    )
    finished = fit(run, learners)
    if len(trainings) > 1:
        require_all(learners, f"{prepared.data.name} {method}")
    by_seed = {learner.candidate.seed: learner for learner in finished}
    ordered = finished if len(trainings) == 1 else [by_seed[one.seed] for one in trainings]
    unseen: Sequence[Result | None] = [None] * len(ordered)
    if training.calibration_folds:
        winners = [(one, learner.candidate) for one, learner in zip(trainings, ordered, strict=True)]
        unseen = out_of_fold(
            run, lambda: _learners(winners, prepared, base, prompted=True), training.calibration_folds
        )
    meter.stop()
    reached = [results(learner.classifier, trunk or exact) for learner in ordered]
    attempts = [
        Attempt(
            **found,
            artifact=_artifact(one, learner, prepared, base, found, others) if own is None else None,
            parameters=sum(parameter.numel() for parameter in learner.learnt.values()),
            size=_kept_bytes(learner),
            switch_seconds=_switch_seconds(learner),
            curve=list(map(list, learner.state.curve)),
            evaluations=list(map(list, learner.state.evaluations)),
        )
        for one, learner, found, others in zip(trainings, ordered, reached, unseen, strict=True)
    ]
    del learners, finished, by_seed, ordered, run, trunk
    gc.collect()
    return attempts


def _artifact(
    training: TrainConfig,
    learner: Learner,
    prepared: Prepared,
    base: LoadedBase,
    results: dict[str, Result],
    unseen: Result | None,
) -> ClassificationArtifact:
    """Return the prompt as `softcall train` would write it."""
    artifact, _ = as_artifact(
        training, prepared.rows, base, prepared.words, results, learner, [learner], unseen=unseen
    )
    return artifact


def _kept_bytes(learner: Learner) -> int:
    """Return the bytes of what was learnt: of a prompt as an artifact stores it, of others in float32."""
    prompt = learner.classifier.prompt
    others = [parameter for parameter in learner.learnt.values() if parameter is not prompt.learnt]
    return prompt.array().nbytes + sum(each.numel() * each.element_size() for each in others)


def _switch_seconds(learner: Learner) -> float:
    """Measure the switch to another task: its stored tensors replace the current ones."""
    stored = safetensors.torch.save({name: value.detach().cpu() for name, value in learner.learnt.items()})
    times = []
    for _ in range(SWITCHES):
        start = time.perf_counter()
        learner.restore(safetensors.torch.load(stored))
        next(iter(learner.learnt.values())).sum().item()  # waits for the device
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def _learners(
    candidates: Sequence[tuple[TrainConfig, Candidate]],
    prepared: Prepared,
    base: LoadedBase,
    trunk: nn.Module | None = None,
    *,
    prompted: bool,
) -> list[Learner]:
    """Return new learners on the base's device, with or without a prompt, and with the same label head."""
    learners = []
    for training, candidate in candidates:
        if prompted:
            classifier = first_classifier(training, candidate, base, prepared.words)
        else:
            nothing = SoftPrompt(np.zeros((0, base.model.config.hidden_size), np.float32))
            classifier = classifier_behind(nothing, training, base, prepared.words)
        learners.append(Learner(training, candidate, classifier.to(base.model.device), trunk))
    return learners


def _lora_trunk(base: LoadedBase, rank: int) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    return get_peft_model(copy.deepcopy(base.model), lora).get_base_model().base_model


def _whole_trunk(base: LoadedBase, rank: int) -> nn.Module:
    return copy.deepcopy(base.model.base_model).requires_grad_(True)
