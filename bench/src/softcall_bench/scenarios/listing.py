"""A classifying caller beside eight that list tasks all the time; what a page takes of 3,000 and 30,000."""

import contextlib
import os
import shutil
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from softcall.stores.store import OBJECT
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.local_server import ROOT
from softcall_bench.server import Server, serving
from softcall_bench.workload import TASK

SCENARIO = "listing"
ROUNDS = 5
COUNTS = (3_000, 30_000)
LOOPS = 8
CALL_S = 5
SETTLE_S = 1
PAGES = 200
HEALTH, PAGE = "/q/health/live", "/v1/models?limit=1"


def run(bench: Bench) -> None:
    """In each round and store: calls beside loops of the health check, and of pages; then pages alone."""
    variant = bench.fastest
    with contextlib.ExitStack() as servers:
        by_count = {}
        for count in COUNTS:
            store = f"file:{_tasks(bench.scratch(f'listing-{count}'), count)}"
            by_count[count] = servers.enter_context(serving(store, variant, f"{SCENARIO}-{count}"))
            bench.warm(by_count[count])
        for round_ in range(rounds := bench.rounds(ROUNDS)):
            for count, server in by_count.items():
                for path in (HEALTH, PAGE) if round_ % 2 == 0 else (PAGE, HEALTH):
                    with _loops(bench, server, path):
                        time.sleep(SETTLE_S)
                        figures = bench.load(server, 1, CALL_S)
                    bench.book.add(Key(SCENARIO, "softcall", variant, detail=beside(path, count)), figures)
            took = {count: _page_ms(server) for count, server in by_count.items()}
            for count, page_ms in took.items():
                bench.book.add(Key(SCENARIO, "softcall", variant, detail=pages(count)), {"page_ms": page_ms})
            told = ", ".join(f"{ms:.2f} ms of {count:,} tasks" for count, ms in took.items())
            bench.say(f"round {round_ + 1} of {rounds}: a page takes {told}")


def beside(path: str, count: int) -> str:
    """The detail of a key for calls beside loops of `path`, with a store of `count` tasks."""
    return f"beside {LOOPS} loops of {path}, {count:,} tasks"


def pages(count: int) -> str:
    """The detail of a key for pages of a store of `count` tasks."""
    return f"{PAGE}, {count:,} tasks"


def _tasks(store: Path, count: int) -> Path:
    """A folder store: the shipped task, and `count` that are links to it."""
    shutil.rmtree(store, ignore_errors=True)
    shutil.copytree(ROOT / "tasks" / TASK, store / TASK)
    for number in range(count):
        folder = store / f"customer-{number % 10}-task-{number:05}"
        folder.mkdir()
        os.link(store / TASK / OBJECT, folder / OBJECT)
    return store


@contextlib.contextmanager
def _loops(bench: Bench, server: Server, path: str) -> Iterator[None]:
    """`LOOPS` callers of `path`, each asking anew when it has its answer, for as long as the block lasts."""
    command = [str(bench.wrk.path), "-t1", f"-c{LOOPS}", "-d1h", f"{server.url}{path}"]
    process = subprocess.Popen(
        command,
        env=os.environ | bench.wrk.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _page_ms(server: Server) -> float:
    """The median of some pages from different places of the store, asked one after the other."""
    took = []
    for number in range(PAGES):
        url = f"{server.url}{PAGE}&after=customer-{number % 10}-task-{number:05}"
        started = time.perf_counter()
        with urllib.request.urlopen(url, timeout=60) as response:
            response.read()
        took.append((time.perf_counter() - started) * 1e3)
    return statistics.median(took)
