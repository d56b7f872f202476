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

    A client's first answer is left out, for then the batches have not found their size. Raises `LoadFailed`
    for any status but 200.
    """
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
        table = np.loadtxt(answers, ndmin=2).reshape(-1, 3)
    # A thread writes its answers one after the other; where time goes backwards the next thread begins.
    first = np.concatenate([[True], np.diff(table[:, 0]) < 0]) if len(table) else np.zeros(0, bool)
    table = table[~first]
    table = table[np.argsort(table[:, 1])]
    load = Load(table[:, 0], table[:, 1], table[:, 2].astype(int))
    if (refused := load.status[load.status != 200]).size:
        raise LoadFailed(f"{refused.size} of {len(table)} answers were not 200 but {sorted(set(refused))}")
    return load
