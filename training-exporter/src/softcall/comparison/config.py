"""The settings of `softcall compare`; light enough for the command's help."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from softcall.artifact.task_description import TaskDescription, read_task_file
from softcall.core.errors import SoftcallError
from softcall.training.settings.config import Device, Precision, PromptChoice, TrainConfig
from softcall.training.settings.prompt_init import PromptInit

FORMATS = (".jsonl", ".csv", ".jsonl.gz", ".csv.gz")
TASK_FILE = "task.json"
MAX_SEEDS = 20
MAX_JOBS = 64


class Method(StrEnum):
    """A way to train a classifier; all but the last read the same label rows of the same base."""

    PROMPT = "prompt"  # a soft prompt, as `softcall train` learns it
    KV = "kv"  # a KV prompt, likewise
    LORA = "lora"  # low-rank adapters on every linear layer, by PEFT
    FULL = "full"  # every weight of the base
    ZERO_SHOT = "zero-shot"  # the instruction in words; nothing is learnt
    FEW_SHOT = "few-shot"  # the same with examples; nothing is learnt
    TFIDF = "tfidf"  # word statistics and logistic regression, by scikit-learn

    @property
    def seeded(self) -> bool:
        """Whether another seed gives another classifier."""
        return self in (Method.PROMPT, Method.KV, Method.LORA, Method.FULL, Method.FEW_SHOT)

    @property
    def prompt(self) -> PromptChoice | None:
        """The type of prompt that it learns; None if it learns no prompt."""
        return {Method.PROMPT: PromptChoice.SOFT, Method.KV: PromptChoice.KV}.get(self)


@dataclass(frozen=True)
class DataSet:
    """A folder with `train` and `test`, perhaps `dev` and a `task.json` (template, labels, verbalizers)."""

    name: str
    train: Path
    dev: Path | None
    test: Path
    task: TaskDescription | None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Find the files; `SoftcallError` for a folder without train or test."""
        found = {part: _file(folder, part) for part in ("train", "dev", "test")}
        for part in ("train", "test"):
            if found[part] is None:
                raise SoftcallError(
                    f"{folder} has no {part} file; expected a folder with train and test (and perhaps dev), "
                    f"each ending in one of {', '.join(FORMATS)}"
                )
        task = folder / TASK_FILE
        described = TaskDescription.of_record(read_task_file(task), str(task)) if task.is_file() else None
        return cls(folder.resolve().name, **found, task=described)


def _file(folder: Path, part: str) -> Path | None:
    names = [folder / (part + ending) for ending in FORMATS]
    return next((path for path in names if path.is_file()), None)


@dataclass(frozen=True)
class CompareConfig:
    """The settings of a comparison: all methods share rows, steps and batches.

    `TrainConfig` checks the values.
    """

    data: tuple[DataSet, ...]
    out: Path
    methods: tuple[Method, ...] = tuple(Method)
    seeds: int = 3
    first_seed: int = 13
    base: str | None = None
    tokens: int = TrainConfig.tokens
    any_length: bool = False
    init: PromptInit = TrainConfig.init
    sweep: int = TrainConfig.sweep
    steps: int | None = None
    batch_size: int | None = None
    eval_every: int | None = None
    max_text_tokens: int = 128
    label_smoothing: float = TrainConfig.label_smoothing
    class_balanced: bool = TrainConfig.class_balanced
    token_dropout: float = TrainConfig.token_dropout
    prompt_dropout: float = TrainConfig.prompt_dropout
    weight_decay: float = TrainConfig.weight_decay
    calibration_folds: int = TrainConfig.calibration_folds
    learning_rate: float | None = TrainConfig.learning_rate
    lora_learning_rate: float = 5e-4
    full_learning_rate: float = 5e-5
    lora_rank: int = 8
    jobs: int = 1
    device: Device = Device.AUTO
    dtype: Precision = Precision.FLOAT32
    compiled: bool = False

    def __post_init__(self) -> None:
        """Refuse missing data, missing seeds, and ambiguous names."""
        names = [each.name for each in self.data]
        if not names or len(set(names)) < len(names):
            raise SoftcallError(
                f"the data sets {', '.join(names)}: expected one or more, with distinct names"
            )
        if not self.methods:
            raise SoftcallError(f"--method: expected one or more of {', '.join(Method)}")
        if not 1 <= self.seeds <= MAX_SEEDS:
            raise SoftcallError(f"--seeds {self.seeds}: accepted are 1 to {MAX_SEEDS}")
        if not 1 <= self.jobs <= MAX_JOBS:
            raise SoftcallError(f"--jobs {self.jobs}: accepted are 1 to {MAX_JOBS}")
        if not 1 <= self.lora_rank <= 256:
            raise SoftcallError(f"--lora-rank {self.lora_rank}: accepted are 1 to 256")

    def together(self, method: Method) -> list[Sequence[int]]:
        """Return the groups of seeds that a method runs together: prompts share the trunk's runs."""
        seeds = range(self.first_seed, self.first_seed + (self.seeds if method.seeded else 1))
        return [seeds] if method.prompt and self.sweep == 1 else [(seed,) for seed in seeds]

    def training(self, data: DataSet, method: Method, seed: int) -> TrainConfig:
        """Return the training settings of a method: rows, steps and batches are those of all methods.

        Sweeps, folds, prompt dropout and weight decay are for prompts alone.
        """
        rates = {Method.LORA: self.lora_learning_rate, Method.FULL: self.full_learning_rate}
        return TrainConfig(
            data=data.train,
            out=self.out / "prompt.safetensors",  # nothing is written there
            dev=data.dev,
            test=data.test,
            base=self.base,
            template=data.task.template.source if data.task else None,
            verbalizers=dict(data.task.verbalizers) if data.task else {},
            prompt=method.prompt or PromptChoice.SOFT,
            tokens=self.tokens,
            any_length=self.any_length,
            init=self.init,
            sweep=self.sweep if method.prompt else 1,
            calibration_folds=self.calibration_folds if method.prompt else 0,
            prompt_dropout=self.prompt_dropout if method.prompt else 0.0,
            weight_decay=self.weight_decay if method.prompt else TrainConfig.weight_decay,
            learning_rate=rates.get(method, self.learning_rate),
            steps=self.steps,
            batch_size=self.batch_size,
            eval_every=self.eval_every,
            max_text_tokens=self.max_text_tokens,
            label_smoothing=self.label_smoothing,
            class_balanced=self.class_balanced,
            token_dropout=self.token_dropout,
            patience=0,
            seed=seed,
            device=self.device,
            dtype=self.dtype,
            compiled=self.compiled,
        )

    def settings(self, method: Method, training: TrainConfig) -> dict[str, Any]:
        """Return the settings that decide a run besides its rows; a stored run must match them."""
        rank = {"lora_rank": self.lora_rank} if method == Method.LORA else {}
        folds = {"calibration_folds": training.calibration_folds} if training.calibration_folds else {}
        return {"method": method.value, **training.identity(), **folds, **rank}
