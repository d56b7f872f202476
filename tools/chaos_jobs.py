"""Jobs under kill -9, on two servers at once, and before a store that fails."""

import gzip
import hashlib
import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from faulty_proxy import faulty_proxy
from local_server import ROOT, LocalServer
from services import Storage

BUCKET = "chaos"
TINY = ROOT / "src/test/resources/tiny"
SCORE_TOLERANCE = 1e-4
DELIVERY_LIMIT_S = 600
REDELIVERIES = 20
FAULTY_SHARE = 0.05
PAUSE_S = 10
WORDS = ("the", "film", "was", "a", "joy", "cold", "food", "rude", "waiter", "will", "not", "come", "back")


@dataclass(frozen=True)
class Result:
    """What a job left: rows of all parts in order, manifest without what times and rounding may change."""

    rows: list[dict]
    manifest: dict

    @classmethod
    def read(cls, storage: Storage, job: str) -> "Result":
        """Read it, and check that the manifest tells of the parts what is stored."""
        rows = []
        manifest = json.loads(storage.get(f"results/{job}/_SUCCESS"))
        for part in manifest["parts"]:
            content = storage.get(f"results/{job}/{part['name']}")
            if (hashlib.sha256(content).hexdigest(), len(content)) != (part["sha256"], part["bytes"]):
                raise SystemExit(f"chaos: {job}/{part['name']} is not what its manifest says")
            rows += [json.loads(line) for line in content.splitlines()]
        kept = {name: manifest[name] for name in ("rows", "errors", "tasks")}
        kept["parts"] = [
            {name: part[name] for name in ("name", "rows", "errors")} for part in manifest["parts"]
        ]
        return cls(rows, kept)

    def differences(self, other: "Result") -> int:
        """How many rows differ by more than rounding, are missing or too many; the manifest counts as one."""
        wrong = abs(len(self.rows) - len(other.rows)) + (self.manifest != other.manifest)
        for one, another in zip(self.rows, other.rows, strict=False):
            close = abs(one.get("score", 0) - another.get("score", 0)) <= SCORE_TOLERANCE
            wrong += not close or {**one, "score": 0} != {**another, "score": 0}
        return wrong


def settings(storage: Storage, packed: Path) -> dict[str, str]:
    """A server of the tiny base with jobs on `storage`; parts are small, so that there are many."""
    return {
        **storage.settings,
        "SOFTCALL_BASE_DIR": str(TINY / "base"),
        "SOFTCALL_BASE_VARIANT": "fp32",
        "SOFTCALL_BASE_CACHE_DIR": str(packed),
        "SOFTCALL_STORE_URI": f"s3://{BUCKET}/prompts",
        "SOFTCALL_JOBS_OUTPUT": f"s3://{BUCKET}/results",
        "SOFTCALL_JOBS_BUCKETS": BUCKET,
        "SOFTCALL_JOBS_PART_BYTES": "60000",
        "SOFTCALL_JOBS_PART_ROWS": "1000",
    }


def texts(rows: int, rng: random.Random) -> bytes:
    """A file of `rows` rows, of which each hundredth is bad."""
    lines = []
    for i in range(rows):
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, 12)))
        row = {"id": i, "task": rng.choice(("sentiment", "acme/intent")), "text": text}
        lines.append("not JSON" if i % 100 == 99 else json.dumps(row))
    return "\n".join(lines).encode()


@dataclass(frozen=True)
class Chaos:
    """What scenarios share: the storage, the settings of a server on it, chance, and a folder for logs."""

    storage: Storage
    settings: Mapping[str, str]
    rng: random.Random
    logs: Path

    def server(self, name: str, **more: str) -> LocalServer:
        """A server with a log of its own."""
        return LocalServer(ROOT, self.logs / f"{name}.log", settings={**self.settings, **more})


def deliver(server: LocalServer, key: str) -> dict | None:
    """Send the event of a stored file, and wait for the end; None when it should come again."""
    record = {
        "eventName": "ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": quote(key)}},
    }
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=DELIVERY_LIMIT_S)
    try:
        body = json.dumps({"Records": [record]})
        connection.request("POST", "/v1/jobs", body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
        if response.status in (429, 503, 504):
            return None
        if response.status != 200:
            raise SystemExit(f"chaos: {key} was answered {response.status}: {answer.decode()}")
        return json.loads(answer)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def deliver_until_done(server: LocalServer, key: str) -> dict:
    """What a broker does: send the event again while it is asked to."""
    for _ in range(REDELIVERIES):
        if (report := deliver(server, key)) is not None:
            return report
    raise SystemExit(f"chaos: {key} was not done after {REDELIVERIES} deliveries")


def kill_and_redeliver(chaos: Chaos, key: str, kills: int, whole_s: float) -> dict:
    """Kill a server `kills` times at random moments of a job, then let another one end it."""
    for kill in range(kills):
        server = chaos.server(f"{Path(key).name}.{kill}")
        delivery = threading.Thread(target=deliver, args=(server, key))
        delivery.start()
        time.sleep(chaos.rng.uniform(0, 1.5 * whole_s / max(1, kills)))
        server.kill()
        delivery.join()
    with chaos.server(Path(key).name) as server:
        return deliver_until_done(server, key)


def two_at_once(chaos: Chaos, key: str) -> dict:
    """Send one event to two servers at the same time."""
    with chaos.server(f"{Path(key).name}.a") as one, chaos.server(f"{Path(key).name}.b") as other:
        answers: list[dict | None] = [None, None]

        def send(place: int, server: LocalServer) -> None:
            answers[place] = deliver(server, key)

        threads = [threading.Thread(target=send, args=pair) for pair in enumerate((one, other))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    if answers[0] is None or answers[0] != answers[1]:
        raise SystemExit(f"chaos: two servers gave different answers: {answers}")
    return answers[0]


def faulty_store(chaos: Chaos, key: str, whole_s: float) -> tuple[dict, str]:
    """Do a job on a store that fails requests, and stops a while in the middle; what happened, in words."""
    with (
        faulty_proxy(chaos.storage.url, FAULTY_SHARE, chaos.rng.randrange(1 << 30)) as proxy,
        chaos.server(f"{Path(key).name}.faulty", AWS_ENDPOINT_URL=proxy.url) as server,
    ):

        def pause() -> None:
            time.sleep(whole_s / 2)
            proxy.open.clear()
            time.sleep(PAUSE_S)
            proxy.open.set()

        pausing = threading.Thread(target=pause)
        pausing.start()
        report = deliver_until_done(server, key)
        pausing.join()
        faults = ", ".join(f"{count} x {fault}" for fault, count in sorted(proxy.faults.items()))
        return report, f"of {proxy.requests} requests {faults}; {PAUSE_S} s of silence"


def run(chaos: Chaos, kills: int, rows: int, bar: Callable[[str, int, str], None]) -> None:
    """All scenarios, for a file that is split into parts and for one that is read whole."""
    content = texts(rows, chaos.rng)
    for form, body in (("jsonl", content), ("jsonl.gz", gzip.compress(content, mtime=0))):
        for name in ("undisturbed", "killed", "twice", "faulty"):
            chaos.storage.put(f"in/{name}.{form}", body)
        with chaos.server(f"undisturbed.{form}") as server:
            began = time.monotonic()
            report = deliver_until_done(server, f"in/undisturbed.{form}")
            whole_s = time.monotonic() - began
        expected = Result.read(chaos.storage, report["job"])

        def compare(
            name: str, report: dict, note: str, expected: Result = expected, form: str = form
        ) -> None:
            found = Result.read(chaos.storage, report["job"])
            bar(f"{form}: rows that differ, {name}", expected.differences(found), note)

        bar(
            f"{form}: rows lost or too many",
            abs(len(expected.rows) - rows),
            f"{rows} rows in {whole_s:.1f} s",
        )
        report = kill_and_redeliver(chaos, f"in/killed.{form}", kills, whole_s)
        compare("killed, redelivered", report, f"{kills} kills")
        compare("two servers at once", two_at_once(chaos, f"in/twice.{form}"), "one event")
        compare("failing store", *faulty_store(chaos, f"in/faulty.{form}", whole_s))
