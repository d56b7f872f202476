"""Figures of a classifier, against published ones."""

import pytest

from softcall.evaluation.scores import Scores, wilson_interval


# Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 3.
@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_wilson_s(successes, trials, low, high):
    assert wilson_interval(successes, trials) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson_interval(trials - successes, trials)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


@pytest.mark.parametrize(("successes", "trials"), [(1, 0), (3, 2), (-1, 2)])
def test_no_interval_without_trials(successes, trials):
    with pytest.raises(ValueError, match="trials"):
        wilson_interval(successes, trials)


def test_macro_f1_is_scikit_learn_s():
    # The example in the documentation of sklearn.metrics.f1_score.
    scores = Scores(("0", "1", "2"), tuple("012012"), tuple("021001"))
    assert scores.macro_f1 == pytest.approx(0.26, abs=0.01)
    assert scores.macro_f1 == pytest.approx(4 / 15)
    assert (scores.right, scores.rows, scores.accuracy) == (2, 6, pytest.approx(1 / 3))


def test_precision_and_recall_per_label():
    scores = Scores(("a", "b"), ("a", "a", "a", "b"), ("a", "b", "b", "b"))
    a, b = scores.per_label
    assert (a.precision, a.recall, a.f1, a.rows) == (1.0, pytest.approx(1 / 3), pytest.approx(0.5), 3)
    assert (b.precision, b.recall, b.f1, b.rows) == (pytest.approx(1 / 3), 1.0, pytest.approx(0.5), 1)


def test_a_label_that_occurs_nowhere_does_not_count():
    assert Scores(("a", "b", "never"), ("a", "b"), ("a", "b")).macro_f1 == 1.0


def test_abstaining_is_wrong_but_nobody_s_prediction():
    scores = Scores(("a", "b"), ("a", "a", "b"), ("a", None, "b"))
    assert (scores.abstained, scores.accuracy) == (1, pytest.approx(2 / 3))
    assert [label.precision for label in scores.per_label] == [1.0, 1.0]
    assert scores.confusions() == [("a", None, 1)]


def test_confusions_come_by_frequency():
    scores = Scores(("a", "b", "c"), tuple("aabbcc"), tuple("abccca"))
    assert scores.confusions()[0] == ("b", "c", 2)
    assert scores.confusion.tolist() == [[1, 1, 0, 0], [0, 0, 2, 0], [1, 0, 1, 0]]


def test_unlisted_labels_and_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match="not listed"):
        Scores(("a", "b"), ("a",), ("c",))
    with pytest.raises(ValueError, match="2 gold labels and 1 predictions"):
        Scores(("a", "b"), ("a", "b"), ("a",))
