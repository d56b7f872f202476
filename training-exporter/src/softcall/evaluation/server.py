"""A served task scored on the rows of a file, over HTTP."""

import json
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from softcall.core.errors import SoftcallError
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.folder import TEST
from softcall.datasets.rows import in_order, read_rows
from softcall.evaluation.evaluation import Evaluation, gold_labels
from softcall.evaluation.scores import Scores

CALL_ROWS = 32
CALL_TIMEOUT_S = 300.0
MAX_ANSWER_BYTES = 16 << 20
SHOWN_CHARACTERS = 2_000  # of a server's error


def evaluate_server(
    url: str,
    task: str,
    file: Path,
    *,
    api_key: str | None,
    max_text_tokens: int | None,
    columns: ColumnChoice = ColumnChoice(),  # noqa: B008 (immutable)
) -> Evaluation:
    """Score a served task on a file, with `CALL_ROWS` texts per call; a refusal quotes the server."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise SoftcallError(f"--server {url}: expected an address such as http://localhost:8080")
    rows = read_rows(file, columns=columns, part=TEST)
    endpoint = url.rstrip("/") + "/v1/classify"
    predicted: list[str | None] = []
    sure: list[float | None] = []
    versions: dict[str, None] = {}
    elapsed = 0.0
    for start in range(0, len(rows), CALL_ROWS):
        part = rows[start : start + CALL_ROWS]
        body: dict[str, Any] = {
            "model": task,
            "input": [row.texts[0] if len(row.texts) == 1 else list(row.texts) for row in part],
        }
        if max_text_tokens is not None:
            body["truncate_prompt_tokens"] = max_text_tokens
        started = time.perf_counter()
        answer = _post(endpoint, body, api_key)
        elapsed += time.perf_counter() - started
        for label, confidence in _labels(answer, len(part), endpoint):
            predicted.append(label)
            sure.append(confidence)
        if "version" in answer:
            versions[str(answer["version"])] = None
    gold = gold_labels(rows)
    labels = in_order(set(gold) | {label for label in predicted if label is not None})
    scores = Scores(labels, gold, tuple(predicted), None if None in sure else tuple(sure))
    return Evaluation(scores, endpoint, tuple(versions), 1e3 * elapsed / len(rows))


def _post(endpoint: str, body: dict[str, Any], api_key: str | None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {api_key}"} if api_key else {}
    )
    request = urllib.request.Request(endpoint, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=CALL_TIMEOUT_S) as response:
            data = response.read(MAX_ANSWER_BYTES + 1)
    except urllib.error.HTTPError as error:
        text = error.read(4 * SHOWN_CHARACTERS).decode(errors="replace")[:SHOWN_CHARACTERS].strip()
        raise SoftcallError(f"{endpoint} answered {error.code} {error.reason}: {text}") from None
    except (OSError, HTTPException, ValueError) as error:  # no answer, a partial one, or an invalid request
        raise SoftcallError(f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})") from None
    try:
        answer = read_json(data) if len(data) <= MAX_ANSWER_BYTES else None
    except MalformedJsonError:
        answer = None
    if not isinstance(answer, dict):
        raise SoftcallError(f"{endpoint} answered something other than a JSON object: {data[:200]!r}")
    return answer


def _labels(answer: dict[str, Any], rows: int, endpoint: str) -> list[tuple[str | None, float | None]]:
    """Return the label of each row and its score (None if the server gives none), by row index."""
    try:
        labels = {item["index"]: (item["label"], _probability(item.get("score"))) for item in answer["data"]}
        return [labels[i] for i in range(rows)]
    except (AttributeError, KeyError, TypeError):
        raise SoftcallError(
            f"{endpoint} answered without `data` of an index and a label for each of {rows} texts"
        ) from None


def _probability(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None
