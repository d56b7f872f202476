"""The settings of `softcall train`, with defaults; light enough for the command line's help."""

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, Self

from softcall.artifact.bounds import MAX_PROMPT_TOKENS
from softcall.artifact.metadata import PromptType
from softcall.core.errors import SoftcallError
from softcall.training.settings.pace import pace_of
from softcall.training.settings.prompt_init import PromptInit
from softcall.training.settings.sweep import MAX_CANDIDATES, Candidate, default_candidates

# Few lengths, because tasks with prompts of one length share runs in the server.
PROMPT_LENGTHS = (8, 16, 20, 32)
MAX_FOLDS = 20


class PromptChoice(StrEnum):
    """The type of prompt to learn; `auto` learns both side by side, and dev picks one."""

    SOFT = "soft"
    KV = "kv"
    AUTO = "auto"

    @property
    def types(self) -> tuple[PromptType, ...]:
        """The types that are learnt."""
        return tuple(PromptType) if self == PromptChoice.AUTO else (PromptType(self.value),)


class Head(StrEnum):
    """The label head: the verbalizers' rows as they are, or trained from there."""

    VERBALIZER = "verbalizer"
    TRAINED = "trained"


class Device(StrEnum):
    """The device to train on: `auto` is CUDA if it is available, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """The precision of the frozen base in training; prompt, label head and all scores are always float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Tracker(StrEnum):
    """A tracker that gets the curves besides TensorBoard."""

    MLFLOW = "mlflow"
    WANDB = "wandb"


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training run. The constructor refuses unusable values, and names their options.

    A field whose default depends on the number of rows is None until `settled`.
    """

    data: Path
    out: Path
    dev: Path | None = None  # None: `dev_fraction` of data, by `softcall.datasets.rows.split_dev`
    dev_fraction: float | None = None
    test: Path | None = None
    text_columns: tuple[str, ...] = ()  # empty: found by their names, as is the label's
    label_column: str | None = None
    base: str | None = None  # None: the default base
    template: str | None = None  # None: "{text}\nLabel:", or the same for pairs
    verbalizers: dict[str, str] = field(default_factory=dict)  # label to text; others use the label itself

    prompt: PromptChoice = PromptChoice.SOFT
    tokens: int = 20
    any_length: bool = False
    init: PromptInit = PromptInit.TEXT
    init_text: str | None = None  # None: an instruction that lists the labels
    init_from: str | None = None  # an artifact's file, or a task of `store`; goes with init "artifact"
    store: str | None = None
    head: Head = Head.TRAINED

    sweep: int = 1
    candidates: tuple[Candidate, ...] = ()  # empty: `sweep` candidates by `default_candidates`
    steps: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None  # None: `sweep.LEARNING_RATES` of the prompt's type
    head_learning_rate: float = 0.003
    warmup: int | None = None  # steps; None: a twentieth of them
    weight_decay: float = 0.01  # of the prompt; a KV prompt decays towards its start
    prompt_dropout: float = 0.0
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    token_dropout: float = 0.0
    class_balanced: bool = False
    max_text_tokens: int = 256
    eval_every: int | None = None
    patience: int = 8  # evaluations without a better one; 0 never stops early
    seed: int = 13
    abstain_threshold: float | Literal["auto"] | None = None
    calibration_folds: int = 0  # 0: the temperature is fitted on dev alone

    device: Device = Device.AUTO
    dtype: Precision = Precision.FLOAT32
    compiled: bool = False
    gradient_checkpointing: bool = False
    report_to: tuple[Tracker, ...] = ()
    run_dir: Path | None = None  # None: runs/<name of out>-<digest of the run>

    def __post_init__(self) -> None:
        """Refuse unusable values; choices may be given as plain strings."""
        for name, kind in _CHOICES.items():
            object.__setattr__(self, name, _choice(name, kind, getattr(self, name)))
        trackers = tuple(_choice("report-to", Tracker, each) for each in self.report_to)
        object.__setattr__(self, "report_to", trackers)
        _within("--sweep", self.sweep, 1, MAX_CANDIDATES)
        object.__setattr__(self, "candidates", tuple(candidate.settled for candidate in self.candidates))
        for candidate in (*self.own_candidates, *self.tried):
            self._check_candidate(candidate)
        if self.prompt != PromptChoice.AUTO and self.learning_rate is None:
            object.__setattr__(self, "learning_rate", self.own_candidates[0].learning_rate)
        inits = {candidate.init for candidate in self.tried}
        if self.init_text is not None and PromptInit.TEXT not in inits:
            raise SoftcallError(f"--init-text goes with --init text, not with --init {self.init}")
        if (self.init_from is not None) != (PromptInit.ARTIFACT in inits):
            raise SoftcallError("--init artifact and --init-from, the artifact to start from, go together")
        _within("--dev-fraction", self.dev_fraction, 0.001, 0.5)
        _within("--steps", self.steps, 1, 1_000_000)
        _within("--batch-size", self.batch_size, 1, 4_096)
        _within("--head-learning-rate", self.head_learning_rate, 1e-8, 10)
        _within("--warmup", self.warmup, 0, self.steps or 1_000_000)
        _within("--weight-decay", self.weight_decay, 0, 10)
        _within("--prompt-dropout", self.prompt_dropout, 0, 0.9)
        _within("--clip-norm", self.clip_norm, 1e-8, 1e8)
        _within("--label-smoothing", self.label_smoothing, 0, 0.9)
        _within("--token-dropout", self.token_dropout, 0, 0.9)
        _within("--max-text-tokens", self.max_text_tokens, 1, 1_000_000)
        _within("--eval-every", self.eval_every, 1, 1_000_000)
        _within("--patience", self.patience, 0, 1_000_000)
        _within("--calibration-folds", self.calibration_folds, 0, MAX_FOLDS)
        if self.calibration_folds == 1:
            raise SoftcallError(f"--calibration-folds 1: accepted are 0, and 2 to {MAX_FOLDS}")
        if self.abstain_threshold != "auto":
            _within("--abstain-threshold", self.abstain_threshold, 1e-6, 1)
        if self.compiled and self.gradient_checkpointing:
            raise SoftcallError("--compile and --gradient-checkpointing exclude each other")
        if self.candidates and self.sweep != 1:
            raise SoftcallError(
                "--sweep and --candidate exclude each other: a sweep picks its own candidates"
            )
        if self.candidates and self.prompt == PromptChoice.AUTO:
            raise SoftcallError(
                "--prompt auto and --candidate exclude each other: give candidates prompt=soft or prompt=kv"
            )
        if len(set(self.candidates)) != len(self.candidates):
            raise SoftcallError("--candidate: two candidates have the same settings")
        _within("the number of --candidate", len(self.candidates), 0, MAX_CANDIDATES)
        if self.out.suffix != ".safetensors":
            raise SoftcallError(f"--out {self.out}: the name of an artifact ends in .safetensors")
        if self.out.is_dir():
            raise SoftcallError(f"--out {self.out}: is a directory, expected a file name")

    def _check_candidate(self, candidate: Candidate) -> None:
        if not self.any_length and candidate.tokens not in PROMPT_LENGTHS:
            raise SoftcallError(
                f"--tokens {candidate.tokens}: 8, 16, 20 and 32 are accepted, so that tasks share runs; "
                f"with --any-length, 1 to {MAX_PROMPT_TOKENS}"
            )
        _within("--tokens", candidate.tokens, 1, MAX_PROMPT_TOKENS)
        _within("--learning-rate", candidate.learning_rate, 1e-8, 10)
        _within("--seed", candidate.seed, 0, 2**32 - 1)

    @property
    def own_candidates(self) -> tuple[Candidate, ...]:
        """The settings of this run that a sweep varies, for each type of prompt that is learnt."""
        return tuple(
            Candidate(self.learning_rate, self.init, self.tokens, self.seed, each).settled
            for each in self.prompt.types
        )

    @property
    def tried(self) -> tuple[Candidate, ...]:
        """The candidates of the run: one of each type, unless it is a sweep."""
        if self.candidates:
            return self.candidates
        own = self.own_candidates
        counts = [max(1, (self.sweep + i) // len(own)) for i in reversed(range(len(own)))]
        return tuple(
            candidate
            for each, count in zip(own, counts, strict=True)
            for candidate in default_candidates(each, count)
        )

    def settled(self, rows: int) -> Self:
        """Return these settings, with the defaults for this number of training rows in place of None."""
        if self.calibration_folds > rows:
            raise SoftcallError(
                f"--calibration-folds {self.calibration_folds}: there are {rows} training rows"
            )
        pace = pace_of(rows)
        return replace(
            self,
            batch_size=pace.batch_size if self.batch_size is None else self.batch_size,
            steps=pace.steps if self.steps is None else self.steps,
            eval_every=pace.eval_every if self.eval_every is None else self.eval_every,
        )

    @property
    def warmup_steps(self) -> int:
        """The number of steps over which the learning rates rise from zero."""
        return self.steps // 20 if self.warmup is None else self.warmup

    def run_folder(self, identity: dict[str, Any]) -> Path:
        """Return the folder of checkpoints and TensorBoard events: by default a folder per identity."""
        if self.run_dir is not None:
            return self.run_dir
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return Path("runs") / f"{self.out.stem}-{digest[:8]}"

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide the prompt, besides data, base and device.

        A run resumes only with the same identity. The settings must be settled.
        """
        names = (
            "tokens",
            "init",
            "init_text",
            "head",
            "steps",
            "batch_size",
            "learning_rate",
            "head_learning_rate",
        )
        names += (
            "weight_decay",
            "clip_norm",
            "label_smoothing",
            "token_dropout",
            "class_balanced",
            "max_text_tokens",
            "eval_every",
            "patience",
            "seed",
            "dtype",
        )
        values = {name: getattr(self, name) for name in names} | {"warmup": self.warmup_steps}
        # What came later is left out where it changes nothing, so that stored runs keep their identity.
        if self.prompt != PromptChoice.SOFT:
            values["prompt"] = self.prompt
        if self.prompt_dropout:
            values["prompt_dropout"] = self.prompt_dropout
        if self.compiled:
            values["compiled"] = True
        if len(self.tried) > 1:
            values["candidates"] = [candidate.identity for candidate in self.tried]
        return {name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()}


_CHOICES = {
    "prompt": PromptChoice,
    "init": PromptInit,
    "head": Head,
    "device": Device,
    "dtype": Precision,
}


def _choice(name: str, kind: type[StrEnum], value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise SoftcallError(f"--{name} {value!r}: accepted are {', '.join(kind)}") from None


def _within(option: str, value: float | None, low: float, high: float) -> None:
    if value is None:  # decided later
        return
    if not low <= value <= high:  # refuses NaN too
        raise SoftcallError(f"{option} {value}: accepted are {low:,} to {high:,}")
