"""The description of a task, from flags or from a `task.json`: its template, labels and verbalizers.

A task that writes text has `softcall.artifact.generation.Generation` in their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from softcall.artifact.bounds import check_labels
from softcall.artifact.generation import Generation
from softcall.artifact.label_head import default_verbalizer
from softcall.artifact.metadata import DEFAULT_THRESHOLD, Kind
from softcall.artifact.template import Template
from softcall.core.bounded_file import read_json_object
from softcall.core.errors import SoftcallError

TASK_FILE = "task.json"
MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class TaskDescription:
    """A task that classifies, in words; the fields are those of `task.json`.

    `labels` are in the order of their scores. `verbalizers` maps labels to words; the others are verbalized
    by their names (`card_arrival`: " card arrival"). `thresholds` maps labels of a `multi_label` task to the
    probability from which a text has them; the others have .5.
    """

    template: Template
    labels: tuple[str, ...]
    verbalizers: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = Kind.CLASSIFICATION
    thresholds: Mapping[str, float] = field(default_factory=dict)
    temperature: float = 1.0
    abstain_threshold: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))
        check_labels(self.labels)
        for name, values in (("verbalizers", self.verbalizers), ("thresholds", self.thresholds)):
            for label in values:
                if label not in self.labels:
                    raise SoftcallError(
                        f"{name} names {label!r}, which is not a label ({', '.join(self.labels)})"
                    )
        if self.thresholds and self.kind != Kind.MULTI_LABEL:
            raise SoftcallError(f"thresholds go with the kind {Kind.MULTI_LABEL.value!r} alone")

    @property
    def words(self) -> list[str]:
        """One verbalizer for each label."""
        return [self.verbalizers.get(label, default_verbalizer(label)) for label in self.labels]

    @property
    def label_thresholds(self) -> tuple[float, ...] | None:
        """One threshold for each label of a `multi_label` task; None for other kinds."""
        if self.kind != Kind.MULTI_LABEL:
            return None
        return tuple(self.thresholds.get(label, DEFAULT_THRESHOLD) for label in self.labels)

    @classmethod
    def of_record(cls, record: Mapping[str, Any], where: str) -> Self:
        """Return the task of a `task.json`'s fields; raise `SoftcallError`, which begins with `where`."""
        known = [entry.name for entry in fields(cls)]
        for name in record:
            if name not in known:
                raise SoftcallError(f"{where}: unknown field {name!r}; expected {', '.join(known)}")
        for name, expected, kind in _KINDS:
            if name not in record and name in _REQUIRED:
                raise SoftcallError(f"{where}: {name} is missing; expected {expected}")
            if name in record and not kind(record[name]):
                raise SoftcallError(f"{where}: {name} is {record[name]!r}; expected {expected}")
        try:
            return cls(
                **{**record, "template": Template(record["template"]), "labels": tuple(record["labels"])}
            )
        except SoftcallError as error:
            raise SoftcallError(f"{where}: {error}") from None


def task_of_record(record: Mapping[str, Any], where: str) -> TaskDescription | Generation:
    """Return the task of a `task.json`'s fields, by its kind; `SoftcallError` begins with `where`."""
    of_kind = Generation if record.get("kind") == Kind.GENERATION else TaskDescription
    return of_kind.of_record(record, where)


def read_task_file(path: Path) -> dict[str, Any]:
    """Return the unchecked fields of a `task.json`; raise `SoftcallError` unless it is a JSON object."""
    return read_json_object(path, MAX_FILE_BYTES)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _words(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())


def _probabilities(value: Any) -> bool:
    return isinstance(value, dict) and all(_number(item) and 0 < item <= 1 for item in value.values())


_REQUIRED = ("template", "labels")
_KINDS = (
    ("template", "a string that holds {text}, or {text1} and {text2}", lambda value: isinstance(value, str)),
    ("labels", "a list of names", _strings),
    ("verbalizers", "an object from label to words", _words),
    ("kind", " or ".join(repr(kind.value) for kind in Kind), lambda value: value in list(Kind)),
    ("thresholds", "an object from label to a probability in (0, 1]", _probabilities),
    ("temperature", "a number greater than 0", _number),
    ("abstain_threshold", "null or a probability in (0, 1]", lambda value: value is None or _number(value)),
)
