"""Cores that share a run beside cores that have runs of their own, in bare ONNX Runtime.

    python -m softcall_bench.divided [SECONDS]

Prints how long 1, 16 and 32 texts take as one run of all cores, and how long divided into one run a core, in
each variant. The cores of a virtual machine may lie far apart for seconds or minutes: rounds in which the
single text took a quarter longer in int8 than in the best one are told apart.
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np

from softcall.base.trunk import Prefix
from softcall_bench.bench import FULL_PRECISION, INT8
from softcall_bench.page import table
from softcall_bench.workload import Workload

TEXTS = (1, 16, 32)
APART = 1.25
SECONDS = 120.0


def main() -> None:
    """Measure in turn for as long as asked, and print the medians."""
    parser = argparse.ArgumentParser(prog="softcall_bench.divided", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=SECONDS)
    until = time.perf_counter() + parser.parse_args().seconds
    cases = dict(_cases(Workload.shipped()))
    took: dict[tuple[str, int, str], list[float]] = {case: [] for case in cases}
    while time.perf_counter() < until:
        for case, run in cases.items():
            run()
            began = time.perf_counter()
            run()
            took[case].append((time.perf_counter() - began) * 1e3)
    alone = np.array(next(iter(took.values())))
    apart = alone > APART * alone.min()
    rows = [
        (variant, str(texts), how, *(_median(np.array(figures)[chosen]) for chosen in (~apart, apart)))
        for (variant, texts, how), figures in took.items()
    ]
    print(f"{len(alone)} rounds, in {apart.sum()} of them the cores were far apart")
    print(table(("", "texts", "", "ms", "ms, cores far apart"), rows))


def _cases(workload: Workload):
    prefix = workload.artifact.prefix(workload.base)
    for variant in (INT8, FULL_PRECISION):
        yield from _cases_of(variant, workload, prefix)


def _cases_of(variant: str, workload: Workload, prefix: Prefix):
    cores = os.cpu_count() or 1
    whole, part = (workload.base.trunk(variant, threads=threads) for threads in (cores, 1))
    pool = ThreadPoolExecutor(cores)

    def run(trunk, texts: int) -> None:
        ids = np.array([text.ids for text in islice(cycle(workload.texts), texts)], np.int64)
        trunk.hidden(ids, np.full(texts, ids.shape[1] - 1), prefix=prefix)

    for texts in TEXTS:
        yield (variant, texts, "one run of all cores"), lambda texts=texts: run(whole, texts)
        if texts >= cores:
            yield (
                (variant, texts, "a run on each core"),
                lambda texts=texts: [*pool.map(lambda _: run(part, texts // cores), range(cores))],
            )
    yield (variant, 1, "on one core"), lambda: run(part, 1)


def _median(figures: np.ndarray) -> str:
    return f"{np.median(figures):.1f}" if figures.size else "-"


if __name__ == "__main__":
    main()
