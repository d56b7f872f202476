"""A server of this repository's build as a child process on this machine.

This module needs the standard library alone, because it also runs where an image is built. The bench imports
it by a link, `softcall_bench.local_server`.
"""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "target/quarkus-app"
START_LIMIT_S = 60
STOP_LIMIT_S = 15
CALL_LIMIT_S = 60
STOPPED_BY_SIGTERM = 143
_SHOWN_LINES = 15


class ServerFailed(Exception):
    """The server did not start, or did not answer; the message has the end of its log."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, JSON body, headers by lower-case name, and the milliseconds it took."""

    status: int
    body: dict
    headers: dict[str, str]
    ms: float

    def stage_ms(self, stage: str) -> float:
        """Milliseconds of one of the server's stages: fetch, tokenize, prefix, queue, infer."""
        return float(self.headers[f"x-softcall-{stage}-ms"])


@cache
def java_home() -> str:
    """The Java installation that runs the server."""
    finder = ROOT / "tools/java-home"
    if not finder.exists():
        return os.environ["JAVA_HOME"]  # where an image is built there is one Java, without a compiler
    return subprocess.run([finder], check=True, capture_output=True, text=True).stdout.strip()


def launch(
    tasks: Path,
    log: Path,
    java_options: Sequence[str] = (),
    settings: Mapping[str, str] | None = None,
    command: Sequence[str | Path] = (APP / "softcall-server",),
) -> subprocess.Popen:
    """Start a server on a free port, with the folder `tasks` as its store; its output goes to `log`.

    `settings` are environment variables that win over those chosen here; `command` takes options of Java.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "JAVA_HOME": java_home(),
        "SOFTCALL_BASE_DIR": str(ROOT / "build/base"),
        "SOFTCALL_STORE_URI": f"file:{tasks}",
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": "0",  # a free one, which the log names
        "SOFTCALL_LIMITS_CALL_TIME": "60s",  # 32 long e-mails in one call, on two busy cores
    }
    with log.open("wb") as output:
        # A session of its own: Ctrl-C reaches this script alone, which then stops the server.
        return subprocess.Popen(
            [*command, *java_options],
            env=environment | dict(settings or {}),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class ServerProcess:
    """A server that was launched and listens, or will soon listen, on `port`."""

    def __init__(
        self,
        process: subprocess.Popen,
        port: int,
        log: Path,
        stop_limit_s: float = STOP_LIMIT_S,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """`log` is where the output of `process` goes."""
        self.process, self.port, self.log = process, port, log
        self._stop_limit_s, self._call_limit_s = stop_limit_s, call_limit_s

    @property
    def url(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of the server's process."""
        return self.process.pid

    def classify(self, task: str, text: str | list[str], **options) -> Answer:
        """Ask for the label of a text, or of several."""
        return self.ask("POST", "/v1/classify", {"model": task, "input": text, **options})

    def ask(self, method: str, path: str, body: dict | None = None) -> Answer:
        """The JSON answer to one request, over a connection of its own; `ServerFailed` without an answer."""
        with contextlib.closing(self._connect()) as connection:
            return self._exchange(connection, method, path, body)

    def kill(self) -> None:
        """End the process at once, as `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End the process, in good order if it complies."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(self._stop_limit_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def failed(self, what: str) -> ServerFailed:
        """The error that says `what`, with the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
        return ServerFailed("\n".join([f"{what}. The end of its log {self.log}:", *lines]))

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=self._call_limit_s)

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: dict | None
    ) -> Answer:
        payload = None if body is None else json.dumps(body)
        started = time.perf_counter()
        try:
            connection.request(method, path, payload, {"content-type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self.failed(f"the server does not answer {method} {path}: {error!r}") from error
        ms = (time.perf_counter() - started) * 1e3
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, json.loads(data), headers, ms)


class LocalServer(ServerProcess, contextlib.AbstractContextManager):
    """`with LocalServer(tasks, log) as server`: a server that is ready, asked over one kept connection.

    Raises `ServerFailed`.
    """

    def __init__(
        self,
        tasks: Path,
        log: Path,
        java_options: Sequence[str] = (),
        stop_limit_s: float = STOP_LIMIT_S,
        settings: Mapping[str, str] | None = None,
        command: Sequence[str | Path] = (APP / "softcall-server",),
        start_limit_s: float = START_LIMIT_S,
    ) -> None:
        """Start it with the folder `tasks` as its store; its output goes to `log`."""
        self._start_limit_s = start_limit_s
        super().__init__(launch(tasks, log, java_options, settings, command), 0, log, stop_limit_s)
        try:
            self.port = self._wait_for_port()
            self._connection = self._connect()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def ask(self, method: str, path: str, body: dict | None = None) -> Answer:
        """The JSON answer to one request; `ServerFailed` without an answer."""
        return self._exchange(self._connection, method, path, body)

    def __exit__(self, kind, *_exception) -> None:
        """Stop the server; `ServerFailed` if it did not end in good order and nothing else went wrong."""
        self.stop()
        if kind is None and self.process.returncode != STOPPED_BY_SIGTERM:
            raise self.failed(f"the server was stopped, but ended with status {self.process.returncode}")

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + self._start_limit_s
        while time.monotonic() < deadline:
            listening = re.search(r"Listening on: http://[^\s:]+:(\d+)", self.log.read_text(errors="replace"))
            if listening:
                return int(listening[1])
            if self.process.poll() is not None:
                raise self.failed(f"the server ended with status {self.process.returncode}")
            time.sleep(0.05)
        raise self.failed(f"the server did not start within {self._start_limit_s} s")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_limit_s
        while (answer := self.ask("GET", "/q/health/ready")).status != 200:
            if time.monotonic() > deadline:
                raise self.failed(f"the server is not ready after {self._start_limit_s} s: {answer.body}")
            time.sleep(0.05)
