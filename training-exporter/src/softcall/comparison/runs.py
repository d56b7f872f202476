"""The runs of a method on a data set: stored records are reused, missing ones are made."""

from collections.abc import Sequence

import torch

from softcall.base.source import LoadedBase
from softcall.comparison.config import CompareConfig, Method
from softcall.comparison.meter import Meter
from softcall.comparison.methods import trained
from softcall.comparison.prepared import Prepared
from softcall.comparison.record import RunRecord
from softcall.comparison.tfidf import tfidf
from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.stores.store import OBJECT
from softcall.training.outcome import device_name

PROMPTS = "prompts"
"""The folder of the prompts: a file store with `<data set>-<seed>` for each, and `-kv-` for KV prompts."""


def records_of(
    config: CompareConfig,
    prepared: Prepared,
    method: Method,
    seeds: Sequence[int],
    base: LoadedBase,
    device: torch.device,
) -> list[RunRecord]:
    """Return the record of each seed: the stored one if it has the same settings and rows, else a new one."""
    trainings = {
        seed: config.training(prepared.data, method, seed).settled(len(prepared.rows.train)) for seed in seeds
    }
    settings = {
        seed: config.settings(method, training)
        | {
            "base": base.fingerprint,
            "template": training.template or prepared.rows.default_template,
            "verbalizers": prepared.words,
        }
        for seed, training in trainings.items()
    }
    rows = prepared.rows.identity | {name: len(part.ids) for name, part in prepared.examples.items()}
    stored = {}
    for seed in seeds:
        path = RunRecord.path(config.out, prepared.data.name, method, seed)
        if path.exists():
            stored[seed] = RunRecord.read(path)
            if (stored[seed].settings, stored[seed].rows) != (settings[seed], rows):
                raise SoftcallError(f"{path} is of other settings or rows; delete it or give another --out")
    missing = {seed: training for seed, training in trainings.items() if seed not in stored}
    if not missing:
        return list(stored.values())
    meter = Meter(device)
    attempts = (
        [tfidf(prepared, meter, seed) for seed in missing]
        if method == Method.TFIDF
        else trained(list(missing.values()), prepared, method, base, meter, config.lora_rank)
    )
    for seed, attempt in zip(missing, attempts, strict=True):
        calibrated = attempt.calibrated
        scores = calibrated.scores
        stored[seed] = RunRecord(
            data=prepared.data.name,
            method=method.value,
            seed=seed,
            settings=settings[seed],
            rows=rows,
            labels=list(prepared.rows.labels),
            right=scores.right,
            total=scores.rows,
            macro_f1=scores.macro_f1,
            dev_accuracy=attempt.dev.scores.accuracy,
            temperature=calibrated.temperature,
            calibration_error=scores.calibration_error,
            calibration_error_before=attempt.test.scores.calibration_error,
            confusion=scores.confusion[:, :-1].tolist(),
            trained_parameters=attempt.parameters,
            learnt_bytes=attempt.size,
            seconds=meter.seconds / len(missing),
            peak_bytes=meter.peak_bytes,
            switch_seconds=attempt.switch_seconds,
            curve=attempt.curve,
            evaluations=attempt.evaluations,
            device=device_name(device),
            jobs=config.jobs,
        )
        if attempt.artifact is not None:
            kind = "-kv" if method == Method.KV else ""
            task = config.out / PROMPTS / f"{prepared.data.name}{kind}-{seed}"
            task.mkdir(parents=True, exist_ok=True)
            write_file(task / OBJECT, attempt.artifact.to_bytes())
        stored[seed].write(config.out)
    return [stored[seed] for seed in seeds]
