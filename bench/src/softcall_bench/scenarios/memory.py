"""Memory with ten tasks: resident at its peak, and the steady share after the load has ended."""

import time

from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.server import serving

SCENARIO = "memory"
TASKS = 10
LOAD_S = 10
REST_S = 3
DETAIL = "ten tasks"


def run(bench: Bench) -> None:
    """Load a server of each variant with 16 clients, ten tasks in turn, then look at it at rest."""
    store = bench.scratch("memory")
    names = bench.workload.write_tasks(store, TASKS)
    bodies = [
        bench.workload.body(text, names[number % TASKS])
        for number, text in enumerate(bench.workload.texts * TASKS)
    ]
    for variant in bench.variants:
        with serving(f"file:{store}", variant, f"{SCENARIO}-{variant}") as server:
            bench.load(server, 16, LOAD_S, bodies)
            time.sleep(REST_S)
            figures = server.memory_mb()
        bench.book.add(Key(SCENARIO, "softcall", variant, detail=DETAIL), figures)
        bench.say(f"{variant}: " + ", ".join(f"{name} {mb:,.0f}" for name, mb in figures.items()))
