"""Temperature, reliability and calibration error: by hand, against scipy, and what must hold for any probabilities."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar

from locenc_csp import _matrices
from locenc_csp.calibration import (
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    reliability,
    temper,
)


def drawn(seed, rows=300, classes=5, temperature=1.0):
    """Probabilities, and labels that are drawn from them at another temperature."""
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(rows, classes))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = np.exp(logits / temperature) / np.exp(logits / temperature).sum(1, keepdims=True)
    return probs, np.array([rng.choice(classes, p=row) for row in true])


# Temperature


def test_temper_by_hand():
    probs = np.array([[0.1, 0.2, 0.1], [0.0, 0.5, 0.5]])  # rows of a presence head do not sum to 1
    assert_allclose(temper(probs, 1), [[0.25, 0.5, 0.25], [0, 0.5, 0.5]])
    assert_allclose(temper(probs, 0.5), [[1 / 6, 4 / 6, 1 / 6], [0, 0.5, 0.5]])
    assert_allclose(temper([[1e-300, 1e-200]], 200.0), [[0.2403, 0.7597]], atol=1e-4)
    assert temper(torch.tensor([[0.5, 0.5]]), 2).dtype == np.float32


@pytest.mark.parametrize("true", [0.3, 1.0, 3.0])
def test_temperature_is_found_again(true):
    probs, labels = drawn(0, rows=4000, temperature=true)
    assert fit_temperature(probs, labels) == pytest.approx(true, rel=0.1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), temperature=st.floats(0.2, 5))
def test_temperature_against_scipy(seed, temperature):
    probs, labels = drawn(seed, rows=60, temperature=temperature)

    def loss(log):
        powers = probs ** np.exp(-log)
        return -np.log(powers[np.arange(60), labels] / powers.sum(1)).mean()

    best = minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), method="bounded", options={"xatol": 1e-10})
    found = fit_temperature(probs, labels)
    assert loss(np.log(found)) <= best.fun + 1e-9
    assert negative_log_likelihood(temper(probs, found), labels) == pytest.approx(loss(np.log(found)))


def test_temperature_does_not_depend_on_scale_or_order():
    probs, labels = drawn(1)
    expected = fit_temperature(probs, labels)
    order = np.random.default_rng(0).permutation(5)
    assert fit_temperature(0.01 * probs, labels) == pytest.approx(expected)
    assert fit_temperature(probs[:, order], order.argsort()[labels]) == pytest.approx(expected)
    assert fit_temperature(temper(probs, 2.0), labels) == pytest.approx(expected / 2, rel=1e-5)


def test_temperature_at_its_bounds():
    probs = np.array([[0.6, 0.4]] * 10)
    assert fit_temperature(probs, np.zeros(10, int)) == pytest.approx(0.01)
    assert fit_temperature(probs, np.ones(10, int)) == pytest.approx(100)
    assert 0.01 <= fit_temperature([[1.0, 0.0]] * 4, [0, 0, 0, 1]) <= 100  # a class that was ruled out
    assert fit_temperature([[0.5, 0.5]] * 4, [0, 0, 0, 1]) == pytest.approx(1)  # any would do


def test_likelihood_by_hand():
    probs = [[0.1, 0.3], [0.5, 0.5]]
    assert negative_log_likelihood(probs, [0, 1]) == pytest.approx((np.log(4) + np.log(2)) / 2)
    assert negative_log_likelihood([[1.0, 0.0]], [1]) == pytest.approx(np.log(1e12), rel=1e-9)


# Reliability


def test_reliability_by_hand():
    probs = np.array([[0.55, 0.45], [0.2, 0.8], [0.7, 0.3], [1.0, 0.0], [0.5, 0.5], [1.8, 0.2]])
    table = reliability(probs, [0, 1, 1, 0, 0, 1], bins=5)
    assert_allclose(table.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    assert_array_equal(table.num_rows, [0, 0, 2, 2, 2])  # 0.8 is in the bin up to 0.8; 1.8 of 2.0 is 0.9
    assert_allclose(table.confidence, [np.nan, np.nan, 0.525, 0.75, 0.95])
    assert_allclose(table.accuracy, [np.nan, np.nan, 0.5, 0.5, 0.5])  # a tie counts against the row
    error = (2 * 0.025 + 2 * 0.25 + 2 * 0.45) / 6
    assert expected_calibration_error(probs, [0, 1, 1, 0, 0, 1], bins=5) == pytest.approx(error)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bins=st.integers(1, 30))
def test_reliability_has_every_row_once(seed, bins):
    probs, labels = drawn(seed, rows=40)
    table = reliability(probs, labels, bins=bins)
    filled = table.num_rows > 0
    assert table.num_rows.sum() == 40
    assert (table.confidence[filled] > table.edges[:-1][filled]).all()
    assert (table.confidence[filled] <= table.edges[1:][filled] + 1e-12).all()
    assert 0 <= expected_calibration_error(probs, labels, bins=bins) <= 1
    one = abs((probs.argmax(1) == labels).mean() - probs.max(1).mean())
    assert expected_calibration_error(probs, labels, bins=1) == pytest.approx(one)


def test_temperature_lowers_the_error():
    probs, labels = drawn(2, rows=3000, temperature=3.0)
    calibrated = temper(probs, fit_temperature(probs, labels))
    assert expected_calibration_error(calibrated, labels) < 0.3 * expected_calibration_error(probs, labels)
    assert negative_log_likelihood(calibrated, labels) < negative_log_likelihood(probs, labels)


def test_blocks_of_rows_change_nothing(monkeypatch):
    probs, labels = drawn(3)

    def everything():
        tempered = temper(probs, 2.0)
        return tempered, fit_temperature(probs, labels), *reliability(probs, labels)

    whole = everything()
    monkeypatch.setattr(_matrices, "BLOCK", 40)
    for before, after in zip(whole, everything(), strict=True):
        assert_allclose(after, before)


@pytest.mark.parametrize(
    ("probs", "message"),
    [
        ([[0.5, 0.5], [0.5, np.nan]], r"row 1 is \[0\.5 nan\]; leave rows without a location out"),
        ([[0.5, -0.1]], r"probs must be >= 0 and finite"),
        ([[0.5, np.inf]], r"probs must be >= 0 and finite"),
        ([[0.5, 0.5], [0.0, 0.0]], r"not 0 for every class, but row 1 is"),
        ([0.5, 0.5], r"probs must be numbers of shape \(N, K\)"),
    ],
)
def test_bad_probabilities(probs, message):
    labels = np.zeros(len(probs), int)
    for function in (
        lambda: temper(probs, 1),
        lambda: fit_temperature(probs, labels),
        lambda: reliability(probs, labels),
        lambda: negative_log_likelihood(probs, labels),
    ):
        with pytest.raises(ValueError, match=message):
            function()


def test_bad_settings():
    for temperature in (0, -1, np.inf, np.nan):
        with pytest.raises(ValueError, match="temperature must be positive and finite"):
            temper([[0.5, 0.5]], temperature)
    with pytest.raises(ValueError, match="bins must be a whole number from 1 to 1,048,576, got 0"):
        reliability([[0.5, 0.5]], [0], bins=0)
    with pytest.raises(ValueError, match=r"in 0 \.\. 1, but row 0 has 2"):
        fit_temperature([[0.5, 0.5]], [2])
