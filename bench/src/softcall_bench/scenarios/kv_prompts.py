"""KV prompts: a first call without the full-precision trunk, calls behind long ones, 200 of them in turn."""

import contextlib
import hashlib
import json
import shutil
import statistics
import time
from pathlib import Path

import numpy as np

from softcall.artifact.artifact import Artifact
from softcall.stores.store import OBJECT
from softcall_bench import sides
from softcall_bench.bench import FULL_PRECISION, Bench
from softcall_bench.book import Key
from softcall_bench.scenarios import cold_start
from softcall_bench.server import BASE, Server, serving
from softcall_bench.sides import Side
from softcall_bench.workload import TASK, write_task

SCENARIO = "kv-prompts"
WITHOUT_ENCODER = "a KV prompt, no full-precision trunk"
SHORT, LONG = 20, 1_024
SOFT = "a soft prompt"
ROUNDS = 5
LOAD_S = 4

MIXED = (8, 16, 32, 64, 128, 256, 512, 1_024)
MIX = "KV prompts of 8 lengths"
TASKS, QUICK_TASKS = 200, 40
LEAST_TOKENS = 20
BODIES = 4_000
CLIENTS = 16
ZIPF_S = 30
FITS, HALF = "caches that fit", "caches of half the working set"
HEAP_BYTES_PER_NUMBER, PREFIX_BYTES_PER_NUMBER = 2, 4
MISSES = 12
MISS = "a miss"
READ = "reading, hashing and copying it"
SEED = 5


def tasks(count: int, caches: str) -> str:
    """The detail of a key for so many tasks, with caches that fit, or of half their working set."""
    return f"{count} KV tasks by Zipf's law, {caches}"


def kv(tokens: int) -> str:
    """The detail of a key for a KV prompt of so many tokens."""
    return f"a KV prompt of {tokens:,} tokens"


def run(bench: Bench) -> None:
    """All of it, each part on servers of its own."""
    prompt = _long_prompt(bench)
    _first_calls(bench)
    _single_calls(bench, prompt)
    _mixed_lengths(bench, prompt)
    _many_tasks(bench, prompt)
    _misses(bench, prompt)


def _long_prompt(bench: Bench) -> np.ndarray:
    """A KV prompt of `LONG` tokens, float16: what the base computes of sentences, as is each beginning."""
    ids = [id_ for text in bench.workload.sentences for id_ in text.ids][:LONG]
    base = bench.workload.base
    return base.identity.kv.prompt(base.trunk().read(ids)).astype(np.float16)


def _first_calls(bench: Bench) -> None:
    """Cold processes of a base without the full-precision trunk, beside those of a stored prefix."""
    if bench.fastest == FULL_PRECISION:
        bench.book.note(f"{SCENARIO}: no variant but full precision, so nothing is asked without it")
        return
    store = bench.scratch(f"{SCENARIO}-cold")
    shutil.rmtree(store, ignore_errors=True)
    write_task(store, TASK, bench.workload.with_kv_prompt())
    cold_start.measure(
        bench, SCENARIO, WITHOUT_ENCODER, f"file:{store}", SOFTCALL_BASE_DIR=str(_without_encoder(bench))
    )


def _without_encoder(bench: Bench) -> Path:
    """The base bundle without the full-precision variant."""
    folder = bench.scratch(f"{SCENARIO}-base")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    record = json.loads((BASE / "base.json").read_text())
    record["variants"] = {bench.fastest: record["variants"][bench.fastest]}
    (folder / "base.json").write_text(json.dumps(record))
    for name in ("tokenizer.json", bench.fastest):
        (folder / name).symlink_to((BASE / name).resolve())
    return folder


def _single_calls(bench: Bench, prompt: np.ndarray) -> None:
    """One client: a soft prompt, KV prompts of two lengths, and bare ONNX Runtime behind the long one."""
    variant = bench.fastest
    store = bench.scratch(f"{SCENARIO}-single")
    shutil.rmtree(store, ignore_errors=True)
    write_task(store, "soft", bench.workload.artifact)
    write_task(store, "short", bench.workload.with_kv_prompt())
    write_task(store, "long", bench.workload.with_kv_prompt(prompt))
    asked = {SOFT: "soft", kv(SHORT): "short", kv(LONG): "long"}
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(f"file:{store}", variant, f"{SCENARIO}-single"))
        bare = stack.enter_context(Side(behind, variant, str(store / "long" / OBJECT)))
        ids = [list(bench.workload.texts[0].ids)]
        for task in asked.values():
            bench.load(server, 1, LOAD_S, bench.workload.bodies(task=task))
        for _ in range(bench.rounds(ROUNDS)):
            for detail, task in asked.items():
                figures = bench.load(server, 1, LOAD_S, bench.workload.bodies(task=task))
                bench.book.add(Key(SCENARIO, "softcall", variant, detail=detail), figures)
                bench.say(f"{detail}: p50 {figures['p50_ms']:.1f} ms")
            figures = sides.figures(bare.seconds(ids, 20), 1)
            bench.book.add(Key(SCENARIO, "onnxruntime", variant, detail=kv(LONG)), figures)
            bench.say(f"ONNX Runtime behind {LONG:,} tokens: {figures['p50_ms']:.1f} ms")


def behind(variant: str, artifact: str) -> sides.Run:
    """ONNX Runtime from Python: a variant's trunk behind the KV prompt of an artifact's file."""
    from softcall.base.bundle import Bundle

    base = Bundle.open(BASE)
    prefix = Artifact.from_bytes(Path(artifact).read_bytes()).prefix(base)
    trunk = base.trunk(variant)

    def run(rows: sides.Rows):
        ids = np.array(rows, np.int64)
        return trunk.hidden(ids, np.full(len(ids), ids.shape[1] - 1), prefix=prefix)

    return run


def _mixed_lengths(bench: Bench, prompt: np.ndarray) -> None:
    """16 clients on 8 tasks of one length each time, then on 8 of different lengths, which share no batch."""
    variant = bench.fastest
    store = bench.scratch(f"{SCENARIO}-mixed")
    shutil.rmtree(store, ignore_errors=True)
    names: dict[str, list[str]] = {}
    for number, tokens in enumerate(MIXED):
        for other in range(len(MIXED)):
            name = f"tokens-{tokens}-{other}"
            write_task(store, name, bench.workload.with_kv_prompt(np.roll(prompt[:tokens], other, axis=0)))
            names.setdefault(kv(tokens), []).append(name)
        names.setdefault(MIX, []).append(f"tokens-{tokens}-{number}")
    texts = bench.workload.texts
    settings = {"SOFTCALL_PREFIX_CACHE_BYTES": "2G", "SOFTCALL_STORE_CACHE_BYTES": "1G"}
    with serving(f"file:{store}", variant, f"{SCENARIO}-mixed", options=("-Xmx2g",), **settings) as server:
        for _ in range(bench.rounds(3)):
            for detail, group in names.items():
                bodies = [bench.workload.body(text, task) for text in texts for task in group]
                figures = bench.load(server, CLIENTS, 2 * LOAD_S, bodies)
                bench.book.add(Key(SCENARIO, "softcall", variant, CLIENTS, detail), figures)
                bench.say(f"8 tasks, {detail}: {figures['texts_per_s']:.1f} texts/s")


def _many_tasks(bench: Bench, prompt: np.ndarray) -> None:
    """16 clients on tasks of many lengths, called by Zipf's law; caches that fit, and half of them."""
    variant, chance = bench.fastest, np.random.default_rng(SEED)
    count = QUICK_TASKS if bench.quick else TASKS
    store = bench.scratch(f"{SCENARIO}-many")
    shutil.rmtree(store, ignore_errors=True)
    lengths = np.exp(chance.uniform(np.log(LEAST_TOKENS), np.log(LONG), count)).astype(int)
    names = [f"task-{number:03}" for number in range(count)]
    for name, tokens in zip(names, lengths, strict=True):
        write_task(store, name, bench.workload.with_kv_prompt(prompt[:tokens]))
    shares = 1 / np.arange(1, count + 1)
    asked = chance.choice(count, BODIES, p=shares / shares.sum())
    texts = bench.workload.texts
    bodies = [bench.workload.body(texts[i % len(texts)], names[task]) for i, task in enumerate(asked)]
    numbers = int(lengths.sum()) * prompt.shape[1]
    bench.say(f"{count} tasks of {lengths.min()} to {lengths.max()} tokens, {lengths.sum():,} in all")
    for _ in range(bench.rounds(2)):
        for detail, part in ((FITS, 1.2), (HALF, 0.5)):
            caches = {
                "SOFTCALL_PREFIX_CACHE_BYTES": str(int(part * numbers * PREFIX_BYTES_PER_NUMBER)),
                "SOFTCALL_STORE_CACHE_BYTES": str(int(part * numbers * HEAP_BYTES_PER_NUMBER)),
            }
            heap = 1 + int(1.2 * numbers * HEAP_BYTES_PER_NUMBER / 1e9)
            with serving(
                f"file:{store}", variant, f"{SCENARIO}-many", options=(f"-Xmx{heap}g",), **caches
            ) as server:
                bench.load(server, CLIENTS, ZIPF_S, bodies)
                figures = bench.load(server, CLIENTS, ZIPF_S, bodies) | server.memory_mb()
                figures["cached_mb"] = server.metric("softcall_prefix_cached_bytes") / 1e6
            figures["allowed_mb"] = int(caches["SOFTCALL_PREFIX_CACHE_BYTES"]) / 1e6
            bench.book.add(Key(SCENARIO, "softcall", variant, CLIENTS, tasks(count, detail)), figures)
            bench.say(
                f"{detail}: {figures['texts_per_s']:.1f} texts/s, RSS {figures['rss_mb']:,.0f} MB, prefixes"
                f" {figures['cached_mb']:,.0f} of {figures['allowed_mb']:,.0f} MB, nothing failed"
            )


def _misses(bench: Bench, prompt: np.ndarray) -> None:
    """Calls of tasks that no cache holds, beside reading, hashing and copying the same bytes here."""
    variant = bench.fastest
    store = bench.scratch(f"{SCENARIO}-misses")
    shutil.rmtree(store, ignore_errors=True)
    names = [f"task-{number:02}" for number in range(MISSES)]
    store.mkdir(parents=True)
    with serving(f"file:{store}", variant, f"{SCENARIO}-misses", SOFTCALL_PREFIX_CACHE_BYTES="1M") as server:
        for round_ in range(bench.rounds(ROUNDS)):
            for number, name in enumerate(names):  # other bytes in each round, so that it misses again
                write_task(
                    store,
                    name,
                    bench.workload.with_kv_prompt(np.roll(prompt, number + MISSES * round_, axis=0)),
                )
            took = {
                name: (_missed_ms(bench, server, name), _read_ms(store / name / OBJECT)) for name in names
            }
            for detail, which in ((MISS, 0), (READ, 1)):
                milliseconds = statistics.median(each[which] for each in took.values())
                bench.book.add(Key(SCENARIO, "softcall", variant, detail=detail), {"ms": milliseconds})
                bench.say(f"{detail}: {milliseconds:.1f} ms")


def _missed_ms(bench: Bench, server: Server, name: str) -> float:
    """What the call took for fetching and loading, as its headers say."""
    headers = server.require(name, bench.workload.texts[0].text).headers
    return sum(float(headers[f"x-softcall-{stage}-ms"]) for stage in ("fetch", "prefix"))


def _read_ms(file: Path) -> float:
    started = time.perf_counter()
    content = file.read_bytes()
    hashlib.sha256(content).digest()
    np.frombuffer(content, np.uint8).copy()
    return (time.perf_counter() - started) * 1e3
