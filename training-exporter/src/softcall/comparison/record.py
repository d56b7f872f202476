"""The record of a run, a JSON file in the comparison's folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.new_file import write_file
from softcall.core.printable import printable

RUNS = "records"
MAX_RECORD_BYTES = 64 << 20


@dataclass(frozen=True)
class RunRecord:
    """The scores of a run on test, and its costs. The points of its curves are those of `LearnerState`."""

    data: str
    method: str
    seed: int
    settings: dict[str, Any]
    rows: dict[str, Any]  # digests of files, counts
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
    learnt_bytes: int  # to store for the task: in float32, KV prompts in float16
    seconds: float  # of training with its evaluations of dev; runs that learnt together share them equally
    peak_bytes: int  # of the GPU's memory, or of the whole process on a CPU
    switch_seconds: float  # to load another task of this method from memory
    curve: list[list[float]]
    evaluations: list[list[float]]
    device: str
    jobs: int  # processes that shared the device

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.total

    @property
    def told(self) -> str:
        """The run in one line."""
        return (
            f"{printable(self.data)} {self.method} seed {self.seed}: accuracy {self.accuracy:.4f},"
            f" {self.trained_parameters:,} parameters, {self.seconds:.1f} s"
        )

    @staticmethod
    def path(folder: Path, data: str, method: str, seed: int) -> Path:
        """Return the file of a run's record in the comparison's folder."""
        return folder / RUNS / f"{data}-{method}-{seed}.json"

    def write(self, folder: Path) -> None:
        """Write the record atomically."""
        path = self.path(folder, self.data, self.method, self.seed)
        write_file(path, f"{json.dumps(asdict(self))}\n".encode())

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a stored record; raise `SoftcallError` for anything else."""
        data = read_bounded(path, MAX_RECORD_BYTES)
        try:
            return cls(**json.loads(data))
        except (TypeError, ValueError, RecursionError) as error:
            raise SoftcallError(f"{path} is not the record of a run ({error}); delete it") from None
