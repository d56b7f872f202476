"""Labels for the rows of a file, from an artifact with PyTorch or from a running server, and their scores."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from softcall.artifact.artifact import Artifact
from softcall.artifact.bounds import max_artifact_bytes
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.core.strict_json import MalformedJsonError, read_json
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.folder import TEST
from softcall.datasets.rows import Row, in_order, read_rows
from softcall.evaluation.scores import Scores
from softcall.evaluation.temperature import confidences

CALL_ROWS = 32
CALL_TIMEOUT_S = 300.0
MAX_ANSWER_BYTES = 16 << 20
SHOWN_CHARACTERS = 2_000  # of a server's error


@dataclass(frozen=True)
class Evaluation:
    """How a task did on a file: its scores, what answered, how long a text took (in batches, all stages)."""

    scores: Scores
    answered_by: str
    versions: tuple[str, ...]  # of the served task, in the order seen; empty for PyTorch
    ms_per_text: float


def evaluate_artifact(
    path: Path,
    file: Path,
    *,
    base: str | None,
    device: str,
    max_text_tokens: int | None,
    columns: ColumnChoice = ColumnChoice(),  # noqa: B008 (immutable)
) -> Evaluation:
    """Score an artifact on a file with PyTorch in float32.

    Texts of more than `max_text_tokens` tokens are cut; with None nothing is cut, and a text beyond the
    base's positions is refused. `device` is `auto`, `cpu` or `cuda`. Abstains as a server does. Raises
    `SoftcallError` for an artifact of another base, and for labels in the file that the artifact does not
    have.
    """
    from softcall.base.source import Source
    from softcall.evaluation.classifier import PromptedClassifier, torch_device

    artifact = Artifact.from_bytes(_artifact_bytes(path), where=str(path))
    rows = read_rows(file, artifact.template.fields, columns=columns, part=TEST)
    for row in rows:
        if row.label not in artifact.labels:
            raise SoftcallError(f"{row.where}: label {row.label!r} is not one of {path}'s labels")
    place = torch_device(device)
    loaded = Source.resolve(base).load()
    artifact.require_base(loaded.name, loaded.fingerprint, loaded.model.config.hidden_size)
    room = loaded.model.config.max_position_embeddings - artifact.tokens
    limit = room if max_text_tokens is None else min(room, max_text_tokens)
    classifier, trunk = PromptedClassifier.of(artifact).to(place), loaded.model.base_model.to(place)

    started = time.perf_counter()
    ids = [
        artifact.template.encode(loaded.tokenizer, row.texts, limit, truncate=max_text_tokens is not None)
        for row in rows
    ]
    logits = classifier.score(trunk, ids)
    elapsed = time.perf_counter() - started
    sure = tuple(confidences(logits, artifact.temperature).tolist())
    scores = Scores(artifact.labels, _gold(rows), labels_of_logits(artifact, logits), sure)
    return Evaluation(scores, f"{loaded.name} on {place.type}", (), 1e3 * elapsed / len(rows))


def evaluate_server(
    url: str,
    task: str,
    file: Path,
    *,
    api_key: str | None,
    max_text_tokens: int | None,
    columns: ColumnChoice = ColumnChoice(),  # noqa: B008 (immutable)
) -> Evaluation:
    """Score a served task on a file, `CALL_ROWS` texts a call; a refusal is raised in the server's words."""
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
    gold = _gold(rows)
    labels = in_order(set(gold) | {label for label in predicted if label is not None})
    scores = Scores(labels, gold, tuple(predicted), None if None in sure else tuple(sure))
    return Evaluation(scores, endpoint, tuple(versions), 1e3 * elapsed / len(rows))


def labels_of_logits(artifact: Artifact, logits: np.ndarray) -> tuple[str | None, ...]:
    """The label of each row of `logits` [rows, labels]; None where its probability is below the threshold."""
    threshold = artifact.abstain_threshold or 0.0
    top = zip(logits.argmax(axis=1), confidences(logits, artifact.temperature), strict=True)
    return tuple(artifact.labels[i] if p >= threshold else None for i, p in top)


def _gold(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(row.label for row in rows if row.label is not None)


def _artifact_bytes(path: Path) -> bytes:
    try:
        return read_bounded(path, max_artifact_bytes())
    except SoftcallError as error:
        raise SoftcallError(f"{error}; expected an artifact (a task needs --server)") from None


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
    except (OSError, HTTPException, ValueError) as error:  # no answer, half of one, or an impossible request
        raise SoftcallError(f"{endpoint} cannot be reached ({getattr(error, 'reason', error)})") from None
    try:
        answer = read_json(data) if len(data) <= MAX_ANSWER_BYTES else None
    except MalformedJsonError:
        answer = None
    if not isinstance(answer, dict):
        raise SoftcallError(f"{endpoint} answered something other than a JSON object: {data[:200]!r}")
    return answer


def _labels(answer: dict[str, Any], rows: int, endpoint: str) -> list[tuple[str | None, float | None]]:
    """The label of each row and its score (None where the server gives none), by the index of the rows."""
    try:
        labels = {item["index"]: (item["label"], _probability(item.get("score"))) for item in answer["data"]}
        return [labels[i] for i in range(rows)]
    except (AttributeError, KeyError, TypeError):
        raise SoftcallError(
            f"{endpoint} answered without `data` of an index and a label for each of {rows} texts"
        ) from None


def _probability(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else None
