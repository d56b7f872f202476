"""Streams of text: callers that read server-sent events, with the time at which each event came.

One thread reads all streams, and looks for the beginnings of events alone, because it may share the cores
with the server that is measured.
"""

import contextlib
import json
import selectors
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from softcall_bench.load import LoadFailed

PATH = "/v1/completions"
EVENT, DONE, END = b"data: {", b"data: [DONE]", b"\r\n0\r\n\r\n"
HEAD_END = b"\r\n\r\n"
OK = b"HTTP/1.1 200 "
VERSION = b"x-softcall-version:"
RECEIVED_BYTES = 1 << 16
SHOWN_BYTES = 1_000
LOOK_S = 0.2
SETTLE_LIMIT_S = 120
STAGGER_TOKENS = 4
"""The first answer of each stream is longer than that of the one before by so many tokens.

Answers of one length that begin together would end together, and begin together again.
"""


@dataclass(frozen=True)
class Prompts:
    """What streams ask for: the texts and the tasks in turn, `tokens` new tokens each, whatever they say."""

    tasks: Sequence[str]
    texts: Sequence[str]
    tokens: int

    def request(self, number: int, tokens: int | None = None) -> bytes:
        """The whole request with this number; with `tokens` for another number of new tokens."""
        body = {
            "model": self.tasks[number % len(self.tasks)],
            "prompt": self.texts[number % len(self.texts)],
            "max_tokens": tokens or self.tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
        }
        payload = json.dumps(body).encode()
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\n\r\n"
        )
        return head.encode() + payload


@dataclass
class Answer:
    """When it was asked for, when each of its events came, its version; `tokens` once it has ended."""

    sent_s: float
    version: str = ""
    events_s: list[float] = field(default_factory=list)
    tokens: int | None = None


@dataclass(frozen=True)
class Flow:
    """The answers of some streams, those under way included, of which those between two times count."""

    answers: Sequence[Answer]
    begin_s: float
    end_s: float

    def figures(self) -> dict[str, float]:
        """Tokens a second, the time between two events of an answer, and that until its first one, in ms.

        An event is a token, but for characters of several tokens. So the events of an answer that has ended
        count as many tokens as it has.
        """
        tokens, gaps, firsts = 0.0, [], []
        for answer in self.answers:
            events = np.array(answer.events_s)
            within = (events > self.begin_s) & (events <= self.end_s)
            per_event = 1.0 if answer.tokens is None else answer.tokens / len(events)
            tokens += per_event * within.sum()
            gaps.append(np.diff(events)[within[1:]])
            if len(events) and within[0]:
                firsts.append(events[0] - answer.sent_s)
        gaps_ms = np.concatenate(gaps) * 1e3 if gaps else np.array([])
        if gaps_ms.size < 3:
            raise LoadFailed(f"{gaps_ms.size} tokens behind others; measure for longer")
        p50, p99 = np.percentile(gaps_ms, [50, 99])
        first = {"first_token_ms": float(np.median(firsts)) * 1e3} if firsts else {}
        return {
            "tokens_per_s": tokens / (self.end_s - self.begin_s),
            "gap_p50_ms": float(p50),
            "gap_p99_ms": float(p99),
            **first,
            "gaps": gaps_ms.size,
        }


class Writing:
    """Streams that are under way; `flow` has what they got since they had settled."""

    def __init__(self, port: int, prompts: Prompts, streams: int, staggered: bool) -> None:
        """Connect, and ask for nothing yet."""
        self._prompts, self._staggered = prompts, staggered
        self._callers = [_Caller(port) for _ in range(streams)]
        self._number = 0
        self._answers: list[Answer] = []
        self._begun: list[Answer] = []
        self._settled, self._over = threading.Event(), threading.Event()
        self._begin_s, self._end_s = 0.0, None
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def flow(self) -> Flow:
        """What has come until now, or until the end of the block."""
        return Flow(tuple(self._answers), self._begin_s, self._end_s or time.perf_counter())

    def start(self) -> None:
        """Ask, and return when the first answer of every stream has ended; unstaggered: has begun."""
        self._thread.start()
        settled = self._settled.wait(SETTLE_LIMIT_S)
        self.check()
        if not settled:
            raise LoadFailed(f"{len(self._callers)} streams did not settle within {SETTLE_LIMIT_S} s")
        self._begin_s = time.perf_counter()

    def stop(self) -> None:
        """Hang up."""
        self._end_s = time.perf_counter()
        self._over.set()
        self._thread.join()
        for caller in self._callers:
            caller.socket.close()

    def check(self) -> None:
        """Raise `LoadFailed` for an answer that was not 200, or that ended with an error."""
        if self._failure is not None:
            raise LoadFailed(f"a stream failed: {self._failure}") from self._failure

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                for place, caller in enumerate(self._callers):
                    first = STAGGER_TOKENS * (place + 1) if self._staggered else self._prompts.tokens
                    self._ask(caller, first)
                    self._begun.append(caller.answer)
                    selector.register(caller.socket, selectors.EVENT_READ, caller)
                while not self._over.is_set():
                    for key, _ in selector.select(LOOK_S):
                        self._read(key.data)
        except (OSError, LoadFailed) as error:
            self._failure = error
            self._settled.set()

    def _ask(self, caller: "_Caller", tokens: int) -> None:
        request = self._prompts.request(self._number, tokens)
        self._number += 1
        self._answers.append(caller.ask(request, tokens))

    def _read(self, caller: "_Caller") -> None:
        if caller.read():
            self._ask(caller, self._prompts.tokens)
        if not self._settled.is_set() and all(map(self._is_settled, self._begun)):
            self._settled.set()

    def _is_settled(self, answer: Answer) -> bool:
        return answer.tokens is not None if self._staggered else bool(answer.events_s)


class _Caller:
    """A connection, and the answer that comes over it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.answer = Answer(0.0)
        self._tokens = 0
        self._head: bytes | None = b""
        self._tail = self._latest = b""

    def ask(self, request: bytes, tokens: int) -> Answer:
        """Send a request; returns its answer, which `read` goes on with."""
        self.answer, self._tokens = Answer(time.perf_counter()), tokens
        self._head = self._tail = self._latest = b""
        self.socket.sendall(request)
        return self.answer

    def read(self) -> bool:
        """Take what has come; whether the answer has ended."""
        received = self.socket.recv(RECEIVED_BYTES)
        now = time.perf_counter()
        if not received:
            raise LoadFailed("the server closed the connection")
        if self._head is not None:
            self._head += received
            head, end, received = self._head.partition(HEAD_END)
            if not end:
                return False
            self._read_head(head, received)
            self._head = None
        # What may be the beginning of a mark was not counted before, and is shorter than each of them.
        looked_at = self._tail + received
        self.answer.events_s += [now] * looked_at.count(EVENT)
        self._tail = looked_at[-(len(EVENT) - 1) :]
        self._latest = (self._latest + received)[-SHOWN_BYTES:]
        if not looked_at.endswith(END):
            return False
        if DONE not in self._latest:
            raise LoadFailed(f"a stream ended with {self._latest.decode(errors='replace')}")
        self.answer.tokens = self._tokens
        return True

    def _read_head(self, head: bytes, body: bytes) -> None:
        if not head.startswith(OK):
            raise LoadFailed((head + HEAD_END + body).decode(errors="replace"))
        for line in head.split(b"\r\n"):
            if line.lower().startswith(VERSION):
                self.answer.version = line.partition(b":")[2].strip().decode()


@contextlib.contextmanager
def writing(port: int, prompts: Prompts, streams: int, staggered: bool = True) -> Iterator[Writing]:
    """Let streams ask one after the other for as long as the block lasts, over a connection each.

    When the block begins they have settled, see `Writing.start`. At its end they hang up.
    Raises `LoadFailed`.
    """
    under_way = Writing(port, prompts, streams, staggered)
    try:
        under_way.start()
        yield under_way
    finally:
        under_way.stop()
    under_way.check()


def written(port: int, prompts: Prompts, streams: int, seconds: float) -> dict[str, float]:
    """The figures of streams that ask for so many seconds after they have settled."""
    with writing(port, prompts, streams) as under_way:
        time.sleep(seconds)
    return under_way.flow.figures()
