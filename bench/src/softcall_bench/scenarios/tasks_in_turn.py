"""1 to 1,000 tasks in turn by 16 clients, prompts of 8, 16, 20 and 32 tokens; then with too small a cache."""

import re
import statistics
import urllib.request

from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.server import Server, serving
from softcall_bench.workload import PROMPT_LENGTHS

SCENARIO = "tasks"
ROUNDS = 2
COUNTS = (1, 10, 100, 1000)
CLIENTS = 16
LOAD_S = 8
FITS = "prefixes fit the cache"
HALF = "cache of half the working set"
MB = 1_000_000


def run(bench: Bench) -> None:
    """Make the tasks, call each once, then measure; every call asks the file store for changes."""
    counts = COUNTS[:-1] if bench.quick else COUNTS
    store = bench.scratch("tasks")
    names = bench.workload.write_tasks(store, counts[-1])
    variant = bench.fastest
    cache = {"SOFTCALL_PREFIX_CACHE_BYTES": str(2 * _working_set(bench, counts[-1]))}
    cache["SOFTCALL_STORE_CACHE_BYTES"] = "1G"
    with serving(f"file:{store}", variant, f"{SCENARIO}-fits", **cache) as server:
        _call_each_once(bench, server, names, variant)
        for _ in range(bench.rounds(ROUNDS)):
            for count in counts:
                figures = bench.load(server, CLIENTS, LOAD_S, _bodies(bench, names[:count]))
                bench.book.add(Key(SCENARIO, "softcall", variant, CLIENTS, _detail(count, FITS)), figures)
                bench.say(f"{_detail(count, FITS)}: {figures['texts_per_s']:.1f} texts/s")
    for count in counts[2:]:
        cache["SOFTCALL_PREFIX_CACHE_BYTES"] = str(_working_set(bench, count) // 2)
        with serving(f"file:{store}", variant, f"{SCENARIO}-half", **cache) as server:
            figures = bench.load(server, CLIENTS, LOAD_S, _bodies(bench, names[:count]))
        bench.book.add(Key(SCENARIO, "softcall", variant, CLIENTS, _detail(count, HALF)), figures)
        bench.say(f"{_detail(count, HALF)}: {figures['texts_per_s']:.1f} texts/s, nothing failed")


def _detail(count: int, cache: str) -> str:
    return f"{count:,} tasks, {cache}"


def fits(count: int) -> str:
    """The detail of a key for `count` tasks whose prefixes fit the cache."""
    return _detail(count, FITS)


def half(count: int) -> str:
    """The detail of a key for `count` tasks of whose prefixes half fit the cache."""
    return _detail(count, HALF)


def _working_set(bench: Bench, tasks: int) -> int:
    """Bytes of these tasks' prefixes in float32."""
    mean_tokens = sum(PROMPT_LENGTHS) / len(PROMPT_LENGTHS)
    return int(tasks * mean_tokens * bench.workload.prefix_bytes_per_token)


def _bodies(bench: Bench, names: list[str]) -> list[str]:
    texts = bench.workload.texts
    # As many bodies as a whole number of turns over tasks and texts.
    return [
        bench.workload.body(texts[i % len(texts)], names[i % len(names)])
        for i in range(len(texts) * len(names))
    ]


def _call_each_once(bench: Bench, server: Server, names: list[str], variant: str) -> None:
    """Fill the cache; headers say what a miss costs, metrics what a prefix takes."""
    text = bench.workload.texts[0].text
    server.require(names[0], text)
    misses: list[dict[str, float]] = []
    for number, name in enumerate(names):
        headers = server.require(name, text).headers
        misses.append({stage: float(headers[f"x-softcall-{stage}-ms"]) for stage in ("fetch", "prefix")})
        if number % 100 == 99:
            bench.say(f"{number + 1} of {len(names)} tasks called once")
    metrics = urllib.request.urlopen(f"{server.url}/q/metrics", timeout=10).read().decode()
    prefixes, held = (
        _metric(metrics, name) for name in ("softcall_prefix_cached", "softcall_prefix_cached_bytes")
    )
    figures = {f"{stage}_ms": statistics.median(miss[stage] for miss in misses[1:]) for stage in misses[0]}
    if prefixes:
        figures |= {"prefixes": prefixes, "mb_per_1000_tasks": held / prefixes * 1000 / MB}
    bench.book.add(Key(SCENARIO, "softcall", variant, detail="first call"), figures)


def _metric(metrics: str, name: str) -> float:
    found = re.search(rf"^{name}(?:\{{.*\}})? (\S+)$", metrics, re.MULTILINE)
    return float(found[1]) if found else 0.0
