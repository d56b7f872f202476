"""The task artifact: a task in one safetensors object, as servers read it (docs/task-artifact.md)."""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from softcall.artifact.bounds import (
    MAX_JSON_TOKENS,
    MAX_METADATA_DEPTH,
    MAX_PROMPT_TOKENS,
    check_labels,
    max_artifact_bytes,
    require_artifact_bytes,
)
from softcall.artifact.safetensors_file import SafetensorsFile, safetensors_bytes
from softcall.artifact.template import Template
from softcall.core.bounded_file import MAX_SOURCE_BYTES, read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.core.surrogates import has_half

if TYPE_CHECKING:
    from softcall.base.bundle import Bundle

SCHEMA = 1
KIND = "classification"

PROMPT = "prompt_embeddings"  # PEFT's own name
_HEAD = "label_head"
_BIAS = "label_bias"
_PREFIX = "prefix."
_METADATA = "softcall"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, eq=False)
class Artifact:
    """A task, with its arrays copied to read-only float32 (prefixes: float16).

    The constructor raises `SoftcallError` unless the following holds.

    - `prompt` [tokens, hidden], `label_head` [labels, hidden], `label_bias` [labels]: finite
    - `labels`: at least two, distinct, non-empty, in the order of the label head's rows
    - `base_fingerprint`: 64 hex digits, which identify the base that the prompt was trained for
    - `temperature` > 0; `abstain_threshold`: None, or a probability in (0, 1]
    - `prefixes`: variant to the prompt's KV cache [layers, 2, kv_heads, tokens, head_dim], and
      `prefix_layouts`: variant to its `kv_layout` digest; both name the same variants
    - `metrics` and `training`: any JSON, for people to read
    """

    prompt: np.ndarray
    label_head: np.ndarray
    label_bias: np.ndarray
    template: Template
    labels: tuple[str, ...]
    base_name: str
    base_fingerprint: str
    temperature: float = 1.0
    abstain_threshold: float | None = None
    prefixes: Mapping[str, np.ndarray] = field(default_factory=dict)
    prefix_layouts: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("prompt", "label_head", "label_bias"):
            object.__setattr__(self, name, _frozen(getattr(self, name), np.float32))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(
            self, "prefixes", {name: _frozen(cache, np.float16) for name, cache in self.prefixes.items()}
        )
        check_labels(self.labels)
        self._check_tensors()
        self._check_prefixes()
        self._check_scores()
        if not self.base_name:
            raise SoftcallError("the base's name is empty")
        if not _DIGEST.fullmatch(self.base_fingerprint):
            raise SoftcallError(
                f"the base's fingerprint is {self.base_fingerprint!r}; expected 64 hex digits"
            )

    @property
    def tokens(self) -> int:
        """Length of the prompt."""
        return len(self.prompt)

    @property
    def hidden_size(self) -> int:
        """Width of the prompt's vectors and of the label head's rows."""
        return self.prompt.shape[1]

    def require_base(self, name: str, fingerprint: str, hidden_size: int) -> None:
        """Raise `SoftcallError` unless this prompt was trained for the base with this fingerprint."""
        if self.hidden_size != hidden_size:
            raise SoftcallError(
                f"the prompt has hidden size {self.hidden_size}; base {name} has {hidden_size}"
            )
        if self.base_fingerprint != fingerprint:
            raise SoftcallError(
                f"the prompt was trained for base {self.base_name} with fingerprint {self.base_fingerprint};"
                f" base {name} has fingerprint {fingerprint}"
            )

    def with_prefixes(self, bundle: "Bundle", variants: Sequence[str]) -> Self:
        """Return this artifact with the prompt's keys and values, precomputed for variants of its base.

        The full-precision trunk encodes the prompt for every variant. Raises `SoftcallError` for a variant
        that the bundle does not have.
        """
        self.require_base(bundle.name, bundle.fingerprint, bundle.hidden_size)
        layouts = {variant: bundle.variant(variant).kv_layout for variant in variants}
        # The trunk returns [1, kv_heads, tokens, head_dim] for key 0, value 0, key 1 and so on.
        rows = np.concatenate(bundle.trunk().encode(self.prompt))
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
            "kind": KIND,
            "base": {"name": self.base_name, "fingerprint": self.base_fingerprint},
            "template": self.template.source,
            "labels": list(self.labels),
            "temperature": self.temperature,
            "abstain_threshold": self.abstain_threshold,
            "prefix_layouts": dict(self.prefix_layouts),
            "metrics": dict(self.metrics),
            "training": dict(self.training),
        }

    def to_bytes(self) -> bytes:
        """Return the object to store; equal artifacts give equal bytes."""
        tensors = {PROMPT: self.prompt, _HEAD: self.label_head, _BIAS: self.label_bias}
        tensors |= {_PREFIX + variant: cache for variant, cache in self.prefixes.items()}
        return safetensors_bytes(tensors, {"format": "pt", _METADATA: _json(self.metadata)})

    @classmethod
    def from_bytes(cls, data: bytes, where: str = "artifact") -> Self:
        """Read untrusted bytes; raise `SoftcallError`, which begins with `where`, for anything else."""
        try:
            return cls._of_file(SafetensorsFile(data))
        except SoftcallError as error:
            raise SoftcallError(f"{where}: {error}") from None

    @classmethod
    def open(cls, path: Path) -> tuple[Self, bytes] | None:
        """Return the artifact in a file, and its bytes; None for a file that does not claim to be one.

        Raises `SoftcallError`, which begins with `path`, for an artifact that cannot be read.
        """
        if path.suffix != ".safetensors" or path.is_dir():
            return None
        data = read_bounded(path, max(MAX_SOURCE_BYTES, max_artifact_bytes()))
        try:
            claimed = _METADATA in SafetensorsFile(data).metadata
        except SoftcallError as error:
            raise SoftcallError(f"{path}: {error}") from None
        if not claimed:
            return None
        require_artifact_bytes(len(data), f"{path}: the artifact")
        return cls.from_bytes(data, str(path)), data

    @classmethod
    def _of_file(cls, file: SafetensorsFile) -> Self:
        refuse_multitask(file.names)
        metadata = _metadata(file)
        base = _object(metadata, "base")
        return cls(
            prompt=file.floats(PROMPT),
            label_head=file.floats(_HEAD),
            label_bias=file.floats(_BIAS),
            template=Template(_text(metadata, "template")),
            labels=_texts(metadata, "labels"),
            base_name=_text(base, "name"),
            base_fingerprint=_text(base, "fingerprint"),
            temperature=_number(metadata.get("temperature", 1.0), "temperature"),
            abstain_threshold=_optional_number(metadata.get("abstain_threshold"), "abstain_threshold"),
            prefixes={
                name.removeprefix(_PREFIX): _halves(file, name)
                for name in file.names
                if name.startswith(_PREFIX)
            },
            prefix_layouts=_object(metadata, "prefix_layouts", default={}),
            metrics=_object(metadata, "metrics", default={}),
            training=_object(metadata, "training", default={}),
        )

    def _check_tensors(self) -> None:
        check_prompt(self.prompt)
        _require_shape(_HEAD, self.label_head, (len(self.labels), self.hidden_size))
        _require_shape(_BIAS, self.label_bias, (len(self.labels),))
        for name, tensor in ((_HEAD, self.label_head), (_BIAS, self.label_bias)):
            _require_finite(name, tensor)

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
            _require_finite(name, cache)
            layout = self.prefix_layouts[variant]
            if not isinstance(layout, str) or not _DIGEST.fullmatch(layout):
                raise SoftcallError(f"prefix_layouts of {variant} is {layout!r}; expected 64 hex digits")

    def _check_scores(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise SoftcallError(f"temperature is {self.temperature}; expected a number greater than 0")
        if self.abstain_threshold is not None and not 0 < self.abstain_threshold <= 1:
            raise SoftcallError(
                f"abstain_threshold is {self.abstain_threshold}; expected a probability in (0, 1]"
            )


def check_prompt(prompt: np.ndarray) -> None:
    """Raise `SoftcallError` unless `prompt` [tokens, hidden] is finite and servers accept its length."""
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise SoftcallError(f"{PROMPT} has shape {list(prompt.shape)}; expected [tokens, hidden]")
    if len(prompt) > MAX_PROMPT_TOKENS:
        raise SoftcallError(f"{PROMPT} has {len(prompt)} tokens; at most {MAX_PROMPT_TOKENS} are accepted")
    _require_finite(PROMPT, prompt)


def _frozen(values: Any, dtype: type[np.floating]) -> np.ndarray:
    with np.errstate(over="ignore"):  # a value that overflows becomes infinite, which is refused later
        array = np.array(values, dtype=dtype, order="C")
    array.flags.writeable = False
    return array


def _require_shape(name: str, tensor: np.ndarray, expected: tuple[int, ...]) -> None:
    if tensor.shape != expected:
        raise SoftcallError(f"{name} has shape {list(tensor.shape)}; expected {list(expected)}")


def _require_finite(name: str, tensor: np.ndarray) -> None:
    finite = np.isfinite(tensor)
    if not finite.all():
        element = int(np.argmin(finite))
        raise SoftcallError(
            f"{name} holds {tensor.flat[element]} at element {element}; expected finite values"
        )


def _json(value: Any) -> str:
    """Return the metadata as JSON that readers accept: strict, and within their bounds."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise SoftcallError(f"labels, metrics and training must be JSON: {error}") from None
    if has_half(text):
        raise SoftcallError("labels, metrics and training hold half of a surrogate pair, which is not UTF-8")
    try:
        read_json(text, MAX_METADATA_DEPTH, MAX_JSON_TOKENS)
    except MalformedJsonError as error:
        raise SoftcallError(f"labels, metrics and training as JSON: {error}") from None
    return text


def refuse_multitask(tensors: Iterable[str]) -> None:
    """Raise `SoftcallError` for tensors of MULTITASK_PROMPT_TUNING, whose prompts also need a task's rows."""
    for name in ("prefix_task_cols", "prefix_task_rows"):
        if name in tensors:
            raise SoftcallError(
                f"tensor {name} belongs to peft_type MULTITASK_PROMPT_TUNING; expected PROMPT_TUNING"
            )


def _metadata(file: SafetensorsFile) -> dict[str, Any]:
    if _METADATA not in file.metadata:
        raise SoftcallError(
            f'no "{_METADATA}" metadata, so this is not a task artifact;'
            " `softcall push` makes one of a PEFT folder"
        )
    try:
        metadata = read_json(file.metadata[_METADATA], MAX_METADATA_DEPTH, MAX_JSON_TOKENS)
    except MalformedJsonError as error:
        raise SoftcallError(f'the "{_METADATA}" metadata is {error}') from None
    if has_half(json.dumps(metadata, ensure_ascii=False)):
        raise SoftcallError(
            f'the "{_METADATA}" metadata holds half of a surrogate pair, which is not Unicode text'
        )
    if not isinstance(metadata, dict):
        raise SoftcallError(f'the "{_METADATA}" metadata is not a JSON object')
    if metadata.get("schema") != SCHEMA:
        raise SoftcallError(f"schema is {metadata.get('schema')!r}; this version reads schema {SCHEMA}")
    if metadata.get("kind") != KIND:
        raise SoftcallError(f"kind is {metadata.get('kind')!r}, which is not served yet; expected {KIND!r}")
    return metadata


def _halves(file: SafetensorsFile, name: str) -> np.ndarray:
    cache = file.floats(name)
    if cache.dtype != np.float16:
        raise SoftcallError(f"tensor {name} has type {cache.dtype}; expected F16")
    return cache


def _text(metadata: Mapping[str, Any], name: str) -> str:
    value = metadata.get(name)
    if not isinstance(value, str):
        raise SoftcallError(f"{name} is {value!r}; expected a string")
    return value


def _texts(metadata: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = metadata.get(name)
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise SoftcallError(f"{name} is not a list of strings")
    return tuple(values)


def _object(metadata: Mapping[str, Any], name: str, default: Any = None) -> dict[str, Any]:
    value = metadata.get(name, default)
    if not isinstance(value, dict):
        raise SoftcallError(f"{name} is {value!r}; expected an object")
    return value


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SoftcallError(f"{name} is {value!r}; expected a number")
    try:
        return float(value)
    except OverflowError:
        raise SoftcallError(f"{name} is too large; expected a number of ordinary size") from None


def _optional_number(value: Any, name: str) -> float | None:
    return None if value is None else _number(value, name)
