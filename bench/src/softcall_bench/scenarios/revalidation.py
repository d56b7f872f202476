"""What asking the store on every call costs, with the store 0, 10 and 50 ms away."""

import contextlib
from dataclasses import dataclass

from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.object_store import ObjectStore, object_store
from softcall_bench.server import Server, serving
from softcall_bench.workload import TASK

SCENARIO = "revalidation"
ROUNDS = 8
NEAR_MS = 10  # what the bars ask about; the others are seen in every `OTHERS_EVERY`-th round
OTHERS_MS, OTHERS_EVERY = (0, 50), 4
CLIENT_S = {1: 2, 16: 5}
TIMES = {1: 3, 16: 1}  # in each round: where one client asks, a machine that changes its pace shows
OFF = "off"
ASKED_BY_ANOTHER = "off, the store asked by another process"
"""What the store and its delay cost, which have their processor time from the cores of the server here."""


@dataclass(frozen=True)
class _Scene:
    """Two servers on one store: one that asks it on every call, and one that asks once an hour."""

    bench: Bench
    store: ObjectStore
    asking: Server
    trusting: Server

    def asks(self, clients: int, ms: int) -> None:
        """Measure calls that ask a store `ms` away."""
        self._measure(self.asking, clients, delay(ms), ms)

    def trusts(self, clients: int) -> None:
        """Measure calls that do not ask."""
        self._measure(self.trusting, clients, OFF)

    def trusts_while_another_asks(self, clients: int) -> None:
        """The same, while wrk asks the store `NEAR_MS` away whenever it has its answer."""
        self._measure(self.trusting, clients, ASKED_BY_ANOTHER, NEAR_MS, by_another=True)

    def _measure(
        self, server: Server, clients: int, detail: str, ms: int = 0, by_another: bool = False
    ) -> None:
        self.store.delay(ms)
        with self.store.asked(self.bench.wrk, TASK) if by_another else contextlib.nullcontext():
            figures = self.bench.load(server, clients, CLIENT_S[clients])
        if server is self.asking:
            figures |= {"round_trip_ms": self.store.round_trip_ms(TASK)}
        self.bench.book.add(Key(SCENARIO, "softcall", self.bench.fastest, clients, detail), figures)


def run(bench: Bench) -> None:
    """In turn, so that a machine that becomes faster or slower favours none."""
    variant = bench.fastest
    with object_store(bench.scratch("s3")) as store:
        store.put(TASK, bench.workload.artifact.to_bytes())
        never = {"SOFTCALL_STORE_MAX_AGE": "1h", **store.settings}
        with (
            serving(store.uri, variant, f"{SCENARIO}-on", **store.settings) as asking,
            serving(store.uri, variant, f"{SCENARIO}-off", **never) as trusting,
        ):
            for server in (asking, trusting):
                bench.warm(server)
            scene = _Scene(bench, store, asking, trusting)
            for round_ in range(rounds := bench.rounds(ROUNDS)):
                bench.say(f"round {round_ + 1} of {rounds}")
                for clients in CLIENT_S:
                    for time in range(TIMES[clients]):
                        _in_turn(scene, clients, backwards=(round_ + time) % 2 == 0)
                    for ms in OTHERS_MS if round_ % OTHERS_EVERY == 0 else ():
                        scene.asks(clients, ms)


def _in_turn(scene: _Scene, clients: int, backwards: bool) -> None:
    steps = [lambda: scene.trusts(clients), lambda: scene.asks(clients, NEAR_MS)]
    if clients == 1:
        steps.append(lambda: scene.trusts_while_another_asks(clients))
    for step in reversed(steps) if backwards else steps:
        step()


def delay(ms: int) -> str:
    """How a store that is `ms` away is called."""
    return f"store {ms} ms away"
