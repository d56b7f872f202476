"""A real S3 server for tests: tools/s3/start as a child process."""

import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple, Self

import boto3
from botocore.config import Config

START = Path(__file__).resolve().parents[2] / "tools/s3/start"
ACCESS_KEY, SECRET_KEY = "test", "testsecret"


class Request(NamedTuple):
    """One line of the access log."""

    method: str
    path: str
    status: int


class S3Server:
    """Runs until the `with` block ends."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "access.log"
        command = {
            "--port": "0",
            "--data": folder / "data",
            "--access-key": ACCESS_KEY,
            "--secret-key": SECRET_KEY,
            "--log": self._log,
        }
        arguments = [str(part) for pair in command.items() for part in pair]
        self._process = subprocess.Popen([START, *arguments], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        ready, _, self.url = self._process.stdout.readline().strip().partition(" ")
        assert ready == "ready", f"{START} ended with {self._process.wait()}"

    def client(self) -> Any:
        config = Config(s3={"addressing_style": "path"})
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=config,
        )

    def requests(self, prefix: str, count: int) -> list[Request]:
        """The requests for paths that begin so; waits for `count`, since one is logged after its response."""
        deadline = time.monotonic() + 5
        while True:
            lines = self._log.read_text().splitlines() if self._log.exists() else []
            parts = [line.split(" ") for line in lines]
            made = [Request(method, path, int(status)) for _, method, path, _, status, _ in parts]
            found = [request for request in made if request.path.startswith(prefix)]
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(10)
