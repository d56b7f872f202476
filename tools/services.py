"""The servers around Softcall's own, run on this machine for as long as a block lasts: S3, Kafka."""

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from local_server import ROOT

KEY, SECRET, REGION = "test", "testsecret", "us-east-1"
START_LIMIT_S = 20


class ServiceFailed(Exception):
    """A server did not start; the message names its log."""


@dataclass(frozen=True)
class Storage:
    """A bucket of an S3 server."""

    url: str
    bucket: str
    client: Any

    @property
    def settings(self) -> Mapping[str, str]:
        """What Softcall's server needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
        }

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        """Read an object."""
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with `prefix`, in order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def put_tasks(self, folder: Path) -> None:
        """Store the artifacts of a folder of tasks under `prompts`."""
        for artifact in sorted(folder.rglob("*.safetensors")):
            self.put(f"prompts/{artifact.relative_to(folder)}", artifact.read_bytes())


@contextlib.contextmanager
def s3proxy(data: Path, bucket: str) -> Iterator[Storage]:
    """An empty bucket of the S3 server of the tests (Java)."""
    with _ready(_s3proxy_command(data, 0), data.with_suffix(".log")) as url:
        yield _storage(url, bucket)


@dataclass
class RestartableStorage:
    """A bucket of the S3 server of the tests, which can be ended and started again at its address."""

    storage: Storage
    _data: Path
    _running: contextlib.ExitStack

    def restart(self, away_s: float) -> None:
        """End the server as a crash does, and start it again after a while, with all that is stored."""
        port = int(self.storage.url.rsplit(":", 1)[1])
        self._running.close()
        time.sleep(away_s)
        self._running.enter_context(
            _ready(_s3proxy_command(self._data, port), self._data.with_suffix(".log"))
        )


@contextlib.contextmanager
def restartable_s3proxy(data: Path, bucket: str) -> Iterator[RestartableStorage]:
    """The same as `s3proxy`, and it can be restarted."""
    with contextlib.ExitStack() as running:
        url = running.enter_context(_ready(_s3proxy_command(data, 0), data.with_suffix(".log")))
        yield RestartableStorage(_storage(url, bucket), data, running)


def _s3proxy_command(data: Path, port: int) -> list:
    arguments = ["--port", str(port), "--data", data, "--access-key", KEY, "--secret-key", SECRET]
    return [ROOT / "tools/s3/start", *arguments, "--log", data.with_suffix(".access.log")]


@contextlib.contextmanager
def versitygw(data: Path, bucket: str, log: Path, notify: str, topic: str) -> Iterator[Storage]:
    """An empty bucket of versitygw (Go), which tells `topic` of the Kafka broker `notify` of its events."""
    data.mkdir(parents=True, exist_ok=True)
    built = subprocess.run(
        [ROOT / "tools/go-program", "versitygw"], check=True, stdout=subprocess.PIPE, text=True
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [
        built.stdout.strip(),
        "--port",
        address,
        "--access",
        KEY,
        "--secret",
        SECRET,
        "--region",
        REGION,
    ]
    command += ["--keep-alive", "--quiet", "--event-kafka-url", notify, "--event-kafka-topic", topic]
    with _process([*command, "posix", str(data.absolute())], log) as process:
        yield _when_up(lambda: _storage(f"http://{address}", bucket), process, log)


@contextlib.contextmanager
def kafka(data: Path, topics: Sequence[str], partitions: int) -> Iterator[str]:
    """The address of a Kafka broker that has `topics`."""
    command = [ROOT / "tools/kafka/start", "--port", "0", "--data", data]
    command += ["--topics", ",".join(topics), "--partitions", str(partitions)]
    with _ready(command, data.with_suffix(".log")) as address:
        yield address


def _storage(url: str, bucket: str) -> Storage:
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket=bucket)
    return Storage(url, bucket, client)


@contextlib.contextmanager
def _ready(command: Sequence, log: Path) -> Iterator[str]:
    """What stands behind `ready` in the first line that the command prints."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with _process(command, log, stdout=subprocess.PIPE) as process:
        line = process.stdout.readline().decode()
        if not line.startswith("ready "):
            raise ServiceFailed(f"{command[0]} did not come up; its log is {log}")
        yield line.removeprefix("ready ").strip()


@contextlib.contextmanager
def _process(command: Sequence, log: Path, stdout: int | None = None) -> Iterator[subprocess.Popen]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=stdout or output, stderr=output, env=os.environ, start_new_session=True
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _when_up(attempt, process: subprocess.Popen, log: Path) -> Storage:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            return attempt()
        except (OSError, BotoCoreError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServiceFailed(f"versitygw did not come up; its log is {log}") from error
            time.sleep(0.1)
