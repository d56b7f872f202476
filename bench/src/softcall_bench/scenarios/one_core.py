"""One core for the server, as the smallest functions have; the store and the load have the others."""

import contextlib

from softcall_bench import cores, sides
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.object_store import object_store
from softcall_bench.scenarios.revalidation import NEAR_MS, OFF, delay
from softcall_bench.server import serving
from softcall_bench.sides import Side
from softcall_bench.workload import TASK

SCENARIO = "one-core"
ROUNDS = 12
LOAD_S = 2
TIMES = 10  # that bare ONNX Runtime runs the text in a round


def run(bench: Bench) -> None:
    """Measure each variant without asking, and the fastest with a store `NEAR_MS` away, in turn."""
    try:
        with cores.at_most_measured(1):
            _run(bench)
    except cores.Indivisible as error:
        bench.book.note(f"{SCENARIO}: {error}")


def _run(bench: Bench) -> None:
    rows = [list(bench.workload.texts[0].ids)]
    with contextlib.ExitStack() as stack:
        store = stack.enter_context(object_store(bench.scratch("s3-one-core")))
        store.put(TASK, bench.workload.artifact.to_bytes())
        store.delay(NEAR_MS)
        never = {"SOFTCALL_STORE_MAX_AGE": "1h"}
        servers = {}
        for variant, detail, settings in (
            *((variant, OFF, never) for variant in bench.variants),
            (bench.fastest, delay(NEAR_MS), {}),
        ):
            name = f"{SCENARIO}-{variant}-{'trusting' if settings else 'asking'}"
            server = serving(store.uri, variant, name, **settings, **store.settings)
            servers[Key(SCENARIO, "softcall", variant, detail=detail)] = stack.enter_context(server)
        bare = {
            Key(SCENARIO, "onnxruntime", variant): stack.enter_context(Side(sides.bare_onnx_runtime, variant))
            for variant in bench.variants
        }
        for server in servers.values():
            bench.warm(server)
        for round_ in range(rounds := bench.rounds(ROUNDS)):
            bench.say(f"round {round_ + 1} of {rounds}")
            for key in list(servers)[:: 1 if round_ % 2 else -1]:
                bench.book.add(key, bench.load(servers[key], 1, LOAD_S))
            for key, side in bare.items():
                bench.book.add(key, sides.figures(side.seconds(rows, TIMES), 1))
