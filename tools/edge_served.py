"""The folder for devices as a server: one core, 512 MB, and a network without routes."""

import gzip
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from bars import Bars
from edge_archive import SENTENCES, unpacked
from local_server import ROOT

MEMORY_BYTES = 512 << 20
CORE = 0
TEXT_TOKENS = 26
MAILS = ROOT / "training-exporter/examples/spamassassin/test.jsonl.gz"
MAIL_TOKENS = 256
MAIL_CHARACTERS = 16_000
PORT = 8080
START_LIMIT_S = 60
STARTS = 5
ROUNDS = 20
CALLS = 10
MAILS_SENT = 40
WARMING = 500  # calls, until Java has compiled what they run
QUIET_S = 15  # after which memory is called steady

FIRST_ANSWER_S = 1.5
PSS_MB = 320
TIMES_BARE = 1.2


def run(archive: Path, bars: Bars) -> None:
    """Measure in a network namespace of its own."""
    with unpacked(archive) as folder:
        figures = json.loads(
            subprocess.run(
                ["unshare", "--net", sys.executable, __file__, folder], check=True, stdout=subprocess.PIPE
            ).stdout
        )
    served = ", ".join(f"{task} {label}" for task, label in figures["labels"].items())
    bars("routes to a network", figures["routes"], served)
    first = statistics.median(figures["starts_s"])
    note = f"the very first, which packs the weights, {figures['first_start_s']:.1f} s"
    bars.line("first answer", f"{first:.2f} s", f"at most {FIRST_ANSWER_S} s", first <= FIRST_ANSWER_S, note)
    pss = figures["pss_mb"]
    note = f"at most {figures['peak_mb']:.0f} MB of 512 were charged, files included"
    bars.line("steady PSS", f"{pss:.0f} MB", f"at most {PSS_MB} MB", pss <= PSS_MB, note)
    times = figures["served_ms"] / figures["bare_ms"]
    note = f"p50 of {TEXT_TOKENS} tokens {figures['served_ms']:.1f} ms, bare {figures['bare_ms']:.1f} ms"
    bars.line("times bare ONNX Runtime", f"{times:.2f}", f"at most {TIMES_BARE}", times <= TIMES_BARE, note)


def measure(folder: Path) -> dict:
    """All figures; to be called where there is no network."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    routes = len(Path("/proc/net/route").read_text().splitlines()) - 1
    figures: dict = {"routes": routes, "starts_s": [], "labels": {}}
    text = sentence()
    if len(cores := os.sched_getaffinity(0)) > 1:
        os.sched_setaffinity(0, cores - {CORE})  # the server's core is its own
    with limited() as group, tempfile.TemporaryDirectory() as packed:
        with server(folder, group, packed) as (_, seconds):
            figures["first_start_s"] = seconds
        for _ in range(STARTS):
            with server(folder, group, packed) as (_, seconds):
                figures["starts_s"].append(seconds)
        with bare() as bare_ms, server(folder, group, packed) as (process, _):
            for _ in range(WARMING):
                call("banking77", text)
            served, alone = [], []
            for _ in range(ROUNDS):  # in turn, so that both meet the same disturbances
                served.append(statistics.median(call("banking77", text)[1] for _ in range(CALLS)))
                alone.append(bare_ms(CALLS))
            figures["served_ms"], figures["bare_ms"] = statistics.median(served), statistics.median(alone)
            figures["labels"]["banking77"] = call("banking77", text)[0]["data"][0]["label"]
            for mail in mails():
                label = call("spamassassin", mail, truncate_prompt_tokens=MAIL_TOKENS)[0]["data"][0]["label"]
                figures["labels"]["spamassassin"] = label
            time.sleep(QUIET_S)
            rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
            figures["pss_mb"] = (
                next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1e3
            )
        figures["peak_mb"] = peak_bytes(group) / 1e6
    return figures


def sentence() -> str:
    """A sentence of the test set that has `TEXT_TOKENS` tokens with its template."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(ROOT / "build/base/tokenizer.json"))
    template = task().template.source
    with SENTENCES.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            if (
                len(tokenizer.encode(template.replace("{text}", text), add_special_tokens=False).ids)
                == TEXT_TOKENS
            ):
                return text
    raise ValueError(f"no sentence has {TEXT_TOKENS} tokens")


def mails() -> list[str]:
    """The first e-mails of the test set of the other task."""
    with gzip.open(MAILS, "rt", encoding="utf-8") as lines:
        return [json.loads(next(lines))["text"][:MAIL_CHARACTERS] for _ in range(MAILS_SENT)]


def task():
    """The shipped task whose sentences these are."""
    from softcall.artifact.artifact import Artifact

    return Artifact.from_bytes((ROOT / "tasks/banking77/adapter_model.safetensors").read_bytes())


@contextmanager
def limited() -> Iterator[Path]:
    """A control group that may have `MEMORY_BYTES`."""
    first = Path("/sys/fs/cgroup")
    legacy = (first / "memory").is_dir()
    group = (first / "memory" if legacy else first) / f"softcall-edge-{os.getpid()}"
    group.mkdir()
    try:
        (group / ("memory.limit_in_bytes" if legacy else "memory.max")).write_text(str(MEMORY_BYTES))
        yield group
    finally:
        group.rmdir()


def peak_bytes(group: Path) -> int:
    """The most that was charged to a control group."""
    files = (group / name for name in ("memory.max_usage_in_bytes", "memory.peak"))
    return next(int(file.read_text()) for file in files if file.exists())


@contextmanager
def server(folder: Path, group: Path, packed: str) -> Iterator[tuple[subprocess.Popen, float]]:
    """A server in the control group and on one core; its process, and the seconds until its first answer."""
    enter = f'echo $$ > {group}/cgroup.procs && exec taskset -c {CORE} "$@"'
    settings = {"SOFTCALL_BASE_CACHE_DIR": packed, "PORT": str(PORT)}
    log = Path(packed, "log")
    began = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", enter, "sh", folder / "softcall-edge", "serve"],
            env=os.environ | settings,
            stdout=output,
            stderr=output,
        )
    try:
        while True:
            try:
                call("banking77", "My card still has not arrived")
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > began + START_LIMIT_S:
                    raise RuntimeError(f"the server did not start: {log.read_text()[-3000:]}") from None
                time.sleep(0.005)
        yield process, time.monotonic() - began
    finally:
        process.terminate()
        process.wait()


def call(name: str, text: str, **options) -> tuple[dict, float]:
    """An answer over a connection of its own, and the milliseconds that it took."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    body = json.dumps({"model": name, "input": text, **options})
    try:
        began = time.perf_counter()
        connection.request("POST", "/v1/classify", body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
        ms = (time.perf_counter() - began) * 1e3
    finally:
        connection.close()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {answer}")
    return answer, ms


@contextmanager
def bare():
    """Bare ONNX Runtime in a process of its own on the same core: gives the median ms of so many runs."""
    with subprocess.Popen(
        ["taskset", "-c", str(CORE), sys.executable, __file__, "--bare"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def median_ms(runs: int) -> float:
            print(runs, file=process.stdin, flush=True)
            return float(process.stdout.readline())

        yield median_ms
        process.stdin.close()


def run_bare() -> None:
    """For each number on standard input, make so many runs behind the prefix; print their median ms."""
    from tokenizers import Tokenizer

    from softcall.base.bundle import Bundle

    base = Bundle.open(ROOT / "build/base")
    artifact = task()
    prefix = base.trunk(threads=1).encode(artifact.prompt)
    trunk = base.trunk("int8", threads=1)
    tokenizer = Tokenizer.from_file(str(ROOT / "build/base/tokenizer.json"))
    filled = artifact.template.source.replace("{text}", sentence())
    ids = np.array([tokenizer.encode(filled, add_special_tokens=False).ids], np.int64)
    for line in sys.stdin:
        took = []
        for _ in range(int(line)):
            began = time.perf_counter()
            trunk.hidden(ids, np.array([ids.shape[1] - 1]), prefix=prefix)
            took.append((time.perf_counter() - began) * 1e3)
        print(statistics.median(took), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--bare":
        run_bare()
    else:
        print(json.dumps(measure(Path(sys.argv[1]))))
