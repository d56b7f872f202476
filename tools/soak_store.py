"""What the store holds during the soak: a task that is overwritten all the time, refused ones, jobs."""

import http.client
import json
import random
import time
from collections import Counter
from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError
from chaos_jobs import TINY, deliver, texts
from local_server import LocalServer
from services import Storage

BUCKET = "chaos"  # of chaos_jobs, whose jobs are delivered here
MOVING = "moving"
LABELS = ("no", "yes")
BETWEEN_OVERWRITES_S = 0.25
JOB_ROWS = 1_000
BAD_ROWS = JOB_ROWS // 100
REDELIVER_AFTER_S = 1.0


@dataclass(frozen=True)
class Overwrite:
    """A version of the moving task: when its write began, and when it was known to be stored."""

    index: int
    version: str
    began: float
    ended: float


def label(index: int, place: int) -> str:
    """A label of the version with this index: it tells which version has answered."""
    return f"{LABELS[place]}-{index}"


def artifact(index: int) -> bytes:
    """The task `sentiment` with labels of its own."""
    original = (TINY / "tasks/sentiment/adapter_model.safetensors").read_bytes()
    start = 8 + int.from_bytes(original[:8], "little")
    header, data = json.loads(original[8:start]), original[start:]
    about = json.loads(header["__metadata__"]["softcall"])
    about["labels"] = [label(index, place) for place in range(len(LABELS))]
    header["__metadata__"]["softcall"] = json.dumps(about)
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + data


class Overwriting:
    """Overwrites the moving task again and again, and keeps what was stored when."""

    def __init__(self, storage: Storage) -> None:
        """Into this bucket."""
        self._storage = storage
        self.done: list[Overwrite] = []

    def until(self, ended) -> None:
        """Go on until `ended` is set."""
        while not ended.is_set():
            self.once()
            time.sleep(BETWEEN_OVERWRITES_S)

    def once(self) -> None:
        """Store the next version, however often that must be tried."""
        index = len(self.done)
        content = artifact(index)
        began = time.monotonic()
        while True:
            try:
                answer = self._storage.client.put_object(
                    Bucket=BUCKET, Key=f"prompts/{MOVING}/adapter_model.safetensors", Body=content
                )
                break
            except (BotoCoreError, ClientError):
                time.sleep(BETWEEN_OVERWRITES_S)
        self.done.append(Overwrite(index, answer["ETag"].strip('"'), began, time.monotonic()))


def put_broken(storage: Storage) -> None:
    """Store artifacts that nobody may serve."""
    for file in sorted((TINY / "broken").glob("*.safetensors")):
        storage.put(f"prompts/broken/{file.stem}/adapter_model.safetensors", file.read_bytes())


def deliver_jobs(ended, server: LocalServer, storage: Storage, told: Counter[str]) -> None:
    """One job after the other; counts those that ended, and those whose counts are wrong."""
    rng = random.Random(1)
    number = 0
    while not ended.is_set():
        key = f"in/{number}.jsonl"
        try:
            storage.put(key, texts(JOB_ROWS, rng))
            report = deliver(server, key)
        except (BotoCoreError, ClientError, OSError, http.client.HTTPException):
            report = None
        if report is None:
            time.sleep(REDELIVER_AFTER_S)
            continue
        number += 1
        told["ended"] += 1
        told["wrong"] += (report.get("rows"), report.get("errors")) != (JOB_ROWS, BAD_ROWS)
