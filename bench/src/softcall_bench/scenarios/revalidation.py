"""What asking the store on every call costs, with the store 0, 10 and 50 ms away."""

from softcall_bench.bench import Bench
from softcall_bench.book import Key
from softcall_bench.object_store import object_store
from softcall_bench.server import serving
from softcall_bench.workload import TASK

SCENARIO = "revalidation"
ROUNDS = 3
DELAYS_MS = (0, 10, 50)
CLIENT_S = {1: 4, 16: 8}
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
                bench.load(server, 16, CLIENT_S[16])
            for round_ in range(rounds := bench.rounds(ROUNDS)):
                bench.say(f"round {round_ + 1} of {rounds}")
                for clients, seconds in CLIENT_S.items():
                    store.delay(0)
                    figures = bench.load(trusting, clients, seconds)
                    bench.book.add(Key(SCENARIO, "softcall", variant, clients, OFF), figures)
                    for ms in DELAYS_MS:
                        store.delay(ms)
                        figures = bench.load(asking, clients, seconds) | {
                            "round_trip_ms": store.round_trip_ms(TASK)
                        }
                        bench.book.add(Key(SCENARIO, "softcall", variant, clients, delay(ms)), figures)


def delay(ms: int) -> str:
    """How a store that is `ms` away is called."""
    return f"store {ms} ms away"
