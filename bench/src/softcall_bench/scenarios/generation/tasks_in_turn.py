"""1,000 tasks that write behind KV prompts, in turn by 16 streams, beside one of them."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from softcall.stores.store import OBJECT
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.scenarios.generation import served
from softcall_bench.scenarios.generation.served import STREAMS
from softcall_bench.server import Server, serving
from softcall_bench.streams import written
from softcall_bench.workload import write_task

SCENARIO = "generation-tasks"
ROUNDS = 3
TASKS, QUICK_TASKS = 1_000, 100
SECONDS = 8
HEAP = "-Xmx2g"


def detail(count: int) -> str:
    """The detail of a key for so many tasks."""
    return f"{count:,} task{'' if count == 1 else 's'} in turn"


def run(bench: Bench) -> None:
    """Call each task once, which fills the caches; then measure one task and all in turn."""
    count = QUICK_TASKS if bench.quick else TASKS
    store = bench.scratch(SCENARIO)
    names = _write(bench, store, count)
    bytes_ = 2 * count * bench.workload.artifact.tokens * bench.workload.prefix_bytes_per_token
    settings = {"SOFTCALL_PREFIX_CACHE_BYTES": str(bytes_), "SOFTCALL_STORE_CACHE_BYTES": "1G"}
    for variant in served.compact(bench):
        with serving(
            f"file:{store}", variant, f"{SCENARIO}-{variant}", options=(HEAP,), **settings
        ) as server:
            _call_each_once(bench, server, names)
            for round_ in range(bench.rounds(ROUNDS)):
                groups = (names[:1], names)
                for group in reversed(groups) if round_ % 2 else groups:
                    asked = served.prompts(bench, *group)
                    figures = written(server.port, asked, STREAMS, SECONDS)
                    key = Key(SCENARIO, "softcall", variant, STREAMS, detail(len(group)))
                    bench.book.add(key, figures)
                    bench.say(f"{variant}, {key.detail}: {figures['tokens_per_s']:.1f} tokens/s")


def _write(bench: Bench, store: Path, count: int) -> list[str]:
    """A file store of one object under many names; returns these."""
    shutil.rmtree(store, ignore_errors=True)
    names = [f"writer-{number:04}" for number in range(count)]
    write_task(store, names[0], bench.workload.writer(kv=True))
    for name in names[1:]:
        (store / name).mkdir()
        os.link(store / names[0] / OBJECT, store / name / OBJECT)
    return names


def _call_each_once(bench: Bench, server: Server, names: list[str]) -> None:
    def call(name: str) -> None:
        server.require_text(name, bench.workload.texts[0].text, max_tokens=1)

    with ThreadPoolExecutor(STREAMS) as pool:
        list(pool.map(call, names))
    bench.say(f"{len(names):,} tasks called once")
