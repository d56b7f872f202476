"""Probabilities that mean what they say: the temperature, and when to abstain, fitted on dev."""

import numpy as np

TEMPERATURES = (0.05, 20.0)
"""The range that is searched."""

_ROUNDS = 60  # each leaves 0.618 of the range, so the last is far below float32


def fit_temperature(logits: np.ndarray, answers: np.ndarray) -> float:
    """The temperature that gives the answers the highest likelihood (Guo et al. 2017, section 4.2).

    `logits` [rows, labels], `answers` int [rows]. Where every row is right, the likelihood would grow for
    ever with sharper probabilities: such rows say nothing of mistakes, so the temperature stays 1.
    """
    logits = np.asarray(logits, np.float64)
    if (logits.argmax(axis=1) == answers).all():
        return 1.0

    def loss(log_temperature: float) -> float:
        return cross_entropy(logits / np.exp(log_temperature), answers)

    # A golden-section search: the loss is convex in 1 / temperature, so it has one minimum.
    low, high = np.log(TEMPERATURES)
    ratio = (np.sqrt(5) - 1) / 2
    for _ in range(_ROUNDS):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return float(np.exp((low + high) / 2))


def cross_entropy(logits: np.ndarray, answers: np.ndarray) -> float:
    """The mean negative log-likelihood of `answers` int [rows] under softmax of `logits` [rows, labels]."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    likelihood = shifted[np.arange(len(answers)), answers] - np.log(np.exp(shifted).sum(axis=1))
    return float(-likelihood.mean())


def confidences(logits: np.ndarray, temperature: float) -> np.ndarray:
    """The largest probability of each row of `logits` [rows, labels], float64 [rows]."""
    scaled = np.asarray(logits, np.float64) / temperature
    return 1 / np.exp(scaled - scaled.max(axis=1, keepdims=True)).sum(axis=1)


def fit_abstain_threshold(confidence: np.ndarray, right: np.ndarray) -> float | None:
    """The confidence below which to abstain, so that right minus wrong answers is highest (Chow 1970).

    `confidence` float [rows], `right` bool [rows]. Of equals, the lowest. None where no threshold beats
    answering always.
    """
    order = np.argsort(-confidence, kind="stable")
    ordered, gain = confidence[order], np.cumsum(np.where(right[order], 1, -1))
    # Rows of equal confidence are answered together: only the last of them can be a border.
    borders = np.flatnonzero(np.append(ordered[1:] < ordered[:-1], True))
    chosen = borders[::-1][gain[borders[::-1]].argmax()]
    return None if chosen == len(order) - 1 else float(ordered[chosen])
