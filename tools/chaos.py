"""Kills servers while they work on a job, and holds the results to those of a run that nobody disturbed.

    build/venv/bin/python tools/chaos.py [--kills 3] [--rows 12000] [--seed 1]

A real S3 server, packaged servers with the tiny base of the tests, and one file in two forms: JSONL, which is
split into parts, and gzip, which is read whole. Each bar is a line: its name, the figure, what is wanted, and
whether it holds. Needs `make server environment`.
"""

import argparse
import contextlib
import gzip
import http.client
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import boto3
from botocore.config import Config
from local_server import ROOT, LocalServer

TINY = ROOT / "src/test/resources/tiny"
BUCKET = "chaos"
SCORE_TOLERANCE = 1e-4
KEY, SECRET = "test", "testsecret"
DELIVERY_LIMIT_S = 300


@dataclass(frozen=True)
class Storage:
    """The S3 server, and the settings with which servers find it."""

    client: object
    settings: dict[str, str]

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        self.client.put_object(Bucket=BUCKET, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """Read an object."""
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with `prefix`, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@contextlib.contextmanager
def storage(folder: Path) -> Iterator[Storage]:
    """An S3 server with the tasks of the tests in it."""
    arguments = ["--port", "0", "--data", folder / "data", "--access-key", KEY, "--secret-key", SECRET]
    process = subprocess.Popen(
        [ROOT / "tools/s3/start", *arguments, "--log", folder / "access.log"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = process.stdout.readline().removeprefix("ready ").strip()
        client = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}),
        )
        client.create_bucket(Bucket=BUCKET)
        settings = {
            "AWS_ENDPOINT_URL": url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "SOFTCALL_BASE_DIR": str(TINY / "base"),
            "SOFTCALL_BASE_VARIANT": "fp32",
            "SOFTCALL_BASE_CACHE_DIR": str(folder / "packed"),
            "SOFTCALL_STORE_URI": f"s3://{BUCKET}/prompts",
            "SOFTCALL_JOBS_OUTPUT": f"s3://{BUCKET}/results",
            "SOFTCALL_JOBS_BUCKETS": BUCKET,
            "SOFTCALL_JOBS_PART_BYTES": "60000",
            "SOFTCALL_JOBS_PART_ROWS": "1000",
        }
        store = Storage(client, settings)
        for artifact in sorted((TINY / "tasks").rglob("*.safetensors")):
            store.put(f"prompts/{artifact.relative_to(TINY / 'tasks')}", artifact.read_bytes())
        yield store
    finally:
        process.kill()
        process.wait()


def texts(rows: int, rng: random.Random) -> bytes:
    """A file of `rows` rows, of which each hundredth is bad."""
    words = [
        "the",
        "film",
        "was",
        "a",
        "joy",
        "cold",
        "food",
        "rude",
        "waiter",
        "will",
        "not",
        "come",
        "back",
    ]
    lines = []
    for i in range(rows):
        text = " ".join(rng.choices(words, k=rng.randint(1, 12)))
        row = {"id": i, "task": rng.choice(("sentiment", "acme/intent")), "text": text}
        lines.append("not JSON" if i % 100 == 99 else json.dumps(row))
    return "\n".join(lines).encode()


def deliver(server: LocalServer, key: str) -> dict | None:
    """Send the event of a stored file, and wait for the end; None when the server went away."""
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
        if response.status != 200:
            raise SystemExit(f"chaos: {key} was answered {response.status}: {answer.decode()}")
        return json.loads(answer)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def results(store: Storage, job: str) -> tuple[list[dict], dict]:
    """Rows of all parts in order, and the manifest without what times and rounding may change."""
    rows = []
    for key in store.keys(f"results/{job}/part-"):
        rows += [json.loads(line) for line in store.get(key).splitlines()]
    manifest = json.loads(store.get(f"results/{job}/_SUCCESS"))
    kept = {name: manifest[name] for name in ("rows", "errors", "tasks")}
    kept["parts"] = [{name: part[name] for name in ("name", "rows", "errors")} for part in manifest["parts"]]
    return rows, kept


def differences(expected: tuple[list[dict], dict], found: tuple[list[dict], dict]) -> int:
    """How many rows differ by more than rounding, or are missing or too many; the manifest counts as one."""
    wrong = abs(len(expected[0]) - len(found[0])) + (expected[1] != found[1])
    for one, other in zip(*(rows for rows, _ in (expected, found)), strict=False):
        close = abs(one.get("score", 0) - other.get("score", 0)) <= SCORE_TOLERANCE
        wrong += not close or {**one, "score": 0} != {**other, "score": 0}
    return wrong


@dataclass
class Bars:
    """What is measured against what is wanted."""

    hold: bool = True

    def print(self, name: str, wrong: int, note: str) -> None:
        """One line; `wrong` is wanted to be 0."""
        self.hold &= wrong == 0
        verdict = "holds" if wrong == 0 else "falls short"
        print(f"{name:44} {wrong:6} rows differ   0 wanted   {verdict} ({note})", flush=True)


def kill_and_redeliver(
    store: Storage, key: str, kills: int, whole_s: float, rng: random.Random, log: Path
) -> dict:
    """Kill a server `kills` times at random moments of a job, then let another one end it."""
    for kill in range(kills):
        server = LocalServer(ROOT, log.with_suffix(f".{kill}.log"), settings=store.settings)
        delivery = threading.Thread(target=deliver, args=(server, key))
        delivery.start()
        time.sleep(rng.uniform(0, 1.5 * whole_s / max(1, kills)))
        server.kill()
        delivery.join()
    with LocalServer(ROOT, log, settings=store.settings) as server:
        return deliver(server, key)


def two_at_once(store: Storage, key: str, log: Path) -> dict:
    """Send one event to two servers at the same time."""
    with (
        LocalServer(ROOT, log.with_suffix(".a.log"), settings=store.settings) as one,
        LocalServer(ROOT, log.with_suffix(".b.log"), settings=store.settings) as other,
    ):
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


def main() -> None:
    """Run all bars; status 1 when one falls short."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--rows", type=int, default=12_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    bars = Bars()
    logs = ROOT / "build/chaos"
    with tempfile.TemporaryDirectory() as folder, storage(Path(folder)) as store:
        content = texts(options.rows, rng)
        for form, body in (("jsonl", content), ("jsonl.gz", gzip.compress(content, mtime=0))):
            names = ("undisturbed", "killed", "twice")
            for name in names:
                store.put(f"in/{name}.{form}", body)
            began = time.monotonic()
            with LocalServer(ROOT, logs / f"undisturbed-{form}.log", settings=store.settings) as server:
                began = time.monotonic()
                report = deliver(server, f"in/undisturbed.{form}")
            whole_s = time.monotonic() - began
            expected = results(store, report["job"])
            complete = abs(len(expected[0]) - options.rows)
            bars.print(f"{form}: rows lost or too many", complete, f"{options.rows} rows in {whole_s:.1f} s")
            report = kill_and_redeliver(
                store, f"in/killed.{form}", options.kills, whole_s, rng, logs / f"killed-{form}.log"
            )
            found = results(store, report["job"])
            bars.print(f"{form}: killed, redelivered", differences(expected, found), f"{options.kills} kills")
            report = two_at_once(store, f"in/twice.{form}", logs / f"twice-{form}.log")
            found = results(store, report["job"])
            bars.print(f"{form}: two servers at once", differences(expected, found), "one event")
    sys.exit(0 if bars.hold else 1)


if __name__ == "__main__":
    main()
