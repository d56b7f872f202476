"""An artifact scored on the rows of a file, with PyTorch."""

import time
from pathlib import Path

import numpy as np

from softcall.artifact.artifact import Artifact, ClassificationArtifact, require_classification
from softcall.artifact.bounds import max_artifact_bytes
from softcall.artifact.metadata import Kind
from softcall.base.source import Source
from softcall.core.bounded_file import read_bounded
from softcall.core.errors import SoftcallError
from softcall.datasets.columns import ColumnChoice
from softcall.datasets.folder import TEST
from softcall.datasets.label_matrix import label_matrix
from softcall.datasets.rows import read_rows
from softcall.evaluation.classifier import PromptedClassifier, torch_device
from softcall.evaluation.evaluation import Evaluation, gold_labels, gold_sets
from softcall.evaluation.multi_label import LabelSetScores, sigmoid
from softcall.evaluation.scores import Scores
from softcall.evaluation.temperature import confidences


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

    A task of the kind `multi_label` is scored by sets of labels, others by their one label. Texts of more
    than `max_text_tokens` tokens are cut; with None nothing is cut, and a text beyond the
    base's positions is refused. `device` is `auto`, `cpu` or `cuda`. Predictions abstain as a server's do.
    Raises `SoftcallError` for an artifact of another base, and for labels that the artifact does not have.
    """
    artifact = require_classification(
        Artifact.from_bytes(_artifact_bytes(path), where=str(path)),
        str(path),
        "eval scores classification only so far",
    )
    rows = read_rows(file, artifact.template.fields, columns=columns, part=TEST)
    for row in rows:
        for label in row.gold or ():
            if label not in artifact.labels:
                raise SoftcallError(f"{row.where}: label {label!r} is not one of {path}'s labels")
    several = artifact.kind == Kind.MULTI_LABEL
    gold = gold_sets(rows) if several else gold_labels(rows)
    place = torch_device(device)
    loaded = Source.resolve(base).load()
    artifact.require_base(loaded.identity)
    room = loaded.positions - artifact.tokens
    limit = room if max_text_tokens is None else min(room, max_text_tokens)
    classifier = PromptedClassifier.of(artifact, loaded.identity.kv).to(place)
    trunk = loaded.model.base_model.to(place)

    started = time.perf_counter()
    ids = [
        artifact.template.encode(loaded.tokenizer, row.texts, limit, truncate=max_text_tokens is not None)
        for row in rows
    ]
    logits = classifier.score(trunk, ids)
    elapsed = time.perf_counter() - started
    scores: Scores | LabelSetScores
    if several:
        scores = LabelSetScores(
            artifact.labels, label_matrix(artifact.labels, gold), label_sets_of_logits(artifact, logits)
        )
    else:
        sure = tuple(confidences(logits, artifact.temperature).tolist())
        scores = Scores(artifact.labels, gold, labels_of_logits(artifact, logits), sure)
    return Evaluation(scores, f"{loaded.name} on {place.type}", (), 1e3 * elapsed / len(rows))


def labels_of_logits(artifact: ClassificationArtifact, logits: np.ndarray) -> tuple[str | None, ...]:
    """Return the label of each row of `logits` [rows, labels]; None below the abstain threshold."""
    threshold = artifact.abstain_threshold or 0.0
    top = zip(logits.argmax(axis=1), confidences(logits, artifact.temperature), strict=True)
    return tuple(artifact.labels[i] if p >= threshold else None for i, p in top)


def label_sets_of_logits(artifact: ClassificationArtifact, logits: np.ndarray) -> np.ndarray:
    """Return the labels of each row of `logits` [rows, labels] that reach their threshold, as bool."""
    return sigmoid(logits / artifact.temperature) >= np.array(artifact.thresholds)


def _artifact_bytes(path: Path) -> bytes:
    try:
        return read_bounded(path, max_artifact_bytes())
    except SoftcallError as error:
        raise SoftcallError(f"{error}; expected an artifact (a task needs --server)") from None
