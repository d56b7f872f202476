"""Writing and classifying on one core: each alone, and both at the same time.

A second server never writes text. It shows whether one that has written classifies as it did before.
"""

from softcall_bench import cores
from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.scenarios.generation import served
from softcall_bench.server import Server, serving
from softcall_bench.streams import writing, written

SCENARIO = "generation-mixed"
ROUNDS = 3
STREAMS, CLIENTS = 8, 8
SECONDS = 8
WRITING, CLASSIFYING = "8 streams", "8 callers"
ALONE, TOGETHER = "alone", "beside the others"
NEVER = "8 callers alone, of a server that never wrote"


def detail(kind: str, how: str) -> str:
    """The detail of a key for `WRITING` or `CLASSIFYING`, `ALONE` or `TOGETHER`."""
    return f"{kind} {how}"


def run(bench: Bench) -> None:
    """Measure the fastest variant with a core to itself."""
    try:
        with cores.at_most_measured(1):
            for variant in served.compact(bench):
                _run(bench, variant)
    except cores.Indivisible as error:
        bench.book.note(f"{SCENARIO}: {error}")


def _run(bench: Bench, variant: str) -> None:
    store = f"file:{served.new_store(bench, SCENARIO)}"
    with (
        serving(store, variant, f"{SCENARIO}-{variant}") as server,
        serving(store, variant, f"{SCENARIO}-{variant}-never") as never,
    ):
        for each in (server, never):
            bench.warm(each)
        written(server.port, served.prompts(bench), STREAMS, SECONDS)
        for round_ in range(rounds := bench.rounds(ROUNDS)):
            bench.say(f"{variant}, round {round_ + 1} of {rounds}")
            for which in (server, never) if round_ % 2 else (never, server):
                name = NEVER if which is never else detail(CLASSIFYING, ALONE)
                _add(bench, variant, name, CLIENTS, _classified(bench, which))
            alone = written(server.port, served.prompts(bench), STREAMS, SECONDS)
            _add(bench, variant, detail(WRITING, ALONE), STREAMS, alone)
            with writing(server.port, served.prompts(bench), STREAMS) as under_way:
                beside = _classified(bench, server)
            _add(bench, variant, detail(CLASSIFYING, TOGETHER), CLIENTS, beside)
            _add(bench, variant, detail(WRITING, TOGETHER), STREAMS, under_way.flow.figures())


def _classified(bench: Bench, server: Server) -> dict[str, float]:
    return bench.load(server, CLIENTS, SECONDS, served.classifications(bench), served.TEXT_TOKENS)


def _add(bench: Bench, variant: str, detail_: str, clients: int, figures: dict[str, float]) -> None:
    bench.book.add(Key(SCENARIO, "softcall", variant, clients, detail_), figures)
    told = ", ".join(f"{name} {value:.1f}" for name, value in figures.items() if name.endswith("_ms"))
    bench.say(f"{detail_}: {told}")
