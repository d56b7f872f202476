"""All sides on the same texts: one at a time, in batches, and by clients that ask at once."""

import contextlib
from collections.abc import Collection, Iterator

from softcall_bench import sides
from softcall_bench.bench import FILE_STORE, Bench
from softcall_bench.book import Key
from softcall_bench.server import Server, serving
from softcall_bench.sides import Side, SideFailed

SCENARIO = "speed"
ROUNDS = 5
SINGLES = 3  # of one text in each round: a machine's pace changes within seconds, which they show
SIZES = (2, 4, 8, 16, 32, 64)  # of batches, and where `CLIENT_S` has them of crowds
COMPARED = (8, 16)  # in every round; the others in every `ALL_SIZES_EVERY`-th
ALL_SIZES_EVERY = 4
CLIENT_S = {1: 2, 4: 6, 16: 8, 64: 15}  # long enough for several answers to each


def run(bench: Bench) -> None:
    """Start every side once, then measure all of them in each round."""
    with _sides(bench) as (library, servers):
        _warm(bench, library, servers)
        for round_ in range(rounds := bench.rounds(ROUNDS)):
            bench.say(f"round {round_ + 1} of {rounds}: one text")
            for _ in range(SINGLES):
                _single(bench, library, servers)
            bench.say(f"round {round_ + 1} of {rounds}: batches and crowds")
            _batches(bench, library, servers, SIZES if round_ % ALL_SIZES_EVERY == 0 else COMPARED)
        for (name, variant), side in library.items():
            bench.book.add(Key("memory", name, variant, detail="after the load"), side.memory_mb())
        for variant, server in servers.items():
            bench.book.add(Key("memory", "softcall", variant, detail="after the load"), server.memory_mb())


Sides = dict[tuple[str, str], Side]


@contextlib.contextmanager
def _sides(bench: Bench) -> Iterator[tuple[Sides, dict[str, Server]]]:
    with contextlib.ExitStack() as stack:
        bench.say("starting PEFT, the torch trunk, llama.cpp, ONNX Runtime and the servers")
        library = {
            ("peft", ""): stack.enter_context(Side(sides.peft)),
            ("torch trunk", ""): stack.enter_context(Side(sides.torch_trunk)),
        }
        library |= _llama(bench, stack)
        for variant in bench.variants:
            library["onnxruntime", variant] = stack.enter_context(Side(sides.bare_onnx_runtime, variant))
        servers = {
            variant: stack.enter_context(serving(FILE_STORE, variant, f"{SCENARIO}-{variant}"))
            for variant in bench.variants
        }
        yield library, servers


def _llama(bench: Bench, stack: contextlib.ExitStack) -> Sides:
    """Start llama.cpp; where it is missing or ends at its first text, the others are measured without it."""
    if not sides.llama_is_installed():
        bench.book.note("llama.cpp: llama-cpp-python is not installed (`make bench` installs it)")
        return {}
    try:
        side = stack.enter_context(Side(sides.llama_cpp))
        side.seconds([bench.workload.texts[0].ids], 1)
    except SideFailed as error:
        bench.book.note(f"llama.cpp: {error}")
        return {}
    return {("llama.cpp", ""): side}


def _warm(bench: Bench, library: Sides, servers: dict[str, Server]) -> None:
    rows = [text.ids for text in bench.workload.texts]
    for side in library.values():
        side.seconds(rows[:1], 2)
    for server in servers.values():
        bench.warm(server)


def _single(bench: Bench, library: Sides, servers: dict[str, Server]) -> None:
    rows = [list(text.ids) for text in bench.workload.texts]
    in_line = [[*([0] * bench.workload.artifact.tokens), *rows[0]]]
    for (name, variant), side in library.items():
        times = 5 if name == "peft" else 10
        took = side.seconds(rows[:1], times)
        bench.book.add(Key(SCENARIO, name, variant), sides.figures(took, 1))
        if name == "llama.cpp":
            took = side.seconds(in_line, 5)
            bench.book.add(Key(SCENARIO, name, variant, detail="prompt in line"), sides.figures(took, 1))
        if name == "onnxruntime":
            # Beside its own server, so that what HTTP adds is seen in one moment of the machine.
            bench.book.add(Key(SCENARIO, "softcall", variant), bench.load(servers[variant], 1, CLIENT_S[1]))


def _batches(bench: Bench, library: Sides, servers: dict[str, Server], sizes: Collection[int]) -> None:
    rows = [list(text.ids) for text in bench.workload.texts]
    for (name, variant), side in library.items():
        if name == "llama.cpp":
            continue  # a row at a time: its batch is no faster a row
        for size in sizes if name == "onnxruntime" else (16,):
            batch = [rows[number % len(rows)] for number in range(size)]
            side.seconds(batch, 1)
            bench.book.add(Key(SCENARIO, name, variant, size), sides.figures(side.seconds(batch, 2), size))
            if size in CLIENT_S and name == "onnxruntime":
                # As many clients of its own server, seen in the same moment of the machine.
                crowd = bench.load(servers[variant], size, CLIENT_S[size])
                bench.book.add(Key(SCENARIO, "softcall", variant, size), crowd)
