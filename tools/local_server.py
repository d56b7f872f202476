"""A server of this repository's build, run on this machine for as long as a block lasts."""

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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
APP = ROOT / "target/quarkus-app"
START_LIMIT_S = 60
STOP_LIMIT_S = 15
CALL_LIMIT_S = 60
STOPPED_BY_SIGTERM = 143


class ServerFailed(Exception):
    """The server did not start, or did not answer; the message names its log."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer: its status, JSON body, headers, and the milliseconds it took here."""

    status: int
    body: dict
    headers: dict[str, str]
    ms: float

    def stage_ms(self, stage: str) -> float:
        """Milliseconds of one of the server's stages: fetch, tokenize, prefix, queue, infer."""
        return float(self.headers[f"x-softcall-{stage}-ms"])


def _java_home() -> str:
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
    """Start a server on a free port, with the folder `tasks` as its store; what it writes goes to `log`.

    `settings` are environment variables that win over those chosen here; `command` takes options of Java.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = os.environ | {
        "JAVA_HOME": _java_home(),
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


class LocalServer(contextlib.AbstractContextManager):
    """`with LocalServer(tasks, log) as server`: a server on a free port, asked over one kept connection.

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
        """Start it with the folder `tasks` as its store; what it writes goes to `log`."""
        self._log = log
        self._stop_limit_s = stop_limit_s
        self._start_limit_s = start_limit_s
        self._process = launch(tasks, log, java_options, settings, command)
        try:
            self.port = self._wait_for_port()
            self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=CALL_LIMIT_S)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """Where the server answers."""
        return f"http://127.0.0.1:{self.port}"

    def classify(self, task: str, text: str, **options) -> Answer:
        """Ask for one text's label."""
        return self._ask("POST", "/v1/classify", {"model": task, "input": text, **options})

    @property
    def pid(self) -> int:
        """Of the server's process."""
        return self._process.pid

    def kill(self) -> None:
        """End the server's process at once, as `kill -9` does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End the server, in good order if it complies."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(self._stop_limit_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __exit__(self, kind, *_exception) -> None:
        """Stop the server; `ServerFailed` if it did not end in good order and nothing else went wrong."""
        self.stop()
        if kind is None and self._process.returncode != STOPPED_BY_SIGTERM:
            raise self._failed(f"the server was stopped, but ended with status {self._process.returncode}")

    def _ask(self, method: str, path: str, body: dict | None = None) -> Answer:
        payload = None if body is None else json.dumps(body)
        started = time.perf_counter()
        try:
            self._connection.request(method, path, payload, {"content-type": "application/json"})
            response = self._connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._failed(f"the server does not answer {method} {path}: {error!r}") from error
        ms = (time.perf_counter() - started) * 1e3
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, json.loads(data), headers, ms)

    def _wait_for_port(self) -> int:
        deadline = time.monotonic() + self._start_limit_s
        while time.monotonic() < deadline:
            listening = re.search(
                r"Listening on: http://[^\s:]+:(\d+)", self._log.read_text(errors="replace")
            )
            if listening:
                return int(listening[1])
            if self._process.poll() is not None:
                raise self._failed(f"the server ended with status {self._process.returncode}")
            time.sleep(0.05)
        raise self._failed(f"the server did not start within {self._start_limit_s} s")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._start_limit_s
        while (answer := self._ask("GET", "/q/health/ready")).status != 200:
            if time.monotonic() > deadline:
                raise self._failed(f"the server is not ready after {self._start_limit_s} s: {answer.body}")
            time.sleep(0.05)

    def _failed(self, what: str) -> ServerFailed:
        lines = self._log.read_text(errors="replace").splitlines()[-15:]
        return ServerFailed("\n".join([f"{what}. The end of its log {self._log}:", *lines]))
