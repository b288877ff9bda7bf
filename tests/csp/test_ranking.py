"""Top-k, mean reciprocal rank and accuracy by class, against examples worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from locenc_csp import _matrices
from locenc_csp.ranking import Scores, class_scores, ranks, scores

IMAGE = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])


def test_scores_by_hand():
    probs = np.array(
        [
            [0.6, 0.1, 0.1, 0.1, 0.05, 0.05],  # 0 is first
            [0.6, 0.2, 0.1, 0.05, 0.03, 0.02],  # 2 is third
            [0.6, 0.2, 0.1, 0.05, 0.03, 0.02],  # 4 is fifth
            [0.6, 0.2, 0.1, 0.05, 0.03, 0.02],  # 5 is sixth
        ]
    )
    result = scores(probs, [0, 2, 4, 5])
    assert result == Scores(0.25, 0.5, 0.75, 1.0, pytest.approx((1 + 1 / 3 + 1 / 5 + 1 / 6) / 4), 4)
    assert scores(torch.tensor(probs), torch.tensor([0, 2, 4, 5])) == result


def test_ties_count_against_the_prediction():
    assert scores([[0.25] * 4], [0]) == Scores(0.0, 0.0, 1.0, 1.0, 0.25, 1)
    assert scores([[0.4, 0.4, 0.2]], [1]) == Scores(0.0, 1.0, 1.0, 1.0, 0.5, 1)
    assert scores([[1.0, 0.0, 0.0, 0.0]], [2]).top3 == 0  # an image classifier's zeros


def test_few_classes():
    assert scores([[0.9, 0.1], [0.9, 0.1]], [0, 1]) == Scores(0.5, 1.0, 1.0, 1.0, 0.75, 2)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(1, 9))
def test_scores_are_ordered_and_depend_on_ranks_alone(seed, classes):
    generator = np.random.default_rng(seed)
    probs = generator.dirichlet(np.full(classes, 0.5), 20).round(1)
    labels = generator.integers(classes, size=20)
    result = scores(probs, labels)
    assert 0 <= result.top1 <= result.mrr <= 1
    assert result.top1 <= result.top3 <= result.top5 <= result.top10 <= 1
    order = generator.permutation(classes)
    assert scores(np.exp(3 * probs)[:, order], order.argsort()[labels]) == result


@pytest.mark.parametrize(
    ("probs", "labels", "error", "message"),
    [
        (IMAGE, [0], ValueError, r"one per row, at least one: got shape \(1,\) for 2 rows"),
        (IMAGE[:0], np.zeros(0, int), ValueError, r"at least one: got shape \(0,\) for 0 rows"),
        (IMAGE, [0.0, 1.0], TypeError, r"labels must be integer class numbers, got float64"),
        (IMAGE, [0, -1], ValueError, r"in 0 \.\. 2, but row 1 has -1; -1 means a missing label"),
        (IMAGE, [3, 4], ValueError, r"row 0 has 3, and 1 more row; -1"),
        ([[0.5, 0.5], [np.nan, 1.0]], [0, 1], ValueError, r"probs has NaN in row 1"),
        ([0.5, 0.5], [0, 1], ValueError, r"probs must be numbers of shape \(N, K\), got float64 \(2,\)"),
    ],
)
def test_bad_scores(probs, labels, error, message):
    with pytest.raises(error, match=message):
        scores(probs, labels)


def test_the_best_ten():
    probs = np.linspace(1, 0, 12)[None].repeat(12, 0)
    assert_array_equal(ranks(probs, np.arange(12)), np.arange(1, 13))
    assert scores(probs, np.arange(12)).top10 == 10 / 12


def test_blocks_of_rows_change_nothing(monkeypatch):
    generator = np.random.default_rng(0)
    probs, labels = generator.uniform(size=(50, 7)).astype(np.float32), generator.integers(7, size=50)
    whole = ranks(probs, labels)
    monkeypatch.setattr(_matrices, "BLOCK", 20)
    assert_array_equal(ranks(probs, labels), whole)
    probs[31, 2] = np.nan
    with pytest.raises(ValueError, match="probs has NaN in row 31"):
        ranks(probs, labels)


# By class


def test_class_scores_by_hand():
    result = class_scores(np.array([1, 2, 1, 1, 7]), [0, 0, 0, 3, 4], 5)
    assert_array_equal(result.accuracy, [2 / 3, np.nan, np.nan, 1, 0])
    assert_array_equal(result.num_rows, [3, 0, 0, 1, 1])
    assert result.macro == pytest.approx((2 / 3 + 1 + 0) / 3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), classes=st.integers(1, 9))
def test_classes_together_are_the_whole(seed, classes):
    generator = np.random.default_rng(seed)
    probs, labels = generator.uniform(size=(30, classes)), generator.integers(classes, size=30)
    result = class_scores(ranks(probs, labels), labels, classes)
    present = result.num_rows > 0
    assert result.num_rows.sum() == 30
    hits = result.accuracy[present] @ result.num_rows[present]
    assert hits / 30 == pytest.approx(scores(probs, labels).top1)


def test_bad_class_scores():
    with pytest.raises(ValueError, match=r"one per row, at least one: got shape \(1,\) for 2 rows"):
        class_scores(np.array([1, 2]), [0], 3)
    with pytest.raises(ValueError, match=r"in 0 \.\. 2, but row 1 has 3"):
        class_scores(np.array([1, 2]), [0, 3], 3)
