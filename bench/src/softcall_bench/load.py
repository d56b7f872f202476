"""Load on the server: wrk in a closed loop, and what its answers say."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from softcall_bench.programs import Program

ANSWER_LIMIT_S = 120
ENOUGH = 3  # answers to each client
ATTEMPTS = 3


class LoadFailed(Exception):
    """The load generator did not run, or the server answered otherwise than was expected."""


@dataclass(frozen=True, eq=False)
class Load:
    """Answers in the order in which they came: start and finish in seconds of one clock, HTTP status."""

    start_s: np.ndarray
    finish_s: np.ndarray
    status: np.ndarray

    def figures(self, tokens: float) -> dict[str, float]:
        """Latency percentiles in ms and throughput; `tokens` is a text's length with its template.

        Answers come in bursts, a batch at a time, so throughput is the slope of their count over time
        (least squares), which a burst at either end does not disturb.
        """
        if len(self.status) < 3:
            raise LoadFailed(f"{len(self.status)} answers; at least 3 are needed, so measure for longer")
        p50, p95, p99 = np.percentile((self.finish_s - self.start_s) * 1e3, [50, 95, 99])
        texts_per_s = float(np.polyfit(self.finish_s, np.arange(len(self.status)), 1)[0])
        return {
            "p50_ms": float(p50),
            "p95_ms": float(p95),
            "p99_ms": float(p99),
            "texts_per_s": texts_per_s,
            "tokens_per_s": texts_per_s * tokens,
            "answers": len(self.status),
        }


def closed_loop(wrk: Program, url: str, bodies: Sequence[str], clients: int, seconds: int) -> Load:
    """Let `clients` ask one after the other for `seconds`, each over a connection of its own.

    A client's first answer is left out, for then the batches have not found their size. Where a machine is so
    slow that a client gets fewer than `ENOUGH` answers, it is all done again with three times as long.
    Raises `LoadFailed` for any status but 200.
    """
    for attempt in range(ATTEMPTS):
        load = _closed_loop(wrk, url, bodies, clients, seconds * 3**attempt)
        if len(load.status) >= (ENOUGH - 1) * max(clients, 3):
            break
    return load


def _closed_loop(wrk: Program, url: str, bodies: Sequence[str], clients: int, seconds: int) -> Load:
    with tempfile.TemporaryDirectory() as folder, as_file(files(__package__) / "load.lua") as script:
        asked, answers = Path(folder, "bodies"), Path(folder, "answers")
        asked.write_text("\n".join(bodies) + "\n")
        command = [str(wrk.path), f"-t{clients}", f"-c{clients}", f"-d{seconds}s"]
        command += ["--timeout", f"{ANSWER_LIMIT_S}s", "-s", str(script), f"{url}/v1/classify"]
        environment = os.environ | wrk.environment
        environment |= {"BENCH_BODIES": str(asked), "BENCH_ANSWERS": str(answers)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0 or not answers.exists():
            raise LoadFailed(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
        table = np.loadtxt(answers, ndmin=2).reshape(-1, 4)
    nth, start, finish, status = table[np.argsort(table[:, 2])].T
    settled = nth > 1
    load = Load(start[settled], finish[settled], status[settled].astype(int))
    if (refused := load.status[load.status != 200]).size:
        raise LoadFailed(
            f"{refused.size} of {load.status.size} answers were not 200 but {sorted(set(refused))}"
        )
    return load
