"""A served task scored on the rows of a file, over HTTP."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from softcall.core.errors import SoftcallError
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.folder import TEST
from softcall.datasets.rows import Row, in_order, read_rows
from softcall.evaluation.evaluation import Evaluation, gold_labels, gold_sets
from softcall.evaluation.multi_label import LabelSetScores
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
    """Score a served task on a file, with `CALL_ROWS` texts per call; a refusal quotes the server.

    A task whose answers have lists of labels is scored by sets of labels.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise SoftcallError(f"--server {url}: expected an address such as http://localhost:8080")
    rows = read_rows(file, columns=columns, part=TEST)
    endpoint = url.rstrip("/") + "/v1/classify"
    answers: list[_Answer] = []
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
        answers += _answers(answer, len(part), endpoint)
        if "version" in answer:
            versions[str(answer["version"])] = None
    return Evaluation(_scores(rows, answers), endpoint, tuple(versions), 1e3 * elapsed / len(rows))


class _Answer(NamedTuple):
    """A server's answer to one text; `labels` only of a task of any number of them, else None."""

    label: str | None
    score: float | None
    labels: tuple[str, ...] | None


def _scores(rows: Sequence[Row], answers: Sequence[_Answer]) -> Scores | LabelSetScores:
    sets = [answer.labels for answer in answers if answer.labels is not None]
    if len(sets) == len(answers):
        gold = gold_sets(rows)
        return LabelSetScores.of_sets(
            in_order({label for each in (*gold, *sets) for label in each}), gold, sets
        )
    right, sure = gold_labels(rows), [answer.score for answer in answers]
    predicted = tuple(answer.label for answer in answers)
    labels = in_order({*right, *predicted} - {None})
    return Scores(labels, right, predicted, None if None in sure else tuple(sure))


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


def _answers(answer: dict[str, Any], rows: int, endpoint: str) -> list[_Answer]:
    """Return the answer to each row, by row index; its score is None if the server gives none."""
    try:
        found = {
            item["index"]: _Answer(item["label"], _probability(item.get("score")), _sets(item.get("labels")))
            for item in answer["data"]
        }
        return [found[i] for i in range(rows)]
    except (AttributeError, KeyError, TypeError):
        raise SoftcallError(
            f"{endpoint} answered without `data` of an index and a label for each of {rows} texts"
        ) from None


def _sets(labels: Any) -> tuple[str, ...] | None:
    if labels is not None and not (
        isinstance(labels, list) and all(isinstance(each, str) for each in labels)
    ):
        raise TypeError(f"labels {labels!r}")
    return None if labels is None else tuple(dict.fromkeys(labels))


def _probability(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None
