"""Temperature and calibration error against scikit-learn's, thresholds against every threshold there is."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from softcall.evaluation.scores import Scores, expected_calibration_error
from softcall.evaluation.temperature import (
    TEMPERATURES,
    confidences,
    cross_entropy,
    fit_abstain_threshold,
    fit_temperature,
)


def overconfident(rows=2_000, labels=5, factor=3.0, seed=1):
    """Logits that are `factor` times too large for answers drawn from their softmax."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (rows, labels))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    answers = np.array([random.choice(labels, p=p) for p in probabilities])
    return factor * logits, answers


def test_the_factor_by_which_logits_are_too_large_is_found():
    logits, answers = overconfident()
    temperature = fit_temperature(logits, answers)
    assert temperature == pytest.approx(3.0, rel=0.08)
    loss = cross_entropy(logits / temperature, answers)
    for other in (0.99, 1.01):
        assert cross_entropy(logits / (other * temperature), answers) > loss


def test_the_loss_is_pytorch_s():
    import torch

    logits, answers = overconfident(50)
    expected = torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(answers)).item()
    assert cross_entropy(logits, answers) == pytest.approx(expected)
    expected = torch.softmax(torch.from_numpy(logits) / 2, dim=1).amax(dim=1).numpy()
    np.testing.assert_allclose(confidences(logits, 2.0), expected)


def test_rows_that_are_all_right_leave_the_temperature_and_hopeless_ones_end_at_the_bound():
    logits, _ = overconfident(20)
    assert fit_temperature(logits, logits.argmax(axis=1)) == 1.0
    assert fit_temperature(logits, logits.argmin(axis=1)) == pytest.approx(TEMPERATURES[1])


def test_the_calibration_error_is_the_gap_of_scikit_learn_s_curve():
    logits, answers = overconfident()
    confidence, right = confidences(logits, 1.0), logits.argmax(axis=1) == answers
    share, mean = calibration_curve(right, confidence, n_bins=15)
    counts, _ = np.histogram(confidence, np.linspace(0, 1, 16))
    expected = (counts[counts > 0] * np.abs(share - mean)).sum() / len(right)
    error = expected_calibration_error(confidence, right)
    assert error == pytest.approx(expected) and error > 0.1
    temperature = fit_temperature(logits, answers)
    assert expected_calibration_error(confidences(logits, temperature), right) < 0.3 * error


def test_the_calibration_error_by_hand():
    # Two bins: (0.86, 0.93] has 0.9, 0.9 with one right; (0.4, 0.467] has 0.45, right.
    error = expected_calibration_error(np.array([0.9, 0.9, 0.45]), np.array([True, False, True]))
    assert error == pytest.approx((abs(1 - 1.8) + abs(1 - 0.45)) / 3)
    assert expected_calibration_error(np.array([1.0]), np.array([True])) == 0


def test_scores_leave_out_rows_without_a_label():
    scores = Scores(("a", "b"), ("a", "a", "b"), ("a", None, "a"), (0.9, 0.5, 0.9))
    assert scores.calibration_error == pytest.approx(abs(1 - 1.8) / 2)
    assert Scores(("a", "b"), ("a",), (None,), (0.4,)).calibration_error is None
    assert Scores(("a", "b"), ("a",), ("a",)).calibration_error is None
    with pytest.raises(ValueError, match="1 gold labels and 2 confidences"):
        Scores(("a", "b"), ("a",), ("a",), (0.4, 0.5))


def test_no_threshold_has_more_right_minus_wrong_answers():
    logits, answers = overconfident(300)
    confidence, right = confidences(logits, 3.0), logits.argmax(axis=1) == answers

    def gain(threshold):
        answered = confidence >= threshold
        return (right & answered).sum() - (~right & answered).sum()

    chosen = fit_abstain_threshold(confidence, right)
    assert gain(chosen) == max(map(gain, confidence)) > gain(0)
    assert chosen == min(threshold for threshold in confidence if gain(threshold) == gain(chosen))


def test_where_every_answer_pays_there_is_no_threshold():
    assert fit_abstain_threshold(np.array([0.9, 0.6]), np.array([True, True])) is None
    assert fit_abstain_threshold(np.array([0.9, 0.6, 0.6]), np.array([True, False, True])) is None
