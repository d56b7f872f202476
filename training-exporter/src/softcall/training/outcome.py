"""The outcome of a run: the winner as a calibrated artifact, with its provenance."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers
from accelerate import PartialState

import softcall
from softcall.artifact.artifact import ClassificationArtifact
from softcall.artifact.template import Template
from softcall.base.source import LoadedBase
from softcall.evaluation.multi_label import fit_thresholds
from softcall.evaluation.temperature import fit_abstain_threshold
from softcall.training.initialization import SourcePrompt, init_text_of
from softcall.training.inputs.rows import TrainingRows
from softcall.training.loop.learner import Learner
from softcall.training.loop.scoring import LabelResult, LabelSetResult, Result, recorded
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.prompt_init import PromptInit


def as_artifact(
    config: TrainConfig,
    rows: TrainingRows,
    base: LoadedBase,
    words: Sequence[str],
    results: Mapping[str, Result],
    winner: Learner,
    learners: Sequence[Learner],
    *,
    source: SourcePrompt | None = None,
    unseen: Result | None = None,
) -> tuple[ClassificationArtifact, dict[str, Result]]:
    """Return the winner as an artifact, and `results` (of dev, perhaps test) with its temperature.

    The temperature, and the thresholds of a task of any number of labels, are fitted on dev, and on `unseen`
    if given: training rows with the logits of prompts that were trained without them.
    """
    raw = results["dev"]
    results = _calibrated(results, raw if unseen is None else raw.beside(unseen))
    metrics = recorded(results)
    if isinstance(raw, LabelResult):
        metrics["dev_calibration_error_before"] = raw.scores.calibration_error
    if unseen is not None:
        metrics[f"out_of_fold_{unseen.quality_name}"] = unseen.quality
    classifier = winner.classifier
    artifact = ClassificationArtifact(
        prompt=classifier.prompt.array(),
        prompt_type=classifier.prompt.type,
        kind=rows.kind,
        thresholds=results["dev"].thresholds if isinstance(raw, LabelSetResult) else None,
        label_head=classifier.label_head.detach().cpu().numpy(),
        label_bias=classifier.label_bias.detach().cpu().numpy(),
        template=Template(config.template or rows.default_template),
        labels=rows.labels,
        base_name=base.name,
        base_fingerprint=base.fingerprint,
        temperature=results["dev"].temperature,
        abstain_threshold=_abstain_threshold(config, results["dev"]),
        metrics=metrics,
        training=provenance(config, rows, words, source, winner, learners, classifier.device),
    )
    return artifact, results


def _calibrated(results: Mapping[str, Result], fitted_on: Result) -> dict[str, Result]:
    """Return results with the temperature, and perhaps the thresholds, that fit one of them."""
    fitted = fitted_on.calibrated
    changes: dict[str, Any] = {"temperature": fitted.temperature}
    if isinstance(fitted, LabelSetResult):
        changes["thresholds"] = fit_thresholds(fitted.probabilities, fitted.answers)
    return {name: replace(result, **changes) for name, result in results.items()}


def _abstain_threshold(config: TrainConfig, dev: Result) -> float | None:
    if config.abstain_threshold == "auto":
        return fit_abstain_threshold(dev.confidence, dev.logits.argmax(axis=1) == dev.answers)
    return config.abstain_threshold


def provenance(
    config: TrainConfig,
    rows: TrainingRows,
    words: Sequence[str],
    source: SourcePrompt | None,
    winner: Learner,
    learners: Sequence[Learner],
    device: torch.device,
) -> dict[str, Any]:
    """Return how the prompt was trained, for people; two runs of one command have the same provenance."""
    state, candidate = winner.state, winner.candidate
    done = {"train_rows": len(rows.train), "best_step": state.best_step, "last_step": state.steps}
    versions = {
        "softcall": softcall.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    picked = {"init_text": init_text_of(config, words)} if candidate.init == PromptInit.TEXT else {}
    if candidate.init == PromptInit.ARTIFACT:
        picked = {"init_from": config.init_from, "init_from_sha256": source.sha256}
    where = {"device": device_name(device), "processes": PartialState().num_processes, "versions": versions}
    how = config.identity() | candidate.told | picked | {"verbalizers": list(words)}
    if config.calibration_folds:
        how["calibration_folds"] = config.calibration_folds
    if len(learners) > 1:
        quality = "accuracy" if not rows.is_multi_label else LabelSetResult.quality_name
        how["candidates"] = [
            learner.candidate.told
            | {
                "steps": learner.state.steps,
                f"dev_{quality}": learner.state.best_accuracy,
                "dropped": learner.state.dropped,
            }
            for learner in learners
        ]
    return rows.identity | rows.test_identity | how | done | where


def device_name(device: torch.device) -> str:
    """Return the name of a device, for people."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})"
