"""Compares prompt tuning with other methods for the same classifier, on the same rows, in the same loop.

Each run is a JSON file, so an interrupted comparison can resume, and processes can share the work.
"""

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor

from rich.console import Console

from softcall.base.source import Source
from softcall.comparison.config import CompareConfig, DataSet, Method
from softcall.comparison.prepared import Prepared, prepare
from softcall.comparison.record import RUNS, RunRecord
from softcall.comparison.runs import records_of
from softcall.core.console import print_plain
from softcall.evaluation.classifier import torch_device
from softcall.training.compute.determinism import deterministic


class Workplace:
    """What a process needs for the runs of a comparison: the base on its device, and prepared rows."""

    def __init__(self, config: CompareConfig) -> None:
        """Load the base."""
        self.config, self.device = config, torch_device(config.device)
        self.base = Source.resolve(config.base).load()
        self.base.model.to(self.device)
        self._prepared: dict[str, Prepared] = {}

    def run(self, data: DataSet, method: Method, seeds: Sequence[int]) -> list[RunRecord]:
        """Return the records of runs; make those that are missing."""
        if data.name not in self._prepared:
            self._prepared = {data.name: prepare(self.config, data, self.base)}  # one at a time
        with deterministic():
            return records_of(self.config, self._prepared[data.name], method, seeds, self.base, self.device)


def compare(config: CompareConfig, console: Console) -> list[RunRecord]:
    """Make the missing runs, and return all records of the comparison."""
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
            print_plain(console, record.told)
    return records


def _shared(
    config: CompareConfig, runs: Sequence[tuple[DataSet, Method, Sequence[int]]]
) -> Iterator[list[RunRecord]]:
    """Yield the records in order; `config.jobs` processes share the GPU, which small steps leave idle."""
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
