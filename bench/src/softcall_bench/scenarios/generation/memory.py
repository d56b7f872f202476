"""Memory while 16 answers fill 256 positions each, and after them."""

import time

from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.scenarios.generation import served
from softcall_bench.scenarios.generation.served import STREAMS, TEXT_TOKENS
from softcall_bench.server import Server, serving
from softcall_bench.streams import Writing, writing

SCENARIO = "generation-memory"
POSITIONS = 256
LOOK_S, REST_S = 0.25, 3
ENCODED_S = 8
"""After so long the server has given back what has encoded the soft prompt, in full precision."""
LIMIT_S = 120
DURING, AFTER = f"{STREAMS} streams of {POSITIONS} positions", "after them"


def run(bench: Bench) -> None:
    """Let the streams begin together, so that their keys and values are all long at the same time."""
    store = f"file:{served.new_store(bench, SCENARIO)}"
    tokens = POSITIONS - bench.workload.artifact.tokens - TEXT_TOKENS
    for variant in served.compact(bench):
        with serving(store, variant, f"{SCENARIO}-{variant}") as server:
            _call_each_once(bench, server)
            looks = []
            asked = served.prompts(bench, served.SOFT, served.KV, tokens=tokens)
            began = time.perf_counter()
            with writing(server.port, asked, STREAMS, staggered=False) as under_way:
                while _ended(under_way) < STREAMS and time.perf_counter() - began < LIMIT_S:
                    time.sleep(LOOK_S)
                    looks.append(server.memory_mb())
            time.sleep(REST_S)
            after = server.memory_mb()
        during = {name: max(look[name] for look in looks) for name in after}
        for detail, figures in ((DURING, during), (AFTER, after)):
            bench.book.add(Key(SCENARIO, "softcall", variant, STREAMS, detail), figures)
            told = ", ".join(f"{name} {mb:,.0f}" for name, mb in figures.items())
            bench.say(f"{variant}, {detail}: {told}")


def _call_each_once(bench: Bench, server: Server) -> None:
    for task in (served.SOFT, served.KV):
        server.require_text(task, bench.workload.texts[0].text, max_tokens=1)
    time.sleep(ENCODED_S)


def _ended(under_way: Writing) -> int:
    return sum(answer.tokens is not None for answer in under_way.flow.answers)
