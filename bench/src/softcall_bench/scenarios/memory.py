"""Memory with ten tasks: resident at its peak, and the steady share after the load has ended."""

import shutil
import time

from softcall.stores.store import OBJECT
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.server import serving

SCENARIO = "memory"
TASKS = 10
LOAD_S = 10
REST_S = 3
DETAIL = "ten tasks"
KV_DETAIL = "ten KV tasks"


def run(bench: Bench) -> None:
    """Load a server of each variant with 16 clients, ten tasks in turn, then look at it at rest."""
    store, kv_store = bench.scratch("memory"), bench.scratch("memory-kv")
    names = bench.workload.write_tasks(store, TASKS)
    shutil.rmtree(kv_store, ignore_errors=True)
    artifact = bench.workload.with_kv_prompt().to_bytes()
    for name in names:
        (kv_store / name).mkdir(parents=True)
        (kv_store / name / OBJECT).write_bytes(artifact)
    bodies = [
        bench.workload.body(text, names[number % TASKS])
        for number, text in enumerate(bench.workload.texts * TASKS)
    ]
    for variant in bench.variants:
        for detail, place in ((DETAIL, store), (KV_DETAIL, kv_store)):
            with serving(f"file:{place}", variant, f"{SCENARIO}-{variant}") as server:
                bench.load(server, 16, LOAD_S, bodies)
                time.sleep(REST_S)
                figures = server.memory_mb()
            bench.book.add(Key(SCENARIO, "softcall", variant, detail=detail), figures)
            bench.say(
                f"{variant}, {detail}: " + ", ".join(f"{name} {mb:,.0f}" for name, mb in figures.items())
            )
