"""Calibration: the temperature and the abstain threshold, fitted on dev.

Where `answers` are int [rows], each row has one label; where they are bool [rows, labels], it has any number.
"""

import numpy as np

TEMPERATURES = (0.05, 20.0)
"""The range that is searched."""

_ROUNDS = 60  # each leaves 0.618 of the range, so the last one is far below the precision of float32


def fit_temperature(logits: np.ndarray, answers: np.ndarray) -> float:
    """Return the temperature with the highest likelihood of the answers (Guo et al. 2017, section 4.2).

    `logits` [rows, labels]. If every answer is right, the likelihood has no maximum, because sharper
    probabilities always raise it; the temperature stays 1 then.
    """
    logits = np.asarray(logits, np.float64)
    predicted = logits > 0 if answers.ndim == 2 else logits.argmax(axis=1)
    if (predicted == answers).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return cross_entropy(logits / np.exp(log_temperature), answers)

    # Golden-section search: the loss is convex in 1 / temperature, so it has one minimum.
    low, high = np.log(TEMPERATURES)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(_ROUNDS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def cross_entropy(logits: np.ndarray, answers: np.ndarray) -> float:
    """Return the mean cross-entropy of `answers` under `logits` [rows, labels].

    These are of a softmax where each row has one label, else of a sigmoid for each label; a row's loss is the
    sum over labels then.
    """
    if answers.ndim == 2:
        return float((np.logaddexp(0, logits) - logits * answers).sum(axis=1).mean())
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihood = shifted[np.arange(len(answers)), answers] - np.log(np.exp(shifted).sum(axis=1))
    return float(-likelihood.mean())


def confidences(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return the largest probability of each row of `logits` [rows, labels], float64 [rows]."""
    scaled = np.asarray(logits, np.float64) / temperature
    return 1 / np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1)


def fit_abstain_threshold(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """Return the confidence below which to abstain, which maximises right minus wrong answers (Chow 1970).

    `confidence` float [rows], `right` bool [rows]. Of equal thresholds the lowest is chosen. None means that
    no threshold beats answering always.
    """
    order = np.argsort(-confidence, kind="stable")
    ordered, gain = confidence[order], np.cumsum(np.where(right[order], 1, -1))
    # Rows of equal confidence are answered together, so only the last of them can be a border.
    borders = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
    chosen = borders[::-1][gain[borders[::-1]].argmax()]
    return None if chosen == len(order) - 1 else float(ordered[chosen])
