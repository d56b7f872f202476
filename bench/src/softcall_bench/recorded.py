"""The trainings that `training-exporter/examples/results.sh` recorded, by experiment."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from softcall.comparison.config import Method
from softcall.comparison.record import RUNS, RunRecord
from softcall.comparison.sections import Line, Section, sections
from softcall_bench.local_server import ROOT

RECORDS = ROOT / "training-exporter/results"


@dataclass(frozen=True)
class Recorded:
    """An experiment, which is a folder of `RECORDS`: none has been run where there is no record."""

    parts: tuple[Section, ...]

    @classmethod
    def read(cls, experiment: str) -> "Recorded":
        """What lies in the experiment's folder."""
        files = sorted((RECORDS / experiment / RUNS).glob("*.json"))
        return cls(tuple(sections([RunRecord.read(file) for file in files])))

    @property
    def lines(self) -> Mapping[tuple[str, Method], Line]:
        """By data set and method."""
        return {(part.name, Method(line.method)): line for part in self.parts for line in part.lines}

    def prompts(self, method: Method = Method.PROMPT) -> Iterator[tuple[str, Line]]:
        """Data sets and their soft prompts, or their lines of another method."""
        for (data, each), line in self.lines.items():
            if each == method:
                yield data, line

    def accuracy(self, data: str, method: Method = Method.PROMPT) -> float | None:
        """Mean over seeds of the accuracy on test."""
        line = self.lines.get((data, method))
        return None if line is None else line.accuracy


def better_prompts() -> dict[str, Line]:
    """By data set, of soft and KV prompts those that are better on dev; without data sets that lack one."""
    soft, kv = dict(Recorded.read("prompts").prompts()), dict(Recorded.read("kv").prompts(Method.KV))
    return {data: max(line, kv[data], key=dev_accuracy) for data, line in soft.items() if data in kv}


def experiments(kind: str) -> list[str]:
    """Those whose names begin with `kind` and a dash, in the order of what follows: numbers by size."""
    names = [folder.name for folder in RECORDS.glob(f"{kind}-*")]
    return sorted(names, key=lambda name: (_number(name.removeprefix(f"{kind}-")), name))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.inf


def dev_accuracy(line: Line) -> float:
    """Mean over seeds of the accuracy on dev, which chose."""
    return float(np.mean([record.dev_accuracy for record in line.records]))


def calibration_error(line: Line) -> float:
    """Mean over seeds of the expected calibration error on test."""
    return float(np.mean([record.calibration_error for record in line.records]))


def calibration_error_before(line: Line) -> float:
    """The same of the probabilities as they were learnt, at temperature 1."""
    return float(np.mean([record.calibration_error_before for record in line.records]))


def temperature(line: Line) -> float:
    """Mean over seeds of the temperature that dev chose."""
    return float(np.mean([record.temperature for record in line.records]))
