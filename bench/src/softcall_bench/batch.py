"""Jobs: a file on the real base beside the best that callers over HTTP reach; a huge one in little memory.

`make bench-batch`; each bar is a line: its name, the figure, what is wanted, and whether it holds.
"""

import argparse
import json
import random
import signal
import statistics
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Console

from softcall_bench import programs
from softcall_bench.bar import Bar, bar_line
from softcall_bench.load import closed_loop
from softcall_bench.local_server import ROOT
from softcall_bench.machine import Machine
from softcall_bench.object_store import BUCKET, ObjectStore, object_store
from softcall_bench.server import LOGS, Server, serving
from softcall_bench.workload import TASK, TEXT_TOKENS, Workload

ROWS, ROUNDS = 20_000, 4
CLIENTS = (16, 32, 64)
LOAD_S, WARM_S = 20, 15
SHARE_WANTED = 0.9

TINY = ROOT / "src/test/resources/tiny"
TINY_TASK = "sentiment"
HUGE_ROWS, BAD_ROWS = 1_000_000, 100
HEAP = "256m"
# The heap is all there from the start: what grows is something else.
HEAP_OPTIONS = (f"-Xms{HEAP}", f"-Xmx{HEAP}", "-XX:+AlwaysPreTouch")
WORDS = ("the", "film", "was", "a", "joy", "cold", "food", "rude", "waiter", "will", "not", "come", "back")
GROWTH_WANTED = 1.05
JOB_LIMIT_S = 3600


def main() -> None:
    """Run both; status 1 when a bar falls short."""
    parser = argparse.ArgumentParser(prog="softcall_bench.batch", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS, help="rows on the real base; 0: none")
    parser.add_argument("--huge-rows", type=int, default=HUGE_ROWS, help="rows on the tiny base; 0: none")
    arguments = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(str(Machine.here()), highlight=False)
    bars: list[Bar] = []
    with object_store(LOGS / "work/batch-store") as store:
        if arguments.rows:
            bars += _real_base(store, arguments.rows, console)
        if arguments.huge_rows:
            bars += _huge_file(store, arguments.huge_rows, console)
    for bar in bars:
        console.print(bar_line(bar), highlight=False, soft_wrap=True)
    sys.exit(any(bar.verdict == "falls short" for bar in bars))


def _settings(store: ObjectStore) -> dict[str, str]:
    return {
        **store.settings,
        "SOFTCALL_JOBS_OUTPUT": f"s3://{BUCKET}/results",
        "SOFTCALL_JOBS_BUCKETS": BUCKET,
        "SOFTCALL_LIMITS_CALL_TIME": "120s",
    }


def _run_job(server: Server, key: str) -> dict:
    """Send the event of a stored file and wait for the end: the manifest's summary."""
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": urllib.parse.quote(key)}},
    }
    body = json.dumps({"Records": [record]}).encode()
    request = urllib.request.Request(f"{server.url}/v1/jobs", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=JOB_LIMIT_S) as response:
        return json.load(response)


def _real_base(store: ObjectStore, rows: int, console: Console) -> list[Bar]:
    """Jobs and callers in turn, on one server: the share of the callers' best rate that jobs reach."""
    workload, wrk = Workload.shipped(), programs.wrk()
    store.put(TASK, (ROOT / "tasks" / TASK / "adapter_model.safetensors").read_bytes())
    texts = workload.texts
    each = rows // ROUNDS
    shares, rates = [], []
    with serving(store.uri, "int8", "batch-real", **_settings(store)) as server:

        def callers(clients: int, seconds: int = LOAD_S) -> float:
            load = closed_loop(wrk, server.url, workload.bodies(), clients, seconds)
            return load.figures(TEXT_TOKENS)["texts_per_s"]

        callers(max(CLIENTS), WARM_S)
        found = {clients: callers(clients) for clients in CLIENTS}
        best = max(found, key=found.get)
        told = ", ".join(f"{rate:.1f} with {clients} clients" for clients, rate in found.items())
        console.print(f"  callers: {told} (texts/s)", style="dim", highlight=False)
        before = callers(best)
        for round_ in range(ROUNDS):
            key = f"in/{time.time_ns()}.jsonl"
            lines = (
                json.dumps({"id": number, "task": TASK, "text": texts[number % len(texts)].text})
                for number in range(each)
            )
            store.client.put_object(Bucket=BUCKET, Key=key, Body="\n".join(lines).encode())
            began = time.perf_counter()
            report = _run_job(server, key)
            rate = each / (time.perf_counter() - began)
            if (report["rows"], report["errors"]) != (each, 0):
                raise SystemExit(f"bench: {each} rows became {report}")
            after = callers(best)
            rates.append(rate)
            shares.append(rate / statistics.mean((before, after)))
            console.print(
                f"  round {round_ + 1} of {ROUNDS}: callers {before:.1f}, job of {each:,} rows {rate:.1f}, "
                f"callers {after:.1f} texts/s",
                style="dim",
                highlight=False,
            )
            before = after
    note = (
        f"{statistics.median(rates):.1f} texts/s; {rows:,} rows in {ROUNDS} jobs, {best} clients between them"
    )
    return [
        Bar(
            "jobs on the int8 base: share of the best rate over HTTP",
            statistics.median(shares),
            SHARE_WANTED,
            note=note,
        )
    ]


@dataclass
class Watch:
    """Looks at a server's resident memory once a second while a job runs."""

    server: Server
    rss_mb: list[float] = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._look)
        self._thread.start()
        return self

    def __exit__(self, *_exception) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(1):
            self.rss_mb.append(self.server.memory_mb()["rss_mb"])

    @property
    def growth(self) -> float:
        """The peak of the last third over that of the second: 1 when memory is flat."""
        third = len(self.rss_mb) // 3
        return max(self.rss_mb[2 * third :]) / max(self.rss_mb[third : 2 * third])


def _huge_file(store: ObjectStore, rows: int, console: Console) -> list[Bar]:
    """A file of a million rows, some of them bad, on the tiny base, with a small heap."""
    rng = random.Random(1)
    bad = set(rng.sample(range(rows), BAD_ROWS))
    store.put(TINY_TASK, (TINY / "tasks" / TINY_TASK / "adapter_model.safetensors").read_bytes())
    file = LOGS / "work/huge.jsonl"
    with file.open("w") as out:
        for number in range(rows):
            out.write(_bad_row(rng, number) if number in bad else _row(rng, number))
    key = f"in/{time.time_ns()}-huge.jsonl"
    store.client.upload_file(str(file), BUCKET, key)
    settings = {
        **_settings(store),
        "SOFTCALL_BASE_DIR": str(TINY / "base"),
        "SOFTCALL_BASE_CACHE_DIR": str(LOGS / "work/packed"),
    }
    with serving(store.uri, "fp32", "batch-huge", options=HEAP_OPTIONS, **settings) as server:
        console.print(f"  {rows:,} rows, {file.stat().st_size / 1e6:.0f} MB, heap {HEAP}", style="dim")
        began = time.perf_counter()
        with Watch(server) as watch:
            report = _run_job(server, key)
        seconds = time.perf_counter() - began
    seen = ", ".join(f"{mb:.0f}" for mb in watch.rss_mb[:: max(1, len(watch.rss_mb) // 12)])
    console.print(
        f"  {rows / seconds:,.0f} rows/s; RSS in MB now and then: {seen}", style="dim", highlight=False
    )
    order = _Order.of(store, report["job"], bad)
    memory = f"RSS {max(watch.rss_mb):.0f} MB at its peak, heap {HEAP}, {seconds:.0f} s"
    return [
        Bar(
            f"{rows:,} rows: results missing, too many or out of order",
            order.wrong,
            0,
            at_most=True,
            note=memory,
        ),
        Bar("memory in the last third of the job over the second", watch.growth, GROWTH_WANTED, at_most=True),
        Bar(
            f"{BAD_ROWS} bad rows: errors missing, too many or elsewhere", order.wrong_errors, 0, at_most=True
        ),
        Bar("objects of the job newer than _SUCCESS", order.after_success, 0, at_most=True),
    ]


def _row(rng: random.Random, number: int) -> str:
    text = " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
    return json.dumps({"id": number, "task": TINY_TASK, "text": text}) + "\n"


def _bad_row(rng: random.Random, number: int) -> str:
    row = {"id": number, "task": TINY_TASK, "text": "A joy."}
    kinds = (
        "not JSON",
        json.dumps([number]),
        json.dumps({**row, "text": 7}),
        json.dumps({**row, "text": " "}),
        json.dumps({**row, "task": "no/such/task"}),
        json.dumps({**row, "text": "word " * 5_000}),
    )
    return rng.choice(kinds) + "\n"


@dataclass(frozen=True)
class _Order:
    """What is wrong with the results of a job: rows, errors, objects written after the manifest."""

    wrong: int
    wrong_errors: int
    after_success: int

    @classmethod
    def of(cls, store: ObjectStore, job: str, bad: set[int]) -> "_Order":
        """Read all parts in order; the row of each line is its place in the file."""
        folder = f"results/{job}/"
        pages = store.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=folder)
        objects = {
            item["Key"].removeprefix(folder): item for page in pages for item in page.get("Contents", [])
        }
        manifest = json.load(store.client.get_object(Bucket=BUCKET, Key=f"{folder}_SUCCESS")["Body"])
        wrong, errors, place = 0, set(), 0
        for part in manifest["parts"]:
            for row, line in enumerate(_lines(store, folder + part["name"])):
                result = json.loads(line)
                if "error" in result:
                    errors.add(place)
                else:
                    wrong += (result["id"], result["row"]) != (place, row)
                place += 1
        success = objects["_SUCCESS"]["LastModified"]
        return cls(
            wrong + abs(place - manifest["rows"]),
            len(errors ^ bad),
            sum(item["LastModified"] > success for item in objects.values()),
        )


def _lines(store: ObjectStore, key: str) -> Iterator[bytes]:
    return store.client.get_object(Bucket=BUCKET, Key=key)["Body"].iter_lines()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated; the servers are stopped"))
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("bench: interrupted; the servers are stopped")
