"""Tokens a second beside llama.cpp, `generate` and bare ONNX Runtime, on one core and on two.

All read texts of 32 tokens behind a prompt of 20, and write 64 tokens behind each. llama.cpp knows no learnt
prompts, so it reads 20 tokens more. The server has the prompt's keys and values, as it has for every call.
"""

import contextlib
import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from softcall_bench import cores, sides, writing_sides
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.scenarios.generation import served
from softcall_bench.scenarios.generation.served import NEW_TOKENS, STREAMS, TEXT_TOKENS, compact
from softcall_bench.server import Server, serving
from softcall_bench.sides import Side, SideFailed
from softcall_bench.streams import written
from softcall_bench.workload import TASK

SCENARIO = "generation-speed"
ROUNDS = 3
ONE, TWO = "one core", "two cores"
CORES = {ONE: 1, TWO: 2}
SECONDS = {1: 4, STREAMS: 8}
WARM_S = 8
TIMES = {1: 3, STREAMS: 1}  # that llama.cpp writes in each round
GENERATE_ROUNDS = 2  # of PyTorch, which takes longer than all others together
CALLS = 20
PROMPT_ID = 0


def first_token(cores_: str) -> str:
    """The detail of a key for the time until a lone stream's first token, on so many cores."""
    return f"{cores_}, first token of a lone stream"


def classification(cores_: str) -> str:
    """The detail of a key for the time of a classification of the same text."""
    return f"{cores_}, classification of the same text"


def run(bench: Bench) -> None:
    """All sides in turn, on one core, then on two."""
    variants = compact(bench)
    for cores_, count in CORES.items():
        try:
            with cores.at_most_measured(count):
                if cores.measured_count() == count and variants:
                    _run(bench, cores_, variants)
                else:
                    bench.book.note(f"{SCENARIO}: not on {cores_}, for there are too few")
        except cores.Indivisible as error:
            bench.book.note(f"{SCENARIO}: {error}")


def _run(bench: Bench, cores_: str, variants: tuple[str, ...]) -> None:
    store = served.new_store(bench, SCENARIO)
    with contextlib.ExitStack() as stack:
        bench.say(f"{cores_}: starting llama.cpp, ONNX Runtime, PEFT and the servers")
        servers = {
            variant: stack.enter_context(serving(f"file:{store}", variant, f"{SCENARIO}-{variant}"))
            for variant in variants
        }
        scene = _Scene(bench, cores_, servers, _llama(bench, stack), _others(cores_, variants, stack))
        for server in servers.values():
            bench.warm(server)
            written(server.port, served.prompts(bench), STREAMS, WARM_S)
        for round_ in range(rounds := bench.rounds(ROUNDS)):
            bench.say(f"{cores_}, round {round_ + 1} of {rounds}")
            steps = scene.steps(round_)
            for step in reversed(steps) if round_ % 2 else steps:
                step()


def _llama(bench: Bench, stack: contextlib.ExitStack) -> Side | None:
    if not sides.llama_is_installed():
        bench.book.note("llama.cpp: llama-cpp-python is not installed (`make bench` installs it)")
        return None
    try:
        side = stack.enter_context(Side(writing_sides.llama_writer, NEW_TOKENS))
        for rows in (1, STREAMS):
            side.seconds(_rows(bench, rows, in_line=True), 1)
    except SideFailed as error:
        bench.book.note(f"llama.cpp: {error}")
        return None
    return side


def _others(
    cores_: str, variants: tuple[str, ...], stack: contextlib.ExitStack
) -> dict[tuple[str, str], Side]:
    """Sides of one core alone: there the load has other cores, and costs the server nothing."""
    if cores_ != ONE:
        return {}
    others = {("generate", ""): stack.enter_context(Side(writing_sides.peft_generate, NEW_TOKENS))}
    return others | {
        ("onnxruntime", variant): stack.enter_context(
            Side(writing_sides.bare_onnx_writer, variant, NEW_TOKENS)
        )
        for variant in variants
    }


def _rows(bench: Bench, count: int, in_line: bool = False) -> list[list[int]]:
    """Token ids of so many texts; `in_line`: with as many tokens before them as the prompt has."""
    before = [PROMPT_ID] * bench.workload.artifact.tokens if in_line else []
    return [[*before, *text.ids] for text in bench.workload.texts_of(TEXT_TOKENS, count)]


@dataclass(frozen=True)
class _Scene:
    """All sides, started."""

    bench: Bench
    cores: str
    servers: Mapping[str, Server]
    llama: Side | None
    others: Mapping[tuple[str, str], Side]

    def steps(self, round_: int) -> list[Callable[[], None]]:
        """What is measured in a round."""
        steps: list[Callable[[], None]] = []
        for streams in (1, STREAMS):
            for variant in self.servers:
                steps.append(lambda streams=streams, variant=variant: self._served(variant, streams))
                if streams == 1:
                    steps.append(lambda variant=variant: self._first(variant))
                elif ("onnxruntime", variant) in self.others:
                    steps.append(lambda variant=variant: self._side("onnxruntime", variant))
            if self.llama is not None:
                steps.append(
                    lambda streams=streams: self._wrote(self.llama, "llama.cpp", "", streams, in_line=True)
                )
        if ("generate", "") in self.others and round_ < GENERATE_ROUNDS:
            steps.append(lambda: self._side("generate", ""))
        return steps

    def _served(self, variant: str, streams: int) -> None:
        asked = served.prompts(self.bench)
        figures = written(self.servers[variant].port, asked, streams, SECONDS[streams])
        self._add("softcall", variant, streams, figures)

    def _side(self, name: str, variant: str) -> None:
        self._wrote(self.others[name, variant], name, variant, STREAMS)

    def _wrote(self, side: Side, name: str, variant: str, rows: int, in_line: bool = False) -> None:
        took = side.seconds(_rows(self.bench, rows, in_line), TIMES[rows])
        self._add(name, variant, rows, writing_sides.figures(float(np.median(took)), rows, NEW_TOKENS))

    def _first(self, variant: str) -> None:
        """A classification and the first token of a stream, of the same texts, in turn."""
        port, took = self.servers[variant].port, {TASK: [], served.SOFT: []}
        for text in served.prompts(self.bench).texts[:CALLS] * (CALLS // served.TEXTS + 1):
            for task, times in took.items():
                times.append(_milliseconds(port, task, text))
        for detail, task in ((classification(self.cores), TASK), (first_token(self.cores), served.SOFT)):
            key = Key(SCENARIO, "softcall", variant, detail=detail)
            self.bench.book.add(key, {"median_ms": float(np.median(took[task][2:]))})

    def _add(self, side: str, variant: str, streams: int, figures: dict[str, float]) -> None:
        self.bench.book.add(Key(SCENARIO, side, variant, streams, self.cores), figures)
        name = f"{side} {variant}".strip()
        self.bench.say(f"{self.cores}, {streams} at a time, {name}: {figures['tokens_per_s']:.1f} tokens/s")


def _milliseconds(port: int, task: str, text: str) -> float:
    """What a call takes until its answer, or the first event of its stream, is there."""
    if task == TASK:
        path, asked = "/v1/classify", {"input": text}
    else:
        asked = {"prompt": text, "stream": True, "max_tokens": 2, "temperature": 0, "ignore_eos": True}
        path = "/v1/completions"
    payload = json.dumps({"model": task, **asked})
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.connect()
        started = time.perf_counter()
        connection.request("POST", path, payload, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read() if task == TASK else response.readline()
        took = (time.perf_counter() - started) * 1e3
        response.read()
    if response.status != 200:
        raise SideFailed(f"{path} was answered with {response.status}")
    return took
