"""An HTTP proxy before an S3 server that fails a share of the requests in the ways in which stores do."""

import contextlib
import http.client
import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}
FAULTS = ("slow down", "no answer", "done, no answer")


class FaultyProxy(ThreadingHTTPServer):
    """Answers requests from `upstream`, but for a share of them.

    Those are refused with 503, dropped, or done and then not answered, which is what a caller cannot tell
    from the second and must be able to ask again.
    """

    daemon_threads = True

    def __init__(self, upstream: str, share: float, seed: int) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.share = share
        self.faults: Counter[str] = Counter()
        self.requests = 0
        self.open = threading.Event()
        self.open.set()
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self) -> str | None:
        """How the next request shall fail; None: not at all."""
        with self._lock:
            self.requests += 1
            if self._random.random() >= self.share:
                return None
            fault = self._random.choice(FAULTS)
            self.faults[fault] += 1
            return fault

    def handle_error(self, request, client_address) -> None:
        """Say nothing: callers that hang up are no news here."""


@contextlib.contextmanager
def faulty_proxy(upstream: str, share: float, seed: int) -> Iterator[FaultyProxy]:
    """A proxy before `upstream` for as long as the block lasts."""
    with FaultyProxy(upstream, share, seed) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.open.set()
            proxy.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyProxy

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.open.wait()
        fault = self.server.next_fault()
        if fault == "slow down":
            self._send(503, [("content-type", "application/xml")], SLOW_DOWN)
            return
        if fault == "no answer":
            self.close_connection = True
            return
        connection = http.client.HTTPConnection(self.server.upstream)
        try:
            # The host is signed, so it stays the proxy's.
            headers = {name: value for name, value in self.headers.items() if name.lower() not in HOP_BY_HOP}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        if fault == "done, no answer":
            self.close_connection = True
            return
        self._send(response.status, response.getheaders(), content)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        length = str(len(content))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value  # of a HEAD: what a GET would have
            elif name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("content-length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer
