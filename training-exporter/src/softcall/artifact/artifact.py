"""The task artifact: a task in one safetensors object, as servers read it (docs/task-artifact.md)."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from softcall.artifact.arrays import (
    LABEL_BIAS,
    LABEL_HEAD,
    PROMPT,
    check_prompt,
    frozen,
    require_finite,
    require_shape,
    stored_type,
)
from softcall.artifact.bounds import check_labels, max_artifact_bytes, require_artifact_bytes
from softcall.artifact.generation import Generation
from softcall.artifact.metadata import METADATA, SCHEMA, Kind, Metadata, PromptType, as_json
from softcall.artifact.safetensors_file import SafetensorsFile, safetensors_bytes
from softcall.artifact.template import Template
from softcall.base.identity import BaseIdentity
from softcall.core.bounded_file import MAX_SOURCE_BYTES, read_bounded
from softcall.core.errors import SoftcallError

if TYPE_CHECKING:
    from softcall.base.bundle import Bundle
    from softcall.base.trunk import Prefix

_PREFIX = "prefix."
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Artifact(ABC):
    """A task, with its arrays copied to read-only float32 (prefixes, and KV prompts of that type: float16).

    What it does is its subclass: `ClassificationArtifact` or `GenerationArtifact`. The constructor raises
    `SoftcallError` unless the following holds.

    - `prompt` [tokens, hidden] (a soft prompt) or [tokens, layers * 2 * kv_heads * head_dim] (a KV prompt):
      finite
    - `base_fingerprint`: 64 hex digits, which identify the base that the prompt was trained for
    - `prefixes`: variant to a soft prompt's KV cache [layers, 2, kv_heads, tokens, head_dim], and
      `prefix_layouts`: variant to its `kv_layout` digest; both name the same variants
    - `metrics` and `training`: any JSON, for people to read
    """

    prompt: np.ndarray
    base_name: str
    base_fingerprint: str
    prompt_type: PromptType = PromptType.SOFT
    prefixes: Mapping[str, np.ndarray] = field(default_factory=dict)
    prefix_layouts: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", frozen(self.prompt, stored_type(self.prompt_type, self.prompt)))
        object.__setattr__(
            self, "prefixes", {name: frozen(cache, np.float16) for name, cache in self.prefixes.items()}
        )
        check_prompt(self.prompt)
        self._check_prefixes()
        if not self.base_name:
            raise SoftcallError("the base's name is empty")
        if not _DIGEST.fullmatch(self.base_fingerprint):
            raise SoftcallError(
                f"the base's fingerprint is {self.base_fingerprint!r}; expected 64 hex digits"
            )

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """The kind of the task."""

    @classmethod
    @abstractmethod
    def _read_kind(cls, file: SafetensorsFile, metadata: Metadata) -> dict[str, Any]:
        """Read the constructor's arguments that go with the kind."""

    @property
    @abstractmethod
    def kind_fields(self) -> dict[str, Any]:
        """The fields of the metadata that go with the kind."""

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays of the file, without prefixes."""
        return {PROMPT: self.prompt}

    @property
    def tokens(self) -> int:
        """Length of the prompt."""
        return len(self.prompt)

    @property
    def hidden_size(self) -> int | None:
        """Width of a soft prompt's vectors; None for a KV prompt, which does not tell it."""
        return self.prompt.shape[1] if self.prompt_type == PromptType.SOFT else None

    def require_base(self, base: BaseIdentity) -> None:
        """Raise `SoftcallError` unless the prompt is for this base, and leaves positions for texts."""
        if self.hidden_size not in (None, base.hidden_size):
            raise SoftcallError(
                f"the prompt has hidden size {self.hidden_size}; base {base.name} has {base.hidden_size}"
            )
        if self.base_fingerprint != base.fingerprint:
            raise SoftcallError(
                f"the prompt was trained for base {self.base_name} with fingerprint {self.base_fingerprint};"
                f" base {base.name} has fingerprint {base.fingerprint}"
            )
        if self.prompt_type == PromptType.KV:
            base.kv.require_width(self.prompt.shape[1], f"{PROMPT} of a KV prompt")
        if self.tokens >= base.positions:
            raise SoftcallError(
                f"{PROMPT} has {self.tokens} tokens, which leave none of the {base.positions} positions of"
                f" base {base.name} for a text"
            )

    def prefix(self, bundle: "Bundle", threads: int = 0) -> "Prefix":
        """Return the keys and values in front of each text, as the trunk takes them.

        The full-precision trunk computes those of a soft prompt, on `threads` threads (0: all cores).
        """
        self.require_base(bundle.identity)
        if self.prompt_type == PromptType.KV:
            return bundle.identity.kv.prefix(self.prompt)
        return bundle.trunk(threads=threads).encode(self.prompt)

    def with_prefixes(self, bundle: "Bundle", variants: Sequence[str]) -> Self:
        """Return this artifact with the prompt's keys and values, precomputed for variants of its base.

        The full-precision trunk encodes the prompt for every variant. Raises `SoftcallError` for a variant
        that the bundle does not have, and for a KV prompt, which needs none.
        """
        if self.prompt_type == PromptType.KV:
            raise SoftcallError("a KV prompt is the keys and values itself, so it needs no prefix")
        layouts = {variant: bundle.variant(variant).kv_layout for variant in variants}
        # The trunk returns [1, kv_heads, tokens, head_dim] for key 0, value 0, key 1 and so on.
        rows = np.concatenate(self.prefix(bundle))
        cache = rows.reshape(bundle.num_hidden_layers, 2, *rows.shape[1:])
        return replace(
            self,
            prefixes={**self.prefixes, **dict.fromkeys(layouts, cache)},
            prefix_layouts={**self.prefix_layouts, **layouts},
        )

    @property
    def metadata(self) -> dict[str, Any]:
        """The artifact's JSON metadata, as docs/task-artifact.md describes it."""
        return {
            "schema": SCHEMA,
            "prompt": self.prompt_type.value,
            "kind": self.kind.value,
            "base": {"name": self.base_name, "fingerprint": self.base_fingerprint},
            **self.kind_fields,
            "prefix_layouts": dict(self.prefix_layouts),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
        }

    def to_bytes(self) -> bytes:
        """Return the object to store; equal artifacts give equal bytes."""
        tensors = self.tensors
        tensors |= {_PREFIX + variant: cache for variant, cache in self.prefixes.items()}
        return safetensors_bytes(tensors, {"format": "pt", METADATA: as_json(self.metadata)})

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "artifact") -> "Artifact":
        """Read untrusted bytes; raise `SoftcallError`, which begins with `where`, for anything else."""
        try:
            return cls._of_file(SafetensorsFile(data))
        except SoftcallError as error:
            raise SoftcallError(f"{where}: {error}") from None

    @classmethod
    def open(cls, path: Path) -> tuple["Artifact", bytes] | None:
        """Return the artifact in a file, and its bytes; None for a file that does not claim to be one.

        Raises `SoftcallError`, which begins with `path`, for an artifact that cannot be read.
        """
        if path.suffix != ".safetensors" or path.is_dir():
            return None
        data = read_bounded(path, max(MAX_SOURCE_BYTES, max_artifact_bytes()))
        try:
            claimed = METADATA in SafetensorsFile(data).metadata
        except SoftcallError as error:
            raise SoftcallError(f"{path}: {error}") from None
        if not claimed:
            return None
        require_artifact_bytes(len(data), f"{path}: the artifact")
        return cls.from_bytes(data, str(path)), data

    @staticmethod
    def _of_file(file: SafetensorsFile) -> "Artifact":
        refuse_multitask(file.names)
        metadata = Metadata.read(file.metadata)
        base = metadata.object("base")
        kind = GenerationArtifact if metadata.kind == Kind.GENERATION else ClassificationArtifact
        return kind(
            prompt=file.floats(PROMPT),
            base_name=base.text("name"),
            base_fingerprint=base.text("fingerprint"),
            prompt_type=metadata.prompt_type,
            prefixes={
                name.removeprefix(_PREFIX): _halves(file, name)
                for name in file.names
                if name.startswith(_PREFIX)
            },
            prefix_layouts=metadata.mapping("prefix_layouts", default={}),
            metrics=metadata.mapping("metrics", default={}),
            training=metadata.mapping("training", default={}),
            **kind._read_kind(file, metadata),
        )

    def _check_prefixes(self) -> None:
        if set(self.prefixes) != set(self.prefix_layouts):
            raise SoftcallError(
                f"prefixes of the variants {sorted(self.prefixes)},"
                f" but prefix_layouts of {sorted(self.prefix_layouts)}"
            )
        for variant, cache in self.prefixes.items():
            name = _PREFIX + variant
            if cache.ndim != 5 or cache.shape[1] != 2 or cache.shape[3] != self.tokens or 0 in cache.shape:
                raise SoftcallError(
                    f"{name} has shape {list(cache.shape)};"
                    f" expected [layers, 2, kv_heads, {self.tokens}, head_dim]"
                )
            require_finite(name, cache)
            layout = self.prefix_layouts[variant]
            if not isinstance(layout, str) or not _DIGEST.fullmatch(layout):
                raise SoftcallError(f"prefix_layouts of {variant} is {layout!r}; expected 64 hex digits")


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassificationArtifact(Artifact):
    """A task that chooses labels. The constructor raises `SoftcallError` unless the following also holds.

    - `label_head` [labels, hidden] and `label_bias` [labels]: finite
    - `labels`: at least two, distinct, non-empty, in the order of the label head's rows
    - `temperature` > 0; `abstain_threshold`: None, or a probability in (0, 1]
    - `thresholds`: a probability in (0, 1] for each label of a task of the kind `multi_label`, which has no
      `abstain_threshold`; None for others
    """

    label_head: np.ndarray
    label_bias: np.ndarray
    template: Template
    labels: tuple[str, ...]
    kind: Kind = Kind.CLASSIFICATION
    thresholds: tuple[float, ...] | None = None
    temperature: float = 1.0
    abstain_threshold: float | None = None

    def __post_init__(self) -> None:
        for name in (LABEL_HEAD, LABEL_BIAS):
            object.__setattr__(self, name, frozen(getattr(self, name), np.float32))
        object.__setattr__(self, "labels", tuple(self.labels))
        super().__post_init__()
        if self.kind == Kind.GENERATION:
            raise SoftcallError(f"the kind {self.kind.value!r} has no labels; expected another")
        check_labels(self.labels)
        self._check_head()
        self._check_scores()

    @property
    def hidden_size(self) -> int:
        """Width of a soft prompt's vectors and of the label head's rows."""
        return self.label_head.shape[-1] if self.label_head.ndim else 0

    @property
    def kind_fields(self) -> dict[str, Any]:
        """The fields of the metadata that go with the kind."""
        return {
            "template": self.template.source,
            "labels": list(self.labels),
            "temperature": self.temperature,
            "abstain_threshold": self.abstain_threshold,
            **({} if self.thresholds is None else {"thresholds": list(self.thresholds)}),
        }

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays of the file, without prefixes."""
        return {**super().tensors, LABEL_HEAD: self.label_head, LABEL_BIAS: self.label_bias}

    def _check_head(self) -> None:
        width = self.prompt.shape[1] if self.prompt_type == PromptType.SOFT else self.hidden_size
        require_shape(LABEL_HEAD, self.label_head, (len(self.labels), width))
        require_shape(LABEL_BIAS, self.label_bias, (len(self.labels),))
        for name, tensor in ((LABEL_HEAD, self.label_head), (LABEL_BIAS, self.label_bias)):
            require_finite(name, tensor)

    def _check_scores(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise SoftcallError(f"temperature is {self.temperature}; expected a number greater than 0")
        if self.abstain_threshold is not None and not 0 < self.abstain_threshold <= 1:
            raise SoftcallError(
                f"abstain_threshold is {self.abstain_threshold}; expected a probability in (0, 1]"
            )
        self._check_thresholds()

    def _check_thresholds(self) -> None:
        if self.kind != Kind.MULTI_LABEL:
            if self.thresholds is not None:
                raise SoftcallError(f"thresholds go with the kind {Kind.MULTI_LABEL.value!r} alone")
            return
        if self.abstain_threshold is not None:
            raise SoftcallError(
                f"abstain_threshold does not go with {self.kind.value!r}, whose labels have thresholds"
            )
        if self.thresholds is None or len(self.thresholds) != len(self.labels):
            count = 0 if self.thresholds is None else len(self.thresholds)
            raise SoftcallError(f"{count} thresholds for {len(self.labels)} labels; expected one for each")
        for label, threshold in zip(self.labels, self.thresholds, strict=True):
            if not 0 < threshold <= 1:
                raise SoftcallError(
                    f"the threshold of {label!r} is {threshold}; expected a probability in (0, 1]"
                )

    @classmethod
    def _read_kind(cls, file: SafetensorsFile, metadata: Metadata) -> dict[str, Any]:
        return {
            "label_head": file.floats(LABEL_HEAD),
            "label_bias": file.floats(LABEL_BIAS),
            "template": Template(metadata.text("template")),
            "labels": metadata.texts("labels"),
            "kind": metadata.kind,
            "thresholds": metadata.thresholds,
            "temperature": metadata.number("temperature", default=1.0),
            "abstain_threshold": metadata.optional_number("abstain_threshold"),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class GenerationArtifact(Artifact):
    """A task that writes text; it has no label head."""

    generation: Generation

    @property
    def kind(self) -> Kind:
        """The kind of the task."""
        return Kind.GENERATION

    @property
    def kind_fields(self) -> dict[str, Any]:
        """The fields of the metadata that go with the kind."""
        return self.generation.fields()

    @classmethod
    def _read_kind(cls, file: SafetensorsFile, metadata: Metadata) -> dict[str, Any]:
        for name in (LABEL_HEAD, LABEL_BIAS):
            if name in file.names:
                raise SoftcallError(
                    f"tensor {name} is given; expected none: the kind {Kind.GENERATION.value!r} has no labels"
                )
        return {"generation": Generation.of_fields(metadata.fields)}


def require_classification(artifact: Artifact, where: str, purpose: str) -> ClassificationArtifact:
    """Return `artifact` if it classifies; `SoftcallError` says that it writes text, and then `purpose`."""
    if not isinstance(artifact, ClassificationArtifact):
        raise SoftcallError(f"{where} writes text; {purpose}")
    return artifact


def refuse_multitask(tensors: Iterable[str]) -> None:
    """Raise `SoftcallError` for tensors of MULTITASK_PROMPT_TUNING, whose prompts also need a task's rows."""
    for name in ("prefix_task_cols", "prefix_task_rows"):
        if name in tensors:
            raise SoftcallError(
                f"tensor {name} belongs to peft_type MULTITASK_PROMPT_TUNING; expected PROMPT_TUNING"
            )


def _halves(file: SafetensorsFile, name: str) -> np.ndarray:
    cache = file.floats(name)
    if cache.dtype != np.float16:
        raise SoftcallError(f"tensor {name} has type {cache.dtype}; expected F16")
    return cache
