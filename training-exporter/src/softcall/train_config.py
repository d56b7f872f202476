"""All that `softcall train` can be told, with defaults; light enough for the command line's help."""

import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from softcall.artifact import MAX_PROMPT_TOKENS
from softcall.errors import SoftcallError
from softcall.prompt_init import PromptInit

# Tasks whose prompts have one length share runs in the server; hence a few lengths.
PROMPT_LENGTHS = (8, 16, 20, 32)


class Head(StrEnum):
    """Where the label head comes from: the verbalizers' rows as they are, or trained from there."""

    VERBALIZER = "verbalizer"
    TRAINED = "trained"


class Device(StrEnum):
    """Where to train: `auto` is CUDA where there is any, else the CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


class Precision(StrEnum):
    """What the frozen base computes in during training; prompt, head and all scoring are float32 always."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class TrainConfig:
    """One training run. Construction refuses, with the option's name, any value that cannot work."""

    data: Path
    out: Path
    dev: Path | None = None  # None: `dev_fraction` of data, by `softcall.data.split_dev`
    dev_fraction: float = 0.1
    test: Path | None = None
    text_columns: tuple[str, ...] = ()  # empty: found by their names, as is the label's
    label_column: str | None = None
    base: str | None = None  # None: the default base
    template: str | None = None  # None: "{text}\nLabel:", or the same for pairs
    verbalizers: dict[str, str] = field(default_factory=dict)  # label to text; others use the label itself

    tokens: int = 20
    any_length: bool = False
    init: PromptInit = PromptInit.TEXT
    init_text: str | None = None  # None: an instruction that lists the labels
    head: Head = Head.TRAINED

    steps: int = 1_000
    batch_size: int = 32
    learning_rate: float = 0.01
    head_learning_rate: float = 0.001
    warmup: int | None = None  # steps; None: a twentieth of them
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    max_text_tokens: int = 256
    eval_every: int = 100
    patience: int = 8  # evaluations without a better one; 0 never stops early
    seed: int = 13

    device: Device = Device.AUTO
    dtype: Precision = Precision.FLOAT32
    run_dir: Path | None = None  # None: runs/<name of out>-<digest of the run>

    def __post_init__(self) -> None:
        """Refuse what cannot work, by option; a choice may be given as its plain string."""
        for name, kind in (("init", PromptInit), ("head", Head), ("device", Device), ("dtype", Precision)):
            object.__setattr__(self, name, _choice(name, kind, getattr(self, name)))
        if not self.any_length and self.tokens not in PROMPT_LENGTHS:
            raise SoftcallError(
                f"--tokens {self.tokens}: 8, 16, 20 and 32 are accepted, so that tasks share runs; "
                f"with --any-length, 1 to {MAX_PROMPT_TOKENS}"
            )
        _within("--tokens", self.tokens, 1, MAX_PROMPT_TOKENS)
        _within("--dev-fraction", self.dev_fraction, 0.001, 0.5)
        _within("--steps", self.steps, 1, 1_000_000)
        _within("--batch-size", self.batch_size, 1, 4_096)
        _within("--learning-rate", self.learning_rate, 1e-8, 10)
        _within("--head-learning-rate", self.head_learning_rate, 1e-8, 10)
        _within("--warmup", self.warmup_steps, 0, self.steps)
        _within("--weight-decay", self.weight_decay, 0, 1)
        _within("--clip-norm", self.clip_norm, 1e-8, 1e8)
        _within("--label-smoothing", self.label_smoothing, 0, 0.9)
        _within("--max-text-tokens", self.max_text_tokens, 1, 1_000_000)
        _within("--eval-every", self.eval_every, 1, 1_000_000)
        _within("--patience", self.patience, 0, 1_000_000)
        _within("--seed", self.seed, 0, 2**32 - 1)
        if self.init_text is not None and self.init != PromptInit.TEXT:
            raise SoftcallError(f"--init-text goes with --init text, not with --init {self.init}")
        if self.out.suffix != ".safetensors":
            raise SoftcallError(f"--out {self.out}: the name of an artifact ends in .safetensors")
        if self.out.is_dir():
            raise SoftcallError(f"--out {self.out}: is a directory, expected a file name")

    @property
    def warmup_steps(self) -> int:
        """Steps over which the learning rates rise from zero."""
        return self.steps // 20 if self.warmup is None else self.warmup

    def run_folder(self, identity: dict[str, Any]) -> Path:
        """Where checkpoints and TensorBoard events go: by default a name of its own for each identity."""
        if self.run_dir is not None:
            return self.run_dir
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
        return Path("runs") / f"{self.out.stem}-{digest[:8]}"

    def identity(self) -> dict[str, Any]:
        """What decides the prompt, besides data, base and device: only under the same is a run resumed."""
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
            "max_text_tokens",
            "eval_every",
            "patience",
            "seed",
            "dtype",
        )
        values = {name: getattr(self, name) for name in names} | {"warmup": self.warmup_steps}
        return {name: value.value if isinstance(value, StrEnum) else value for name, value in values.items()}


def _choice(name: str, kind: type[StrEnum], value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError:
        raise SoftcallError(f"--{name} {value!r}: accepted are {', '.join(kind)}") from None


def _within(option: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also refuses nan
        raise SoftcallError(f"{option} {value}: accepted are {low:,} to {high:,}")
