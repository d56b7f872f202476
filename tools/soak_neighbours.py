"""The neighbours of the soak: bad requests, listing, slow clients, hang-ups. Each has a thread of its own."""

import contextlib
import http.client
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from local_server import ROOT

LIMIT_S = 30
CASES = ROOT / "src/test/resources/cases"
GOOD = {"model": "sentiment", "input": "A joy."}
JSON = {"content-type": "application/json"}
EVENT = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/soak", "ce-type": "io.softcall.classify"}
SLOW_CLIENTS = 8

# Path, headers, body, and the statuses of which one is expected.
BAD: tuple[tuple[str, dict, bytes, set[int]], ...] = (
    ("/v1/classify", JSON, b"{", {400}),
    ("/v1/classify", JSON, b"\x00\x00\x00\x00\x01{}", {400}),
    ("/v1/classify", JSON, b'{"model": "sentiment", "input": 7}', {400}),
    ("/v1/classify", JSON, b'{"model": "../x", "input": "x"}', {400}),
    ("/v1/classify", JSON, b'{"model": "no/such/task", "input": "x"}', {404}),
    ("/v1/classify", JSON, json.dumps({**GOOD, "input": "word " * 4_000}).encode(), {422}),
    ("/v1/classify", JSON, json.dumps({**GOOD, "input": "x" * 70_000}).encode(), {422}),
    ("/v1/classify", JSON, json.dumps({**GOOD, "input": [["a", "b"]]}).encode(), {400}),
    ("/v1/classify", JSON, b"[" * 100_000, {400}),
    ("/v1/classify", {"content-type": "text/plain"}, b"x", {415}),
    ("/classify-text", JSON, b"CUSTOMERTEXT", {400}),
    ("/", JSON | EVENT, b"{", {400}),
    ("/", {"content-type": "application/cloudevents+json"}, b"{}", {400}),
    ("/", {"content-type": "application/cloudevents-batch+json"}, b"[1, 2, 3]", {200}),
    ("/v1/jobs", JSON, b"[]", {400}),
    ("/v1/jobs", JSON, (CASES / "confluent-framed.bin").read_bytes(), {400}),
    ("/v1/nothing", JSON, b"{}", {404, 405}),
)
BROKEN = sorted(Path(ROOT, "src/test/resources/tiny/broken").glob("*.safetensors"))


class Neighbours:
    """All that is not good, as far as it goes over HTTP."""

    def __init__(self, port: int, seed: int) -> None:
        """Of the server at `port`."""
        self._port, self._random = port, random.Random(seed)
        self.answers: Counter[str] = Counter()
        self.unexpected: Counter[str] = Counter()

    def live(self, ended, busy, told) -> None:
        """Work while `busy` is set, until `ended` is; then tell what was answered, and not expected."""
        works: tuple[tuple[Callable[[], None], float], ...] = (
            (self._bad_request, 0.1),
            (self._refused_task, 0.3),
            (self._listing, 0.3),
            (self._hang_up, 0.3),
            *[(self._slow_client, 0.0)] * SLOW_CLIENTS,
        )
        threads = [threading.Thread(target=_repeat, args=(ended, busy, *work)) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told.put((self.answers, self.unexpected))

    def _ask(self, method: str, path: str, headers: dict, body: bytes | None, expected: set[int]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=LIMIT_S)
        began = time.monotonic()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self.unexpected[f"{method} {path}: {error!r}"] += 1
            return
        finally:
            connection.close()
        self.answers[str(response.status)] += 1
        # While the store restarts, what asks it is told so.
        if response.status not in expected | {503}:
            self.unexpected[f"{method} {path} ({len(body or b'')} bytes): {response.status}"] += 1
        if time.monotonic() - began > LIMIT_S / 2:
            self.unexpected[f"{method} {path}: {time.monotonic() - began:.0f} s"] += 1

    def _bad_request(self) -> None:
        path, headers, body, expected = self._random.choice(BAD)
        self._ask("POST", path, headers, body, expected)

    def _refused_task(self) -> None:
        body = {"model": f"broken/{self._random.choice(BROKEN).stem}", "input": "x"}
        self._ask("POST", "/v1/classify", JSON, json.dumps(body).encode(), {502})

    def _listing(self) -> None:
        self._ask("GET", "/v1/models?limit=1000", {}, None, {200})

    def _hang_up(self) -> None:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), LIMIT_S) as one,
        ):
            body = json.dumps({**GOOD, "input": ["A joy."] * 64}).encode()
            headers = f"Host: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
            one.sendall(f"POST /v1/classify HTTP/1.1\r\n{headers}\r\n\r\n".encode() + body)

    def _slow_client(self) -> None:
        request = b"POST /v1/classify HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
        cut = self._random.randrange(1, len(request))
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self._port), LIMIT_S) as one,
        ):
            for place in range(cut):
                one.sendall(request[place : place + 1])
                time.sleep(0.05)
            time.sleep(self._random.uniform(0, 5))


def _repeat(ended, busy, work: Callable[[], None], pause_s: float) -> None:
    while not ended.is_set():
        if busy.wait(0.2):
            work()
            time.sleep(pause_s)
