"""A server that is measured: on the measured cores, with the time of its start, its memory and metrics."""

import contextlib
import os
import re
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from softcall_bench import cores
from softcall_bench.local_server import (
    APP,
    ROOT,
    START_LIMIT_S,
    Answer,
    ServerProcess,
    java_home,
    launch,
)

BASE = ROOT / "build/base"
LOGS = ROOT / "build/bench"
STOP_LIMIT_S = 20
CALL_LIMIT_S = 120
POLL_S = 0.002


class Server(ServerProcess):
    """A server process that was started at `started_s` of `time.perf_counter`."""

    def __init__(self, process: subprocess.Popen, port: int, log: Path, started_s: float) -> None:
        """`log` is where the output of `process` goes."""
        super().__init__(process, port, log, STOP_LIMIT_S, CALL_LIMIT_S)
        self.started_s = started_s

    def require(self, task: str, text: str | list[str], **options) -> Answer:
        """`classify`, or `ServerFailed` unless the status is 200."""
        return self.require_answer("/v1/classify", {"model": task, "input": text, **options})

    def require_text(self, task: str, prompt: str, **options) -> Answer:
        """Let a task write text, or `ServerFailed` unless the status is 200."""
        return self.require_answer("/v1/completions", {"model": task, "prompt": prompt, **options})

    def require_answer(self, path: str, body: dict) -> Answer:
        """The answer to a request for the task `model`, or `ServerFailed` unless the status is 200."""
        answer = self.ask("POST", path, body)
        if answer.status != 200:
            raise self.failed(f"{body['model']} was answered with {answer.status} {answer.body}")
        return answer

    def memory_mb(self) -> dict[str, float]:
        """Resident memory now and at its peak, and its proportional share (pages shared with others)."""
        return memory_mb(self.pid)

    def cpu_s(self) -> float:
        """Seconds of processor time that it has used."""
        stat = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
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


@contextlib.contextmanager
def serving(
    store: str,
    variant: str,
    name: str,
    wait: bool = True,
    options: Sequence[str] = (),
    program: Path = APP / "softcall-server",
    **settings: str,
) -> Iterator[Server]:
    """A server of `variant` on the tasks of `store`, for as long as the block lasts.

    `options` are those of `program`; `settings` are environment variables over the server's defaults. With
    `wait` it listens when the block begins.
    """
    log, port = LOGS / f"server-{name}.log", free_port()
    chosen = {
        "SOFTCALL_BASE_VARIANT": variant,
        "SOFTCALL_STORE_URI": store,
        "SOFTCALL_LIMITS_CALL_TIME": f"{CALL_LIMIT_S}s",
        "QUARKUS_HTTP_PORT": str(port),
    }
    java_home()  # takes a while the first time, before the clock starts
    with cores.measured():
        started = time.perf_counter()
        process = launch(ROOT / "tasks", log, options, chosen | settings, (program,))
    server = Server(process, port, log, started)
    try:
        if wait:
            server.wait_until_listening()
        yield server
    finally:
        server.stop()


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
