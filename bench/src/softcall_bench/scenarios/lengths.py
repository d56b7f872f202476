"""One text at a time, of 8 to 512 tokens, by the server and by bare ONNX Runtime."""

import contextlib

from softcall_bench import sides
from softcall_bench.bench import FILE_STORE, Bench
from softcall_bench.book import Key
from softcall_bench.server import serving
from softcall_bench.sides import Side

SCENARIO = "lengths"
ROUNDS = 2
LENGTH_S = {8: 2, 16: 2, 32: 2, 64: 3, 128: 4, 256: 6, 512: 10}
TEXTS = 4


def run(bench: Bench) -> None:
    """Measure every length in each round."""
    texts = {tokens: bench.workload.texts_of(tokens, TEXTS) for tokens in LENGTH_S}
    with contextlib.ExitStack() as stack:
        servers = {v: stack.enter_context(serving(FILE_STORE, v, f"{SCENARIO}-{v}")) for v in bench.variants}
        bare = {v: stack.enter_context(Side(sides.bare_onnx_runtime, v)) for v in bench.variants}
        for round_ in range(rounds := bench.rounds(ROUNDS)):
            for tokens, seconds in LENGTH_S.items():
                bench.say(f"round {round_ + 1} of {rounds}: {tokens} tokens")
                for variant, server in servers.items():
                    bodies = bench.workload.bodies(texts[tokens])
                    figures = bench.load(server, 1, seconds, bodies, tokens)
                    bench.book.add(Key(SCENARIO, "softcall", variant, detail=str(tokens)), figures)
                    took = bare[variant].seconds([list(texts[tokens][0].ids)], 3)
                    figures = sides.figures(took, 1, tokens)
                    bench.book.add(Key(SCENARIO, "onnxruntime", variant, detail=str(tokens)), figures)
