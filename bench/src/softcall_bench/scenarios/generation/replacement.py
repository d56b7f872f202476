"""A prompt that is replaced again and again while 16 streams ask for it.

An answer that was asked for after a replacement must not come from an older version.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from softcall.stores.store import OBJECT
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.scenarios.generation import served
from softcall_bench.scenarios.generation.served import STREAMS
from softcall_bench.server import Server, serving
from softcall_bench.streams import Answer, writing

SCENARIO = "generation-replacement"
TIMES, QUICK_TIMES = 200, 30
EVERY_S = 0.1
TOKENS = 4
"""New tokens of an answer: few, so that many begin around each replacement."""
KINDS = {served.SOFT: "a soft prompt", served.KV: "a KV prompt"}


def replaced(task: str) -> str:
    """The detail of a key for the replacements of a task of `KINDS`."""
    return f"{KINDS[task]}, replaced under {STREAMS} streams"


def run(bench: Bench) -> None:
    """Replace the object as a push does, all at once, and look at the version of each answer."""
    store = served.new_store(bench, SCENARIO)
    for variant in served.compact(bench):
        with serving(f"file:{store}", variant, f"{SCENARIO}-{variant}") as server:
            for task in KINDS:
                versions = _versions(bench, task, QUICK_TIMES if bench.quick else TIMES)
                _replace(store / task / OBJECT, versions[0])
                figures = _measure(bench, server, store / task / OBJECT, task, versions)
                key = Key(SCENARIO, "softcall", variant, STREAMS, replaced(task))
                bench.book.add(key, figures)
                told = ", ".join(f"{name} {value:,.0f}" for name, value in figures.items())
                bench.say(f"{variant}, {key.detail}: {told}")


def _measure(
    bench: Bench, server: Server, file: Path, task: str, versions: Sequence[bytes]
) -> dict[str, float]:
    replaced_s = [float("-inf")]
    with writing(server.port, served.prompts(bench, task, tokens=TOKENS), STREAMS) as under_way:
        for content in versions[1:]:
            time.sleep(EVERY_S)
            _replace(file, content)
            replaced_s.append(time.perf_counter())
        time.sleep(EVERY_S)
    return _judge(under_way.flow.answers, versions, replaced_s)


def _versions(bench: Bench, task: str, replacements: int) -> list[bytes]:
    """The objects of a task whose prompt's numbers are in other places each time."""
    artifact = bench.workload.writer(kv=task == served.KV)
    return [
        replace(
            artifact, prompt=np.roll(artifact.prompt, number, axis=0 if task == served.KV else 1)
        ).to_bytes()
        for number in range(replacements + 1)
    ]


def _replace(file: Path, content: bytes) -> None:
    new = file.with_suffix(".new")
    new.write_bytes(content)
    new.replace(file)


def _judge(
    answers: Sequence[Answer], versions: Sequence[bytes], replaced_s: Sequence[float]
) -> dict[str, float]:
    """Count answers, those of older versions than were stored when they were asked for, and versions seen."""
    number_of = {hashlib.sha256(content).hexdigest(): number for number, content in enumerate(versions)}
    begun = [answer for answer in answers if answer.version]
    found = [number_of.get(answer.version.strip('"'), -1) for answer in begun]
    stored = [int(np.searchsorted(replaced_s, answer.sent_s)) - 1 for answer in begun]
    return {
        "answers": len(begun),
        "stale": sum(0 <= each < least for each, least in zip(found, stored, strict=True)),
        "unknown": found.count(-1),
        "replacements": len(versions) - 1,
        "versions_seen": len(set(found)),
    }
