"""The native executable beside the JVM: start, memory, speed, answers and stop.

    python -m softcall_bench.native [EXECUTABLE] [--rounds N] [--seconds S]

Starts each side anew in interleaved rounds; then lets both serve, warms them for a minute, and loads them in
turn. docs/native.md explains how the executable is built, and keeps the figures of one run.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from softcall_bench import programs
from softcall_bench.bench import FILE_STORE, INT8
from softcall_bench.load import closed_loop
from softcall_bench.local_server import APP, ROOT, STOPPED_BY_SIGTERM
from softcall_bench.page import table
from softcall_bench.server import Server, serving
from softcall_bench.workload import TASK, Workload

ROUNDS = 7
SECONDS = 10
WARM_S = 60
CLIENTS = 16
ANSWERS = 50


@dataclass(frozen=True)
class Side:
    """A way to run the server: its name, its program, and options of Java."""

    name: str
    program: Path
    options: tuple[str, ...] = ()


PLAIN = Side("JVM", APP / "softcall-server", ("-XX:AOTMode=off",))
CACHED = Side("JVM with its AOT cache", APP / "softcall-server")


def main() -> None:
    """Measure, and print tables in Markdown."""
    parser = argparse.ArgumentParser(prog="softcall_bench.native", description=__doc__)
    parser.add_argument("executable", nargs="?", type=Path, help="by default that of target")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=int, default=SECONDS, help="of load, a side and round")
    asked = parser.parse_args()
    executable = (asked.executable or _built()).resolve()
    native = Side("native executable", executable)
    workload = Workload.shipped()
    print(f"{executable.name}: {executable.stat().st_size / 1e6:.0f} MB\n")
    print(_starts((PLAIN, CACHED, native), workload, asked.rounds))
    print()
    print(_load((CACHED, native), workload, asked.rounds, asked.seconds))


def _built() -> Path:
    found = sorted((ROOT / "target").glob("softcall-*-runner"))
    if not found:
        raise SystemExit("no target/softcall-*-runner: `./mvnw package -Pnative -DskipTests` builds it")
    return found[-1]


def _serving(side: Side):
    return serving(
        FILE_STORE,
        INT8,
        "native-" + side.name.replace(" ", "-"),
        wait=False,
        options=side.options,
        program=side.program,
        MALLOC_ARENA_MAX="2",  # as softcall-server sets it
    )


def _starts(sides: Sequence[Side], workload: Workload, rounds: int) -> str:
    figures: dict[str, list[tuple[float, ...]]] = {side.name: [] for side in sides}
    for round_ in range(rounds + 1):
        for side in sides:
            found = _start(side, workload)
            if round_ > 0:  # the first one reads the files into the page cache
                figures[side.name].append(found)
    columns = ("", "port open, s", "first answer, s", "RSS, MB", "PSS, MB", "SIGTERM to its end, s")
    reference = np.median([found[1] for found in figures[CACHED.name]])
    rows = []
    for name, found in figures.items():
        listening, answered, rss, pss, stop = np.median(np.array(found), axis=0)
        rows.append(
            (
                name,
                f"{listening:.2f}",
                f"{answered:.2f} ({answered / reference:.2f})",
                f"{rss:.0f}",
                f"{pss:.0f}",
                f"{stop:.2f}",
            )
        )
    return table(columns, rows)


def _start(side: Side, workload: Workload) -> tuple[float, ...]:
    with _serving(side) as server:
        server.wait_until_listening()
        listening = time.perf_counter() - server.started_s
        server.require(TASK, workload.texts[0].text)
        answered = time.perf_counter() - server.started_s
        memory = server.memory_mb()
        began = time.perf_counter()
        server.stop()
        stopped = time.perf_counter() - began
        if server.process.returncode != STOPPED_BY_SIGTERM:
            raise server.failed(f"SIGTERM ended it with status {server.process.returncode}, expected 143")
    return listening, answered, memory["rss_mb"], memory["pss_mb"], stopped


def _load(sides: Sequence[Side], workload: Workload, rounds: int, seconds: int) -> str:
    wrk, bodies = programs.wrk(), workload.bodies()
    reference, other = sides
    with _serving(reference) as first, _serving(other) as second:
        servers = {reference.name: first, other.name: second}
        for server in servers.values():
            server.wait_until_listening()
        print(_agreement(first, second, workload))
        print()
        for server in servers.values():
            closed_loop(wrk, server.url, bodies, CLIENTS, WARM_S)
        speeds: dict[tuple[str, int], list[float]] = {}
        for _ in range(rounds):
            for clients in (1, CLIENTS):
                for name, server in servers.items():
                    found = closed_loop(wrk, server.url, bodies, clients, seconds).figures(1)
                    speeds.setdefault((name, clients), []).append(found["texts_per_s"])
        rows = []
        for name, server in servers.items():
            memory = server.memory_mb()
            rows.append(
                (
                    name,
                    *(_speed(speeds, name, reference.name, clients) for clients in (1, CLIENTS)),
                    f"{memory['rss_mb']:.0f}",
                    f"{memory['pss_mb']:.0f}",
                )
            )
    return table(("", "1 client, texts/s", f"{CLIENTS} clients, texts/s", "RSS, MB", "PSS, MB"), rows)


def _speed(speeds: dict[tuple[str, int], list[float]], name: str, reference: str, clients: int) -> str:
    """The median, and the median of the ratios of each round."""
    here, there = (np.array(speeds[side, clients]) for side in (name, reference))
    return f"{np.median(here):.0f} ({np.median(here / there):.3f})"


def _agreement(first: Server, second: Server, workload: Workload) -> str:
    texts = [text.text for text in workload.sentences[:ANSWERS]]
    answers = [[server.require(TASK, text).body["data"][0] for text in texts] for server in (first, second)]
    same = sum(json.dumps(a) == json.dumps(b) for a, b in zip(*answers, strict=True))
    apart = max(np.abs(np.subtract(a["probs"], b["probs"])).max() for a, b in zip(*answers, strict=True))
    return f"{same} of {len(texts)} answers are equal; probabilities differ by at most {apart:.1e}"


if __name__ == "__main__":
    main()
