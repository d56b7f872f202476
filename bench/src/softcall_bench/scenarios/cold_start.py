"""From the start of a process to its first correct answer, its files being in the page cache."""

import re
import time

import numpy as np

from softcall.stores.store import OBJECT
from softcall_bench.bench import FILE_STORE, FULL_PRECISION, Bench
from softcall_bench.book import Key
from softcall_bench.local_server import ROOT
from softcall_bench.push import push
from softcall_bench.server import BASE, Server, serving
from softcall_bench.workload import TASK, Text

SCENARIO = "cold-start"
ROUNDS = 5
WITHOUT = "no prefix in the artifact"
WITH = "prefix in the artifact"
LOGGED = {  # what the server's log says of its start
    "trunk_ms": re.compile(r"serves on ONNX Runtime.*?(\d+) ms"),
    "tokenizer_ms": re.compile(r"[Tt]okenizer.*?(\d+) ms"),
}


def run(bench: Bench) -> None:
    """Start the server anew in each round, for each variant, with and without a ready prefix."""
    text = _surest(bench)
    cases = [(variant, WITHOUT, FILE_STORE) for variant in bench.variants]
    if bench.fastest != FULL_PRECISION and (store := _store_with_prefix(bench, bench.fastest)):
        cases.append((bench.fastest, WITH, store))
    for round_ in range(bench.rounds(ROUNDS) + 1):
        for variant, detail, store in cases:
            _measure(bench, Key(SCENARIO, "softcall", variant, detail=detail), store, text, round_)


def measure(bench: Bench, scenario: str, detail: str, store: str, **settings: str) -> None:
    """Start the fastest variant on a store anew in each round, for another scenario."""
    text = _surest(bench)
    for round_ in range(bench.rounds(ROUNDS) + 1):
        key = Key(scenario, "softcall", bench.fastest, detail=detail)
        _measure(bench, key, store, text, round_, **settings)


def _measure(bench: Bench, key: Key, store: str, text: Text, round_: int, **settings: str) -> None:
    figures = _start(store, key.variant, text, **settings)
    if round_ == 0:
        return  # reads the files into the page cache
    bench.book.add(key, figures)
    stages = ", ".join(f"{name.removesuffix('_ms')} {ms:.0f}" for name, ms in figures.items())
    bench.say(f"{key.variant}, {key.detail}: {stages} ms")


def _start(store: str, variant: str, text: Text, **settings: str) -> dict[str, float]:
    with serving(store, variant, f"{SCENARIO}-{variant}", wait=False, **settings) as server:
        server.wait_until_listening()
        listening = time.perf_counter()
        answer = server.require(TASK, text.text)
        answered = time.perf_counter()
        if (label := answer.body["data"][0]["label"]) != text.label:
            raise server.failed(f"the first answer is {label}, {text.label} is expected")
        headers = answer.headers
    stages = {f"{name}_ms": float(headers[f"x-softcall-{name}-ms"]) for name in ("fetch", "prefix", "infer")}
    return {
        "first_answer_ms": (answered - server.started_s) * 1e3,
        **_startup(server, (listening - server.started_s) * 1e3),
        **stages,
        "rest_of_call_ms": (answered - listening) * 1e3 - sum(stages.values()),
    }


def _startup(server: Server, listening_ms: float) -> dict[str, float]:
    """The stages until the port is open: what the log names, and what remains for JVM and Quarkus."""
    log = server.log.read_text(errors="replace")
    found = {
        name: float(match[1])
        for name, pattern in LOGGED.items()
        if (match := pattern.search(log)) is not None
    }
    rest = {"jvm_and_quarkus_ms": listening_ms - found["trunk_ms"]} if "trunk_ms" in found else {}
    return {"listening_ms": listening_ms, **rest, **found}


def _surest(bench: Bench) -> Text:
    """The text whose label is right by the widest margin: no variant has an excuse to answer otherwise."""
    artifact, trunk = bench.workload.artifact, bench.workload.base.trunk()
    prefix = artifact.prefix(bench.workload.base)

    def margin(text: Text) -> float:
        hidden = trunk.hidden(np.array([text.ids]), np.array([len(text.ids) - 1]), prefix=prefix)[0]
        logits = artifact.label_head @ hidden + artifact.label_bias
        label = artifact.labels.index(text.label)
        return logits[label] - np.delete(logits, label).max()

    return max(bench.workload.texts, key=margin)


def _store_with_prefix(bench: Bench, variant: str) -> str | None:
    """A file store whose artifact holds the ready prefix; None, with a note, where `softcall push` cannot."""
    store = f"file:{bench.scratch('prefix')}"
    shipped = str(ROOT / "tasks" / TASK / OBJECT)
    if said := push(shipped, TASK, "--store", store, "--base", str(BASE), "--prefix", variant):
        bench.book.note(f"{SCENARIO}: not with a {WITH}, `softcall push --prefix {variant}` failed: {said}")
        return None
    return store
