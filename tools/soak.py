"""Serves for a long time while much goes on beside it, and holds what callers see to what they may expect.

    build/venv-events/bin/python tools/soak.py [--minutes 30] [--seed 1]

A packaged server on the tiny base of the tests, S3, good callers, overwrites and jobs; and beside them, in
turns, all that hostile and unlucky neighbours do: bad requests and artifacts, listing, slow clients,
hang-ups, restarts of the store. The good callers' times with and without these come from windows that
alternate, so that whatever else this machine does counts for both. Each bar is a line. `make soak` runs it.
"""

import argparse
import bisect
import multiprocessing
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bars import Bars
from chaos_jobs import TINY
from local_server import ROOT, LocalServer
from services import RestartableStorage, restartable_s3proxy
from soak_callers import Call, call_until
from soak_neighbours import Neighbours
from soak_store import BUCKET, LABELS, Overwrite, Overwriting, deliver_jobs, label, put_broken

QUIET_S, BUSY_S = 20, 40  # which make a window
CALLERS = 4
MOST_GROWTH = 0.02
MOST_SLOWDOWN = 1.5
RESTARTS = 10
LEAST_BETWEEN_RESTARTS_S = 120
AWAY_S = 1.0
RECOVERY_S = 3.0  # after the store is back: calls that began before have asked it in vain
UNAVAILABLE = 503


@dataclass
class Seen:
    """What was written down while everybody was at work."""

    windows: list[tuple[float, float, bool]] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    samples: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    unexpected: Counter[str] = field(default_factory=Counter)
    overwrites: list[Overwrite] = field(default_factory=list)


def main() -> None:
    """Run for the time that is asked for; status 1 when a bar falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, restartable_s3proxy(Path(folder, "s3"), BUCKET) as store:
        store.storage.put_tasks(TINY / "tasks")
        put_broken(store.storage)
        log = ROOT / "build/soak/server.log"
        with LocalServer(ROOT, log, settings=_settings(store, folder)) as server:
            seen = run(server, store, options.minutes * 60, options.seed)
    bars = Bars()
    judge(seen, bars)
    sys.exit(0 if bars.hold else 1)


def _settings(store: RestartableStorage, folder: str) -> dict[str, str]:
    return {
        **store.storage.settings,
        "SOFTCALL_BASE_DIR": str(TINY / "base"),
        "SOFTCALL_BASE_VARIANT": "fp32",
        "SOFTCALL_BASE_CACHE_DIR": str(Path(folder, "packed")),
        "SOFTCALL_STORE_URI": f"s3://{BUCKET}/prompts",
        "SOFTCALL_JOBS_OUTPUT": f"s3://{BUCKET}/results",
        "SOFTCALL_JOBS_BUCKETS": BUCKET,
        "SOFTCALL_LIMITS_CALL_TIME": "20s",
    }


def run(server: LocalServer, store: RestartableStorage, seconds: float, seed: int) -> Seen:
    """Everybody at work until the time is over."""
    rng, seen, overwriting = random.Random(seed), Seen(), Overwriting(store.storage)
    overwriting.once()
    ended, busy = multiprocessing.Event(), multiprocessing.Event()
    from_callers, from_neighbours = multiprocessing.Queue(), multiprocessing.Queue()
    neighbours = Neighbours(server.port, rng.randrange(1 << 30))
    workers = [
        multiprocessing.Process(target=call_until, args=(ended, server.port, number, from_callers))
        for number in range(CALLERS)
    ]
    workers.append(multiprocessing.Process(target=neighbours.live, args=(ended, busy, from_neighbours)))
    for worker in workers:
        worker.start()
    threads = [
        threading.Thread(target=overwriting.until, args=(ended,)),
        threading.Thread(target=deliver_jobs, args=(ended, server, store.storage, seen.jobs)),
        threading.Thread(target=_sample, args=(ended, server.pid, seen)),
        threading.Thread(target=_restart_store, args=(ended, busy, store, seconds, seen)),
    ]
    for thread in threads:
        thread.start()
    _take_turns(busy, seconds, seen)
    ended.set()
    seen.calls = [call for _ in range(CALLERS) for call in from_callers.get()]
    seen.answers, seen.unexpected = from_neighbours.get()
    for worker in (*workers, *threads):
        worker.join()
    seen.overwrites = overwriting.done
    return seen


def _take_turns(busy, seconds: float, seen: Seen) -> None:
    """Let the neighbours in and out until the time is over, and say how far it is."""
    began = time.monotonic()
    while (now := time.monotonic()) - began < seconds:
        length = BUSY_S if busy.is_set() else QUIET_S
        time.sleep(min(length, max(0.0, began + seconds - now)))
        seen.windows.append((now, time.monotonic(), busy.is_set()))
        busy.clear() if busy.is_set() else busy.set()
        minutes, jobs = (time.monotonic() - began) / 60, seen.jobs["ended"]
        usage = ", ".join(
            f"{name} {value}" for name, value in (seen.samples[-1][1] if seen.samples else {}).items()
        )
        print(f"  {minutes:.1f} of {seconds / 60:.0f} minutes: {jobs} jobs, {usage}", flush=True)
    busy.clear()


def _restart_store(ended, busy, store: RestartableStorage, seconds: float, seen: Seen) -> None:
    pause = max(LEAST_BETWEEN_RESTARTS_S, seconds / RESTARTS)
    while not ended.wait(pause):
        while not busy.wait(1) and not ended.is_set():
            pass
        if not ended.is_set():
            began = time.monotonic()
            store.restart(AWAY_S)
            seen.outages.append((began, time.monotonic()))


def _sample(ended, pid: int, seen: Seen) -> None:
    while not ended.wait(1):
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        usage = {
            "RSS": int(status["VmRSS"].split()[0]) // 1024,
            "threads": int(status["Threads"]),
            "descriptors": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        }
        seen.samples.append((time.monotonic(), usage))


def judge(seen: Seen, bars: Bars) -> None:
    """One line a bar."""
    answered = [call for call in seen.calls if call.status == 200]
    moving = [call for call in answered if call.version]
    bars(
        "stale answers",
        _stale(moving, seen.overwrites),
        f"{len(moving)} calls, {len(seen.overwrites)} overwrites",
    )
    wrong = sum(call.wrong for call in answered) + _mislabelled(moving, seen.overwrites) + seen.jobs["wrong"]
    bars("wrong answers", wrong, f"{len(answered)} calls, {seen.jobs['ended']} jobs")
    unexplained = [call for call in seen.calls if call.status != 200 and not _explained(call, seen.outages)]
    statuses = Counter(call.status for call in seen.calls if call.status != 200)
    bars(
        "unexplained errors",
        len(unexplained) + seen.unexpected.total(),
        f"{len(seen.outages)} restarts of the store; good callers: {dict(statuses)}; "
        f"neighbours: {dict(seen.answers)} {dict(seen.unexpected.most_common(3)) or ''}".strip(),
    )
    for name in ("RSS", "threads", "descriptors"):
        middle, last = _thirds(seen.samples, name)
        growth = last / middle - 1
        bars.line(
            f"growth of {name}",
            f"{growth:.1%}",
            f"at most {MOST_GROWTH:.0%}",
            growth <= MOST_GROWTH,
            f"{middle:.0f}, then {last:.0f}",
        )
    alone, beside = (_p99(answered, seen.windows, busy) for busy in (False, True))
    bars.line(
        "p99 of good callers beside bad neighbours",
        f"{beside / alone:.2f}",
        f"at most {MOST_SLOWDOWN}",
        beside <= MOST_SLOWDOWN * alone,
        f"{alone * 1e3:.0f} ms without, {beside * 1e3:.0f} ms with them",
    )


def _stale(moving: Iterable[Call], overwrites: list[Overwrite]) -> int:
    """Answers from a version older than the last one that was stored when the call began."""
    index = {one.version: one.index for one in overwrites}
    stored = [one.ended for one in overwrites]
    return sum(index.get(call.version, -1) < bisect.bisect_right(stored, call.began) - 1 for call in moving)


def _mislabelled(moving: Iterable[Call], overwrites: list[Overwrite]) -> int:
    """Answers whose label is none of the version that they name."""
    labels = {one.version: {label(one.index, place) for place in range(len(LABELS))} for one in overwrites}
    return sum(call.label not in labels.get(call.version, ()) for call in moving)


def _explained(call: Call, outages: list[tuple[float, float]]) -> bool:
    """Whether the store was away while the call was under way."""
    return call.status == UNAVAILABLE and any(
        call.began < ended + RECOVERY_S and call.ended > began for began, ended in outages
    )


def _thirds(samples: list[tuple[float, dict[str, int]]], name: str) -> tuple[float, float]:
    """Medians of the second and of the last third of the time."""
    values = [usage[name] for _, usage in samples]
    third = len(values) // 3
    return statistics.median(values[third : 2 * third]), statistics.median(values[2 * third :])


def _p99(calls: Iterable[Call], windows: list[tuple[float, float, bool]], busy: bool) -> float:
    """Seconds, of the calls that lie wholly in windows of this kind."""
    of_kind = [(began, ended) for began, ended, kind in windows if kind == busy]
    times = sorted(
        call.ended - call.began
        for call in calls
        if any(began <= call.began and call.ended <= ended for began, ended in of_kind)
    )
    return times[int(0.99 * len(times))]


if __name__ == "__main__":
    main()
