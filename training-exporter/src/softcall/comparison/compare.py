"""Prompt tuning beside other ways to the same classifier: same rows, same loop, another thing that learns.

Each run is one JSON file, so a comparison that was cut off goes on, and processes may share the work.
"""

import copy
import gc
import json
import multiprocessing
import pickle
import resource
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from torch import nn

from softcall.artifact.artifact import Artifact
from softcall.artifact.template import Template
from softcall.base.source import LoadedBase, Source
from softcall.comparison.config import CompareConfig, DataSet, Method
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.core.printable import printable
from softcall.datasets.rows import Row
from softcall.evaluation.classifier import PromptedClassifier, torch_device
from softcall.stores.store import OBJECT
from softcall.training.cross_validation import out_of_fold
from softcall.training.loop.fit import PLAIN, Learner, Result, Run, deterministic, fit, require_all, score
from softcall.training.loop.stepping import stepping_trunk
from softcall.training.rows import Examples, TrainingRows, encode
from softcall.training.settings.config import TrainConfig
from softcall.training.settings.prompt_init import default_init_text
from softcall.training.settings.sweep import Candidate
from softcall.training.train import as_artifact, classifier_behind, device_name, first_classifier, verbalizers

RUNS = "records"
PROMPTS = "prompts"
"""The folder of the prompts: a file store with `<data set>-<seed>` for each."""
MAX_RECORD_BYTES = 64 << 20
SWITCHES = 5  # of which the median is taken
REGULARISATIONS = (0.1, 1.0, 10.0, 100.0)  # of logistic regression; dev chooses


@dataclass(frozen=True)
class RunRecord:
    """What one run reached on test, and what it took. Points of the curves are those of `LearnerState`."""

    data: str
    method: str
    seed: int
    settings: dict[str, Any]
    rows: dict[str, Any]  # which rows: digests of files, counts
    labels: list[str]
    right: int
    total: int
    macro_f1: float
    dev_accuracy: float
    temperature: float  # fitted on dev, and on the training rows where there are `calibration_folds`
    calibration_error: float  # on test, with the temperature
    calibration_error_before: float
    confusion: list[list[int]]  # gold, predicted
    trained_parameters: int
    learnt_bytes: int  # what must be kept for the task, float32
    seconds: float  # of training, with the scorings of dev; an equal share of those who learnt together
    peak_bytes: int  # of the GPU's memory, or of the whole process on a CPU
    switch_seconds: float  # to put another task of this method in its place, from memory
    curve: list[list[float]]
    evaluations: list[list[float]]
    device: str
    jobs: int  # processes that shared the device

    @property
    def accuracy(self) -> float:
        """Share of right answers."""
        return self.right / self.total

    @property
    def told(self) -> str:
        """The run in a line."""
        return (
            f"{printable(self.data)} {self.method} seed {self.seed}: accuracy {self.accuracy:.4f},"
            f" {self.trained_parameters:,} parameters, {self.seconds:.1f} s"
        )

    @staticmethod
    def path(folder: Path, data: str, method: str, seed: int) -> Path:
        """Where a run's record lies in the comparison's folder."""
        return folder / RUNS / f"{data}-{method}-{seed}.json"

    def write(self, folder: Path) -> None:
        """Write the record in one step."""
        path = self.path(folder, self.data, self.method, self.seed)
        write_file(path, f"{json.dumps(asdict(self))}\n".encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """A stored record; `SoftcallError` for anything else."""
        data = read_bounded(path, MAX_RECORD_BYTES)
        try:
            return cls(**json.loads(data))
        except (TypeError, ValueError, RecursionError) as error:
            raise SoftcallError(f"{path} is not the record of a run ({error}); delete it") from None


@dataclass(frozen=True)
class Prepared:
    """A data set as every method gets it."""

    data: DataSet
    rows: TrainingRows
    words: list[str]
    examples: dict[str, Examples]


class Workplace:
    """What a process needs for any run of a comparison: the base on its device, and the rows read so far."""

    def __init__(self, config: CompareConfig) -> None:
        """Load the base."""
        self.config, self.device = config, torch_device(config.device)
        self.base = Source.resolve(config.base).load()
        self.base.model.to(self.device)
        self._prepared: dict[str, Prepared] = {}

    def run(self, data: DataSet, method: Method, seeds: Sequence[int]) -> list[RunRecord]:
        """The records of runs, which are made unless there are any."""
        if data.name not in self._prepared:
            self._prepared = {data.name: _prepare(self.config, data, self.base)}  # one at a time
        with deterministic():
            return _records(self.config, self._prepared[data.name], method, seeds, self.base, self.device)


def compare(config: CompareConfig, console: Console) -> list[RunRecord]:
    """Run what has not been run yet, and return every record of the comparison."""
    (config.out / RUNS).mkdir(parents=True, exist_ok=True)
    runs = [
        (data, method, seeds)
        for data in config.data
        for method in config.methods
        for seeds in config.together(method)
    ]
    records = []
    for some in (
        _shared(config, runs) if config.jobs > 1 else map(Workplace(config).run, *zip(*runs, strict=True))
    ):
        records += some
        for record in some:
            console.print(record.told, **PLAIN)
    return records


def _shared(
    config: CompareConfig, runs: Sequence[tuple[DataSet, Method, Sequence[int]]]
) -> Iterator[list[RunRecord]]:
    """The records in their order, by `config.jobs` processes: small steps leave most of a GPU idle."""
    with ProcessPoolExecutor(
        config.jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_begin, initargs=(config,)
    ) as pool:
        yield from pool.map(_run, *zip(*runs, strict=True))


_workplace: Workplace


def _begin(config: CompareConfig) -> None:
    global _workplace
    _workplace = Workplace(config)


def _run(data: DataSet, method: Method, seeds: Sequence[int]) -> list[RunRecord]:
    return _workplace.run(data, method, seeds)


def _prepare(config: CompareConfig, data: DataSet, base: LoadedBase) -> Prepared:
    training = config.training(data, Method.PROMPT, config.first_seed)
    rows = TrainingRows.read(training)
    template = Template(training.template or rows.default_template)
    examples = {
        name: encode(part, rows.labels, template, base, config.max_text_tokens)
        for name, part in (("train", rows.train), ("dev", rows.dev), ("test", rows.test))
    }
    return Prepared(data, rows, verbalizers(training, rows.labels), examples)


def _records(
    config: CompareConfig,
    prepared: Prepared,
    method: Method,
    seeds: Sequence[int],
    base: LoadedBase,
    device: torch.device,
) -> list[RunRecord]:
    """The record of each seed: the stored one where there is one, of the same settings and rows."""
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
        [_tfidf(prepared, meter, seed) for seed in missing]
        if method == Method.TFIDF
        else _trained(list(missing.values()), prepared, method, base, meter, config.lora_rank)
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
            task = config.out / PROMPTS / f"{prepared.data.name}-{seed}"
            task.mkdir(parents=True, exist_ok=True)
            write_file(task / OBJECT, attempt.artifact.to_bytes())
        stored[seed].write(config.out)
    return [stored[seed] for seed in seeds]


@dataclass(frozen=True)
class Attempt:
    """A trained classifier's answers on dev and test, and what was learnt for it."""

    dev: Result
    test: Result
    parameters: int = 0
    size: int = 0
    switch_seconds: float = 0.0
    curve: list[list[float]] = field(default_factory=list)
    evaluations: list[list[float]] = field(default_factory=list)
    artifact: Artifact | None = None  # of a prompt

    @property
    def calibrated(self) -> Result:
        """Test, with the temperature of the artifact, else that which fits dev."""
        return replace(
            self.test,
            temperature=self.artifact.temperature if self.artifact else self.dev.calibrated.temperature,
        )


def _trained(
    trainings: list[TrainConfig],
    prepared: Prepared,
    method: Method,
    base: LoadedBase,
    meter: "Meter",
    rank: int,
) -> list[Attempt]:
    """Any method on the base: what differs is what learns. Several are prompts, which learn side by side."""
    exact, labels, training = base.model.base_model, prepared.rows.labels, trainings[0]

    def results(classifier: PromptedClassifier, trunk: nn.Module) -> dict[str, Result]:
        return {part: score(classifier, trunk, prepared.examples[part], labels) for part in ("dev", "test")}

    if method == Method.ZERO_SHOT:
        ids = base.tokenizer.encode(default_init_text(prepared.words), add_special_tokens=False).ids
        instruction = exact.get_input_embeddings().weight[torch.tensor(ids)].cpu().numpy()
        classifier = classifier_behind(instruction, training, base, prepared.words).to(exact.device)
        return [Attempt(**results(classifier, exact))]

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
            size=sum(parameter.numel() * parameter.element_size() for parameter in learner.learnt.values()),
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
) -> Artifact:
    """The prompt as `softcall train` would write it."""
    artifact, _ = as_artifact(
        training, prepared.rows, base, prepared.words, results, learner, [learner], unseen=unseen
    )
    return artifact


def _switch_seconds(learner: Learner) -> float:
    """What it takes to put another task in this one's place: its stored tensors, into the live ones."""
    stored = safetensors.torch.save({name: value.detach().cpu() for name, value in learner.learnt.items()})
    times = []
    for _ in range(SWITCHES):
        start = time.perf_counter()
        learner.restore(safetensors.torch.load(stored))
        next(iter(learner.learnt.values())).sum().item()  # the device has done what it was told
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
    """Learners as they begin, on the base's device: with a prompt or without, before the same label head."""
    learners = []
    for training, candidate in candidates:
        if prompted:
            classifier = first_classifier(training, candidate, base, prepared.words)
        else:
            nothing = np.zeros((0, base.model.config.hidden_size), np.float32)
            classifier = classifier_behind(nothing, training, base, prepared.words)
        learners.append(Learner(training, candidate, classifier.to(base.model.device), trunk))
    return learners


def _lora_trunk(base: LoadedBase, rank: int) -> nn.Module:
    from peft import LoraConfig, get_peft_model

    lora = LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    return get_peft_model(copy.deepcopy(base.model), lora).get_base_model().base_model


def _whole_trunk(base: LoadedBase, rank: int) -> nn.Module:
    return copy.deepcopy(base.model.base_model).requires_grad_(True)


def _tfidf(prepared: Prepared, meter: "Meter", seed: int) -> Attempt:
    """Words and pairs of words, weighted by how rare they are; dev chooses the regularisation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    def texts(rows: list[Row]) -> list[str]:
        return ["\n".join(row.texts) for row in rows]

    rows, answers = prepared.rows, {name: part.answers for name, part in prepared.examples.items()}
    meter.start()
    best, best_accuracy = None, -1.0
    for regularisation in REGULARISATIONS:
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True),
            LogisticRegression(C=regularisation, max_iter=1_000, random_state=seed),
        ).fit(texts(rows.train), answers["train"])
        accuracy = model.score(texts(rows.dev), answers["dev"])
        if accuracy > best_accuracy:
            best, best_accuracy = model, accuracy
    meter.stop()
    dev, test = (
        Result(rows.labels, best.predict_log_proba(texts(part)), answers[name])
        for name, part in (("dev", rows.dev), ("test", rows.test))
    )
    weights = best[-1].coef_.size + best[-1].intercept_.size
    stored = pickle.dumps(best)
    start = time.perf_counter()
    pickle.loads(stored)
    return Attempt(dev, test, weights, len(stored), time.perf_counter() - start)


class Meter:
    """Seconds and peak memory between `start` and `stop`; zero for what was never started."""

    def __init__(self, device: torch.device) -> None:
        """Memory is the device's, or on a CPU the process's, whose peak is that since it began."""
        self._device = device
        self.seconds, self.peak_bytes = 0.0, 0

    def start(self) -> None:
        """Begin."""
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
        self._started = time.perf_counter()

    def stop(self) -> None:
        """End, when the device has done what it was told."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
            self.peak_bytes = torch.cuda.max_memory_allocated(self._device)
        else:
            self.peak_bytes = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.seconds = time.perf_counter() - self._started
