"""A server with a mirror, while its network flaps, its power fails, and strangers write to the bucket.

The server is the packaged one with the tiny base of the tests; the bucket is a real S3 server's.
"""

import contextlib
import hashlib
import json
import random
import re
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bars import Bars
from chaos_jobs import TINY
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from faulty_proxy import FaultyProxy, faulty_proxy
from local_server import LocalServer, ServerFailed
from services import Storage, s3proxy

from softcall.artifact.safetensors_file import with_metadata
from softcall.artifact.signature import Signer

BUCKET = "edge"
TASK = "sentiment"
KEY = f"prompts/{TASK}/adapter_model.safetensors"
ARTIFACT = (TINY / "tasks" / TASK / "adapter_model.safetensors").read_bytes()
CALLERS = 2
QUICK_MS = 1_000  # between rounds, where updates are to meet power cuts
FLAPPING_S = 5.0  # between rounds, where networks come and go


def version_of(content: bytes) -> str:
    """What a mirror calls a content."""
    return hashlib.sha256(content).hexdigest()


def another(number: int) -> bytes:
    """The task as a version of its own."""
    return with_metadata(ARTIFACT, {"number": str(number)})


@dataclass
class Device:
    """What outlives a power cut: the disk, the bucket, and the way to it."""

    folder: Path
    storage: Storage
    proxy: FaultyProxy
    interval_ms: int
    more: dict[str, str] = field(default_factory=dict)

    @property
    def copies(self) -> Path:
        """The mirror's folder."""
        return self.folder / "copies"

    @property
    def log(self) -> Path:
        """Of the server."""
        return self.folder / "server.log"

    def server(self) -> LocalServer:
        """A server on this device."""
        settings = {
            **self.storage.settings,
            "AWS_ENDPOINT_URL": self.proxy.url,
            "SOFTCALL_BASE_DIR": str(TINY / "base"),
            "SOFTCALL_BASE_VARIANT": "fp32",
            "SOFTCALL_BASE_CACHE_DIR": str(self.folder / "packed"),
            "SOFTCALL_STORE_URI": f"mirror:s3://{BUCKET}/prompts?dir={self.copies}",
            "SOFTCALL_STORE_MIRROR_INTERVAL": f"{self.interval_ms}MS",
        }
        return LocalServer(self.copies, self.log, settings=settings | self.more)


@contextlib.contextmanager
def device(interval_ms: int, seed: int) -> Iterator[Device]:
    """A device beside an S3 server, the way to which can be closed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        s3proxy(Path(folder, "s3"), BUCKET) as storage,
        faulty_proxy(storage.url, share=0, seed=seed) as proxy,
    ):
        yield Device(Path(folder), storage, proxy, interval_ms)


def served(server: LocalServer) -> str:
    """The version that answers; `ServerFailed` when none does."""
    answer = server.classify(TASK, "A joy.")
    if answer.status != 200:
        raise ServerFailed(f"no version answers: {answer.body}")
    if "stale_ms" not in answer.body:
        raise ServerFailed(f"the answer does not say how old its knowledge is: {answer.body}")
    return answer.body["version"]


def wait_for(server: LocalServer, version: str, limit_s: float) -> float:
    """The seconds until a version answers; infinity when it does not within the limit."""
    began = time.monotonic()
    while time.monotonic() < began + limit_s:
        if _answering(server) == version:
            return time.monotonic() - began
        time.sleep(0.01)
    return float("inf")


def power_cuts(cuts: int, seed: int, bars: Bars) -> None:
    """Kill the server during updates, and damage what it was writing: the old or the new version answers."""
    rng = random.Random(seed)
    after, damaged = Counter(), Counter()
    with device(QUICK_MS, seed) as edge:
        edge.storage.put(KEY, another(0))
        with edge.server() as server:
            wait_for(server, version_of(another(0)), 20)
        old = new = version_of(another(0))
        for number in range(cuts + 1):
            edge.proxy.share = 1.0  # no network: what answers is on the disk
            server = edge.server()
            now = _answering(server)
            if number > 0:
                after["old" if now == old else "new" if now == new else "neither"] += 1
            old, new = now, version_of(another(number + 1))
            before = set(edge.copies.rglob("*"))
            edge.storage.put(KEY, another(number + 1))
            edge.proxy.share = 0.0
            _await_the_moment(edge.copies, before, rng)
            server.kill()
            damaged[_damage(edge.copies, before, rng)] += 1
    note = f"{after['old']} old, {after['new']} new; " + ", ".join(
        f"{n} {what}" for what, n in damaged.items()
    )
    bars(f"neither version, after {cuts} power cuts", after["neither"], note)


def _await_the_moment(copies: Path, before: set[Path], rng: random.Random) -> None:
    """Any moment of an interval, or more often one while files are written, or just after."""
    if rng.random() < 0.3:
        time.sleep(rng.uniform(0, QUICK_MS / 1e3))
        return
    end = time.monotonic() + 3 * QUICK_MS / 1e3
    while set(copies.rglob("*")) == before and time.monotonic() < end:
        time.sleep(0.0002)
    time.sleep(rng.choice((0, rng.uniform(0, 0.003), rng.uniform(0, 0.03))))


def _answering(server: LocalServer) -> str:
    try:
        return served(server)
    except ServerFailed as failure:
        return str(failure)


def _damage(copies: Path, before: set[Path], rng: random.Random) -> str:
    """Do to the files that the update wrote what a power cut may do; says what."""
    written = sorted(path for path in set(copies.rglob("*")) - before if path.is_file())
    what = rng.choice(("truncated", "bit-flipped", "left alone"))
    if not written or what == "left alone":
        return "nothing written" if not written else what
    file = rng.choice(written)
    content = bytearray(file.read_bytes())
    if not content:
        return "empty"
    if what == "truncated":
        del content[rng.randrange(len(content)) :]
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    file.write_bytes(content)
    return what


def flapping(seconds: float, seed: int, bars: Bars) -> None:
    """Let the network come and go under load: silence, refusals, and back."""
    rng = random.Random(seed)
    late, outages, number = [], Counter(), 0
    with device(int(FLAPPING_S * 1e3), seed) as edge:
        edge.storage.put(KEY, another(number))
        with edge.server() as server:
            wait_for(server, version_of(another(number)), 20)
            load = Load(server.port)
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                kind = rng.choice(("silent", "failing"))
                outages[kind] += 1
                if kind == "silent":
                    edge.proxy.open.clear()
                else:
                    edge.proxy.share = 1.0
                time.sleep(rng.uniform(0.5, 2 * FLAPPING_S))
                number += 1
                edge.storage.put(KEY, another(number))
                edge.proxy.share = 0.0
                edge.proxy.open.set()
                late.append(wait_for(server, version_of(another(number)), 3 * FLAPPING_S))
                time.sleep(rng.uniform(0, FLAPPING_S))
            load.stop()
    note = ", ".join(f"{count} times {kind}" for kind, count in outages.items())
    bars(f"failed answers of {load.calls} in {seconds / 60:.0f} minutes", load.failed, note)
    longest = max(late)
    wanted = f"at most {FLAPPING_S:.0f} s"
    bars.line("an update after the network's return", f"{longest:.1f} s", wanted, longest <= FLAPPING_S)


class Load:
    """Callers that go on until they are stopped."""

    def __init__(self, port: int) -> None:
        """Begin."""
        self.calls = self.failed = 0
        self._port = port
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(CALLERS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        import http.client

        body = json.dumps({"model": TASK, "input": "A joy."})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        while not self._stopped.wait(0.02):
            try:
                connection.request("POST", "/v1/classify", body, {"content-type": "application/json"})
                response = connection.getresponse()
                response.read()
                failed = response.status != 200
            except (OSError, http.client.HTTPException):
                connection.close()
                failed = True
            with self._lock:
                self.calls += 1
                self.failed += failed

    def stop(self) -> None:
        """End all callers."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def signatures(bars: Bars) -> None:
    """Write to the bucket what a stranger could: the old version answers, and each is logged once."""
    ours, theirs = Signer(Ed25519PrivateKey.generate()), Signer(Ed25519PrivateKey.generate())
    at = datetime.now(UTC)
    good = ours.sign(another(1), TASK, at)
    changed = bytearray(good)
    changed[-1] ^= 1
    strange = {
        "signed with another key": theirs.sign(another(2), TASK, at),
        "unsigned": another(3),
        "a changed byte": bytes(changed),
        "signed as another task": ours.sign(another(4), "spam", at),
        "signed earlier": ours.sign(another(5), TASK, at - timedelta(minutes=1)),
    }
    with device(QUICK_MS, 1) as edge:
        edge.more["SOFTCALL_STORE_SIGNED_BY"] = ours.public
        edge.storage.put(KEY, good)
        with edge.server() as server:
            wait_for(server, version_of(good), 20)
            for name, content in strange.items():
                said = _refusals(edge.log)
                edge.storage.put(KEY, content)
                time.sleep(2.5 * QUICK_MS / 1e3)
                stays = served(server) == version_of(good)
                logged = _refusals(edge.log) - said
                verdict = "the old one answers" if stays else "the new one answers"
                bars.line(f"{name}: lines in the log", f"{logged}", "1", logged == 1 and stays, verdict)
            newer = ours.sign(another(6), TASK, at + timedelta(minutes=1))
            edge.storage.put(KEY, newer)
            arrived = wait_for(server, version_of(newer), 20)
            bars.line("a newer one of ours arrives", f"{arrived:.1f} s", "less than 20 s", arrived < 20)


def _refusals(log: Path) -> int:
    return len(re.findall(r" is refused: ", log.read_text(errors="replace")))
