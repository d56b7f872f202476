"""Label heads that were trained beside a prompt: a classifier of PEFT, or the tensors of a task artifact."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softcall.artifact.arrays import LABEL_BIAS, LABEL_HEAD
from softcall.artifact.metadata import Kind
from softcall.base.source import MAX_CONFIG_BYTES
from softcall.core.bounded_file import read_json_object
from softcall.core.errors import SoftcallError
from softcall.prompt_formats.tensor_file import Selection, Tensors

MODEL_CONFIG = "config.json"

_CLASSIFIERS = ("score", "classifier")  # how causal models and PEFT name it
_KINDS = {
    None: Kind.CLASSIFICATION,
    "single_label_classification": Kind.CLASSIFICATION,
    "multi_label_classification": Kind.MULTI_LABEL,
}


@dataclass(frozen=True, eq=False)
class Head:
    """`weights` [labels, hidden] and `bias` [labels]; names of labels and the kind, where a file has them."""

    weights: np.ndarray
    bias: np.ndarray
    labels: tuple[str, ...] | None = None
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if self.weights.ndim != 2 or self.bias.shape != self.weights.shape[:1]:
            raise SoftcallError(
                f"its label head has shape {list(self.weights.shape)}, the bias {list(self.bias.shape)};"
                " expected [labels, hidden] and [labels]"
            )
        if self.labels is not None and len(self.labels) != len(self.weights):
            raise SoftcallError(
                f"its label head has {len(self.weights)} rows; {MODEL_CONFIG} names {len(self.labels)} labels"
            )

    @property
    def described(self) -> dict[str, Any]:
        """What it says of the task, as fields of a `task.json`; a classifier reads a text alone."""
        if self.kind is None:
            return {}
        labels = {} if self.labels is None else {"labels": list(self.labels)}
        return {"template": "{text}", "kind": self.kind.value, **labels}


def split(tensors: Tensors, folder: Path, *, classifier: bool) -> tuple[Tensors, Head | None]:
    """Return the tensors without those of a label head, and the head, if there is one.

    With `classifier` the head is PEFT's (`task_type` SEQ_CLS): `base_model.score.weight` or
    `base_model.classifier.weight`, perhaps with a bias; names and kind are those of a `config.json` in
    `folder`. Raises `SoftcallError` if it is missing. Otherwise the head is `label_head` and `label_bias`.
    """
    if classifier:
        weight, bias = (_of_classifier(tensors.names, part) for part in ("weight", "bias"))
        if weight is None:
            raise SoftcallError(
                "has no trained classifier (base_model.score.weight), though its task_type is SEQ_CLS"
            )
    else:
        weight, bias = (name if name in tensors.names else None for name in (LABEL_HEAD, LABEL_BIAS))
        if weight is None:
            return tensors, None
    weights = tensors.floats(weight)
    values = np.zeros(len(weights), np.float32) if bias is None else tensors.floats(bias)
    named = {"kind": Kind.CLASSIFICATION, **_names(folder)} if classifier else {}
    rest = Selection(tensors, tuple(name for name in tensors.names if name not in (weight, bias)))
    return rest, Head(weights, values, **named)


def _of_classifier(names: tuple[str, ...], part: str) -> str | None:
    """Return the name of a classifier's tensor; PEFT has put one and several words before it."""
    found = [
        name for name in names if name.split(".")[-1] == part and set(name.split(".")) & set(_CLASSIFIERS)
    ]
    if len(found) > 1:
        raise SoftcallError(f"has {len(found)} classifiers: {', '.join(sorted(found))}; expected one")
    return found[0] if found else None


def _names(folder: Path) -> Mapping[str, Any]:
    """Return labels and kind of a model's `config.json`; nothing without one."""
    path = folder / MODEL_CONFIG
    if not path.is_file():
        return {}
    config = read_json_object(path, MAX_CONFIG_BYTES)
    problem = config.get("problem_type")
    if problem not in _KINDS:
        accepted = ", ".join(kind for kind in _KINDS if kind)
        raise SoftcallError(f"{path}: problem_type is {problem!r}, which is not served; expected {accepted}")
    labels = config.get("id2label")
    if labels is None:
        return {"kind": _KINDS[problem]}
    numbers = [str(number) for number in range(len(labels))] if isinstance(labels, dict) else []
    if not numbers or set(labels) != set(numbers) or not all(isinstance(x, str) for x in labels.values()):
        raise SoftcallError(f"{path}: id2label is {str(labels)[:80]}; expected names of 0, 1, 2, ...")
    return {"labels": tuple(labels[number] for number in numbers), "kind": _KINDS[problem]}
