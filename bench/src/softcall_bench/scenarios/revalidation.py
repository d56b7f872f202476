"""What asking the store on every call costs, with the store 0, 10 and 50 ms away."""

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


def run(bench: Bench) -> None:
    """Two servers on one S3 store, one that asks it on every call and one that asks once an hour."""
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
            for round_ in range(rounds := bench.rounds(ROUNDS)):
                bench.say(f"round {round_ + 1} of {rounds}")
                for clients in CLIENT_S:
                    for time in range(TIMES[clients]):
                        # In turn, so that a machine that becomes faster or slower favours neither.
                        for ms in (None, NEAR_MS) if (round_ + time) % 2 else (NEAR_MS, None):
                            _measure(bench, store, trusting if ms is None else asking, clients, ms)
                    for ms in OTHERS_MS if round_ % OTHERS_EVERY == 0 else ():
                        _measure(bench, store, asking, clients, ms)


def _measure(bench: Bench, store: ObjectStore, server: Server, clients: int, ms: int | None) -> None:
    store.delay(ms or 0)
    figures = bench.load(server, clients, CLIENT_S[clients])
    if ms is not None:
        figures |= {"round_trip_ms": store.round_trip_ms(TASK)}
    detail = OFF if ms is None else delay(ms)
    bench.book.add(Key(SCENARIO, "softcall", bench.fastest, clients, detail), figures)


def delay(ms: int) -> str:
    """How a store that is `ms` away is called."""
    return f"store {ms} ms away"
