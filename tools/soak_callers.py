"""The good callers of the soak: each asks, checks the answer, thinks a moment, and asks again."""

import http.client
import json
import random
import time
from dataclasses import dataclass

from chaos_jobs import TINY
from soak_store import MOVING

THINK_S = 0.015
LIMIT_S = 30
TOLERANCE = 1e-4
TASKS = ("sentiment", "acme/intent", "pair")


@dataclass(frozen=True)
class Call:
    """A call: when, with which status, and for the moving task which version answered with which label."""

    began: float
    ended: float
    status: int
    wrong: bool = False
    version: str = ""
    label: str = ""


def call_until(ended, port: int, seed: int, told) -> None:
    """Call until `ended` is set, then put all calls into `told`."""
    golden = json.loads((TINY / "golden.json").read_text())["tasks"]
    rng, calls = random.Random(seed), []
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    while not ended.is_set():
        moving = rng.random() < 0.5
        task = MOVING if moving else rng.choice(TASKS)
        row = rng.choice(golden["sentiment" if moving else task])
        calls.append(_call(connection, task, row))
        time.sleep(THINK_S)
    told.put(calls)


def _call(connection: http.client.HTTPConnection, task: str, row: dict) -> Call:
    text = row["texts"] if len(row["texts"]) > 1 else row["texts"][0]
    body = json.dumps({"model": task, "input": [text], "scores": True})
    began = time.monotonic()
    try:
        connection.request("POST", "/v1/classify", body, {"content-type": "application/json"})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, json.JSONDecodeError):
        connection.close()
        return Call(began, time.monotonic(), 0)
    ended = time.monotonic()
    if response.status != 200:
        return Call(began, ended, response.status)
    item = answer["data"][0]
    wrong = any(abs(a - b) > TOLERANCE for a, b in zip(item["probs"], row["probs"], strict=True))
    version = answer["version"] if task == MOVING else ""
    return Call(began, ended, 200, wrong, version, item["label"] if version else "")
