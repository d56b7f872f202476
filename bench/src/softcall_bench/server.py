"""The server of this repository's build as a child process: its port, its answers, its memory."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from softcall_bench import cores

ROOT = Path(__file__).resolve().parents[3]
BASE = ROOT / "build/base"
LOGS = ROOT / "build/bench"
START_LIMIT_S = 60
STOP_LIMIT_S = 20
CALL_LIMIT_S = 120
POLL_S = 0.002


class ServerFailed(Exception):
    """The server did not start, or did not answer; the message holds the end of its log."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer with its JSON body; header names in lower case."""

    status: int
    body: dict
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Server:
    """A server process that was started at `started_s` of `time.perf_counter`."""

    process: subprocess.Popen
    port: int
    log: Path
    started_s: float

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def classify(self, task: str, text: str | list[str], **options) -> Answer:
        """Ask once, over a connection of its own."""
        body = json.dumps({"model": task, "input": text, **options}).encode()
        request = urllib.request.Request(
            f"{self.url}/v1/classify", body, {"Content-Type": "application/json"}, method="POST"
        )
        try:
            with urllib.request.urlopen(request, timeout=CALL_LIMIT_S) as response:
                headers = {name.lower(): value for name, value in response.getheaders()}
                return Answer(response.status, json.load(response), headers)
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.load(error), {})

    def require(self, task: str, text: str | list[str], **options) -> Answer:
        """`classify`, or `ServerFailed` unless the status is 200."""
        answer = self.classify(task, text, **options)
        if answer.status != 200:
            raise self.failed(f"{task} was answered with {answer.status} {answer.body}")
        return answer

    def memory_mb(self) -> dict[str, float]:
        """Resident memory now and at its peak, and its proportional share (pages shared with others)."""
        return memory_mb(self.process.pid)

    def cpu_s(self) -> float:
        """Seconds of processor time that it has used."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def metric(self, name: str) -> float:
        """A figure of its metrics, all labels added up; 0 for one that it does not have yet."""
        with urllib.request.urlopen(f"{self.url}/q/metrics", timeout=CALL_LIMIT_S) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if re.match(rf"{name}[{{ ]", line))

    def wait_until_listening(self) -> None:
        """Return as soon as the port accepts connections."""
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self.process.poll() is not None:
                raise self.failed(f"the server ended with status {self.process.returncode}")
            if time.perf_counter() - self.started_s > START_LIMIT_S:
                raise self.failed(f"the server did not start within {START_LIMIT_S} s")
            time.sleep(POLL_S)

    def failed(self, what: str) -> ServerFailed:
        """The error that says `what`, with the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        return ServerFailed("\n".join([f"{what}. The end of {self.log}:", *lines]))

    def stop(self) -> None:
        """End the process, in good order if it complies."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def serving(
    store: str, variant: str, name: str, wait: bool = True, options: Sequence[str] = (), **settings: str
) -> Iterator[Server]:
    """A server of `variant` on the tasks of `store`, for as long as the block lasts.

    `options` are Java's; `settings` are environment variables over the server's defaults. With `wait` it
    listens when the block begins.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"server-{name}.log"
    port = free_port()
    environment = os.environ | {
        "SOFTCALL_BASE_DIR": str(BASE),
        "SOFTCALL_BASE_VARIANT": variant,
        "SOFTCALL_STORE_URI": store,
        "SOFTCALL_LIMITS_CALL_TIME": "120s",
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(port),
        **settings,
    }
    with log.open("wb") as output, cores.measured():
        started = time.perf_counter()
        # A session of its own: Ctrl-C reaches the bench alone, which then stops the server.
        process = subprocess.Popen(
            [*command(), *options],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    server = Server(process, port, log, started)
    try:
        if wait:
            server.wait_until_listening()
        yield server
    finally:
        server.stop()


@cache
def command() -> list[str]:
    """How the server is started: as `make serve` does it."""
    home = subprocess.run(
        [ROOT / "tools/java-home"], check=True, capture_output=True, text=True
    ).stdout.strip()
    # Each replaces the one before it: the process that is measured is Java.
    return ["/usr/bin/env", f"JAVA_HOME={home}", str(ROOT / "target/quarkus-app/softcall-server")]


def memory_mb(pid: int) -> dict[str, float]:
    """Memory of a process in MB (10^6 bytes), as Linux counts it."""
    status = Path(f"/proc/{pid}/status").read_text()
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    kb = dict(re.findall(r"^(\w+):\s+(\d+) kB", status, re.MULTILINE))
    kb |= dict(re.findall(r"^(Pss):\s+(\d+) kB", rollup, re.MULTILINE))
    return {
        "rss_mb": int(kb["VmRSS"]) * 1024 / 1e6,
        "peak_rss_mb": int(kb["VmHWM"]) * 1024 / 1e6,
        "pss_mb": int(kb["Pss"]) * 1024 / 1e6,
    }


def free_port() -> int:
    """A port on 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
