"""An S3 server with a delay: versitygw over a folder, behind toxiproxy."""

import contextlib
import json
import os
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from softcall.stores.store import OBJECT
from softcall_bench.programs import Program, go_program
from softcall_bench.server import LOGS, free_port

BUCKET = "bench"
KEY, SECRET, REGION = "bench", "bench-secret", "us-east-1"
START_LIMIT_S = 20
ROUND_TRIPS = 20


class ObjectStoreFailed(Exception):
    """The S3 server or the proxy did not start."""


@dataclass(frozen=True)
class ObjectStore:
    """A bucket that is reached through a proxy."""

    client: Any
    port: int
    control: str

    @property
    def uri(self) -> str:
        """The store as the server is told."""
        return f"s3://{BUCKET}/prompts"

    @property
    def settings(self) -> Mapping[str, str]:
        """What the server needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": REGION,
        }

    def put(self, task: str, artifact: bytes) -> None:
        """Store a task."""
        self.client.put_object(Bucket=BUCKET, Key=f"prompts/{task}/{OBJECT}", Body=artifact)

    def delay(self, ms: int) -> None:
        """Hold back every answer of the store for so long."""
        with contextlib.suppress(urllib.error.HTTPError):  # 404: there was no delay yet
            _control(self.control, "DELETE", "/proxies/store/toxics/delay")
        if ms:
            toxic = {
                "name": "delay",
                "type": "latency",
                "stream": "downstream",
                "attributes": {"latency": ms},
            }
            _control(self.control, "POST", "/proxies/store/toxics", toxic)

    @contextlib.contextmanager
    def asked(self, wrk: Program, task: str) -> Iterator[None]:
        """Let wrk ask all the time whether a task has changed, for as long as the block lasts."""
        where = {"Bucket": BUCKET, "Key": f"prompts/{task}/{OBJECT}"}
        etag = self.client.head_object(**where)["ETag"]
        url = self.client.generate_presigned_url("get_object", Params=where)
        options = ["--threads", "1", "--connections", "1", "--duration", "1h"]
        with _process(wrk, [*options, "--header", f"If-None-Match: {etag}", url], "asking"):
            yield

    def round_trip_ms(self, task: str) -> float:
        """The median of a few conditional GETs that are answered with 304, as the server makes them."""
        key = f"prompts/{task}/{OBJECT}"
        etag = self.client.head_object(Bucket=BUCKET, Key=key)["ETag"]
        took = []
        for _ in range(ROUND_TRIPS):
            started = time.perf_counter()
            with contextlib.suppress(ClientError):  # which is what boto3 makes of a 304
                self.client.get_object(Bucket=BUCKET, Key=key, IfNoneMatch=etag)
            took.append((time.perf_counter() - started) * 1e3)
        return statistics.median(took)


@contextlib.contextmanager
def object_store(data: Path) -> Iterator[ObjectStore]:
    """An empty bucket in the folder `data`, for as long as the block lasts."""
    data.mkdir(parents=True, exist_ok=True)
    gateway, proxy, control = free_port(), free_port(), free_port()
    serve = ["--port", f"127.0.0.1:{gateway}", "--access", KEY, "--secret", SECRET, "--region", REGION]
    serve += ["--keep-alive", "--quiet", "posix", str(data.absolute())]
    with (
        _process(go_program("versitygw"), serve, "versitygw") as server,
        _process(go_program("toxiproxy-server"), ["-port", str(control)], "toxiproxy") as toxiproxy,
    ):
        store = ObjectStore(_client(proxy), proxy, f"http://127.0.0.1:{control}")
        route = {"name": "store", "listen": f"127.0.0.1:{proxy}", "upstream": f"127.0.0.1:{gateway}"}
        _until_it_works(lambda: _control(store.control, "POST", "/proxies", route), toxiproxy)
        _until_it_works(lambda: store.client.list_buckets(), server)
        with contextlib.suppress(store.client.exceptions.BucketAlreadyOwnedByYou):
            store.client.create_bucket(Bucket=BUCKET)
        yield store


def _client(port: int) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        region_name=REGION,
        config=Config(
            s3={"addressing_style": "path"}, signature_version="s3v4", retries={"total_max_attempts": 1}
        ),
    )


@contextlib.contextmanager
def _process(program: Program, arguments: list[str], name: str) -> Iterator[subprocess.Popen]:
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [str(program.path), *arguments],
            env=os.environ | program.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _control(url: str, method: str, path: str, body: dict | None = None) -> None:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"Content-Type": "application/json"}, method=method)
    urllib.request.urlopen(request, timeout=5).close()


def _until_it_works(attempt, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            attempt()
            return
        except (OSError, BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ObjectStoreFailed(f"{' '.join(map(str, process.args))}: {error}") from error
            time.sleep(0.05)
