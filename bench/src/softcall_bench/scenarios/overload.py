"""Four times what the server can do, for a minute, by callers that do not wait for each other."""

import base64
import csv
import json
import subprocess
import tempfile
import time
from collections import Counter

import numpy as np

from softcall_bench.bench import FILE_STORE, Bench
from softcall_bench.book import Key
from softcall_bench.cores import measured_count
from softcall_bench.programs import go_program
from softcall_bench.server import Server, serving
from softcall_bench.workload import TASK, TEXT_TOKENS

SCENARIO = "overload"
LOAD_S, QUICK_LOAD_S = 60, 15
FACTOR = 4
CLIENTS = 16
MEASURE_S = 8
QUEUE_ROWS = 64  # the server's default holds minutes of this machine's work
DETAIL = f"{FACTOR} times the capacity"
RECOVERY_S = 2
SINGLE_CALLS = 5


def run(bench: Bench) -> None:
    """Measure the capacity, exceed it, and measure again `RECOVERY_S` after the callers have hung up."""
    variant = bench.fastest
    settings = {"SOFTCALL_BATCH_QUEUE_ROWS": str(QUEUE_ROWS)}
    with serving(FILE_STORE, variant, SCENARIO, **settings) as server:
        bench.warm(server)
        capacity = bench.load(server, CLIENTS, MEASURE_S)["texts_per_s"]
        alone_s = _call_alone(bench, server, SINGLE_CALLS)
        seconds = QUICK_LOAD_S if bench.quick else LOAD_S
        bench.say(f"capacity {capacity:.1f} texts/s; {FACTOR * capacity:.0f} calls a second for {seconds} s")
        answers = _open_loop(server.url, bench.workload.bodies(), FACTOR * capacity, seconds)
        ended = time.perf_counter()
        recovered_s = _time_until_as_fast_as(bench, server, 1.5 * alone_s, ended)
        time.sleep(max(0.0, ended + RECOVERY_S - time.perf_counter()))
        after = bench.load(server, CLIENTS, MEASURE_S)["texts_per_s"]
        memory = server.memory_mb()
    statuses = Counter(status for status, _ in answers)
    accepted = np.array([took for status, took in answers if status == 200])
    figures = {
        "capacity_texts_per_s": capacity,
        "accepted": statuses[200],
        "refused": statuses[429],
        "errors": sum(count for status, count in statuses.items() if status not in (200, 429)),
        "p99_ms": float(np.percentile(accepted, 99)) * 1e3 if accepted.size else float("inf"),
        "p99_bound_ms": (QUEUE_ROWS + _rows_under_way()) / capacity * 1e3,
        "share_of_capacity_meanwhile": statuses[200] / seconds / capacity,
        "recovered_s": recovered_s,
        "share_of_capacity_after": after / capacity,
        "peak_rss_mb": memory["peak_rss_mb"],
    }
    bench.book.add(Key(SCENARIO, "softcall", variant, detail=DETAIL), figures)
    bench.say(f"answers by status: {dict(sorted(statuses.items()))} (0: no answer)")


def _rows_under_way() -> int:
    """Rows of the runs under way at full speed, by the server's defaults."""
    return min(measured_count(), 4) * (256 // TEXT_TOKENS)


def _open_loop(url: str, bodies: list[str], per_second: float, seconds: float) -> list[tuple[int, float]]:
    """(status, seconds) of every call that was answered before the end, when the others hang up.

    Status 0 is a connection that broke or was refused.
    """
    vegeta = go_program("vegeta").path
    with tempfile.NamedTemporaryFile("w", suffix=".json") as targets:
        for body in bodies:
            target = {
                "method": "POST",
                "url": f"{url}/v1/classify",
                "header": {"Content-Type": ["application/json"]},
                "body": base64.b64encode(body.encode()).decode(),
            }
            targets.write(json.dumps(target) + "\n")
        targets.flush()
        rate = ["-rate", f"{per_second:.0f}/s", "-duration", "0", "-timeout", "0"]
        attack = subprocess.Popen(
            [vegeta, "attack", "-format", "json", "-targets", targets.name, *rate], stdout=subprocess.PIPE
        )
        with tempfile.TemporaryFile("w+") as answers:
            encode = subprocess.Popen([vegeta, "encode", "-to", "csv"], stdin=attack.stdout, stdout=answers)
            time.sleep(seconds)
            attack.kill()
            attack.wait()
            encode.wait()
            answers.seek(0)
            return [(int(row[1]), int(row[2]) / 1e9) for row in csv.reader(answers)]


def _call_alone(bench: Bench, server: Server, times: int) -> float:
    """The fastest of some calls of a lone caller, in seconds."""
    took = []
    for text in bench.workload.texts[:times]:
        started = time.perf_counter()
        server.require(TASK, text.text)
        took.append(time.perf_counter() - started)
    return min(took)


def _time_until_as_fast_as(bench: Bench, server: Server, limit_s: float, since: float) -> float:
    """Seconds from `since` until a lone call was answered within `limit_s`; infinity after a minute."""
    while time.perf_counter() - since < 60:
        started = time.perf_counter()
        status = server.classify(TASK, bench.workload.texts[0].text).status
        if status == 200 and time.perf_counter() - started <= limit_s:
            return started - since
    return float("inf")
