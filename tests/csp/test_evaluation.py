"""Combined probabilities, against examples worked out by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from locenc_csp import _matrices
from locenc_csp.evaluation import WEIGHTS, Weights, choose_weights, multiply_prior
from locenc_csp.ranking import scores

IMAGE = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
LOCATION = np.array([[0.2, 0.8, 0.5], [0.9, 0.9, 0.1]])  # sigmoids: rows do not sum to 1


def probabilities(seed, rows=6, classes=4):
    values = np.random.default_rng(seed).gamma(0.5, size=(rows, classes)) + 1e-9
    return values / values.sum(1, keepdims=True)


# The product


def test_product_by_hand():
    result = multiply_prior(IMAGE, LOCATION)
    assert_allclose(result[0], np.array([0.10, 0.24, 0.10]) / 0.44)
    assert_allclose(result[1], np.array([0.09, 0.09, 0.08]) / 0.26)
    weighted = multiply_prior(IMAGE, LOCATION, image_weight=0.5, location_weight=2)
    expected = np.sqrt(IMAGE) * LOCATION**2
    assert_allclose(weighted, expected / expected.sum(1, keepdims=True))
    assert_allclose(multiply_prior(IMAGE, LOCATION, location_weight=0), IMAGE)
    alone = multiply_prior(IMAGE, LOCATION, image_weight=0)
    assert_allclose(alone, LOCATION / LOCATION.sum(1, keepdims=True))


def test_row_without_location_is_the_image_alone():
    location = LOCATION.copy()
    location[0] = np.nan
    for weights in ({}, {"image_weight": 0}, {"image_weight": 0.25}):
        result = multiply_prior(IMAGE, location, has_location=[False, True], **weights)
        assert_allclose(result[0], IMAGE[0])
        assert_allclose(result[1], multiply_prior(IMAGE, LOCATION, **weights)[1])
    assert_allclose(multiply_prior(2 / 3 * IMAGE, location, has_location=[False, False]), IMAGE)


def test_branches_that_exclude_each_other_fall_back_to_the_image():
    image, location = np.array([[0.7, 0.3, 0.0]]), np.array([[0.0, 0.0, 1.0]])
    assert_allclose(multiply_prior(image, location), image)
    assert_allclose(multiply_prior(image, np.zeros((1, 3))), image)
    sparse = multiply_prior(image, np.array([[0.0, 0.5, 0.5]]))
    assert_array_equal(sparse, [[0.0, 1.0, 0.0]])


def test_small_probabilities_do_not_underflow():
    tiny = np.array([[3e-30, 1e-30]], np.float32)
    result = multiply_prior(np.array([[0.5, 0.5]], np.float32), tiny, location_weight=2)
    assert result.dtype == np.float32
    assert_allclose(result, [[0.9, 0.1]], rtol=1e-4)


def test_blocks_of_rows_change_nothing(monkeypatch):
    image, location = probabilities(0, 50), probabilities(1, 50)
    location[7] = np.nan
    known = np.arange(50) != 7
    whole = multiply_prior(image, location, has_location=known)
    monkeypatch.setattr(_matrices, "BLOCK", 12)
    assert_array_equal(multiply_prior(image, location, has_location=known), whole)
    with pytest.raises(ValueError, match=r"row 7 has nan for class 0; a row without"):
        multiply_prior(image, location)


def test_tensors_and_dtypes():
    result = multiply_prior(torch.tensor(IMAGE, dtype=torch.float32), torch.tensor(LOCATION))
    assert result.dtype == np.float64
    assert_allclose(result, multiply_prior(IMAGE, LOCATION), rtol=1e-6)
    assert multiply_prior(IMAGE[:0], LOCATION[:0]).shape == (0, 3)
    half = multiply_prior(torch.tensor(IMAGE).half(), torch.tensor(LOCATION).half())
    assert_allclose(half, multiply_prior(IMAGE, LOCATION), rtol=2e-3)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), a=st.floats(0, 3), b=st.floats(0.1, 3))
def test_product_is_a_distribution_and_knows_no_order_of_classes(seed, a, b):
    image, location = probabilities(seed), probabilities(seed + 1)
    result = multiply_prior(image, location, image_weight=a, location_weight=b)
    assert_allclose(result.sum(1), 1)
    order = np.random.default_rng(seed).permutation(4)
    moved = multiply_prior(image[:, order], location[:, order], image_weight=a, location_weight=b)
    assert_allclose(moved, result[:, order], rtol=1e-9)
    scaled = multiply_prior(image, 0.3 * location, image_weight=a, location_weight=b)
    assert_allclose(scaled, result, rtol=1e-9)


def changed(array, row, column, value):
    array = array.copy()
    array[row, column] = value
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"location_probs": LOCATION[:, :2]}, r"same rows and classes, got \(2, 3\) and \(2, 2\)"),
        ({"image_probs": IMAGE[0]}, r"image_probs must be numbers of shape \(N, K\), got float64 \(3,\)"),
        ({"image_probs": IMAGE.astype(str)}, r"image_probs must be numbers"),
        ({"image_probs": changed(IMAGE, 1, 2, np.nan)}, r"image_probs must lie in .* row 1 has nan for class 2"),
        ({"location_probs": changed(LOCATION, 0, 1, -0.1)}, r"row 0 has -0\.1 for class 1; .* has_location"),
        ({"image_probs": IMAGE + 1}, r"row 0 has 1\.5 for class 0, and 1 more row$"),
        ({"location_probs": LOCATION + 0.2}, r"row 1 has 1\.1\d* for class 0; .* has_location"),
        ({"image_probs": changed(IMAGE, 0, slice(None), 0)}, r"image_probs is 0 for every class in row 0"),
        ({"has_location": [True]}, r"has_location must be bool of shape \(2,\), got bool \(1,\)"),
        ({"has_location": [1, 0]}, r"has_location must be bool of shape \(2,\), got int64"),
        ({"image_weight": -1}, r"image_weight must be finite and >= 0, got -1"),
        ({"location_weight": np.inf}, r"location_weight must be finite and >= 0, got inf"),
        ({"image_weight": 0, "location_weight": 0}, r"are both 0: nothing is left"),
    ],
)
def test_bad_products(change, message):
    with pytest.raises(ValueError, match=message):
        multiply_prior(**({"image_probs": IMAGE, "location_probs": LOCATION} | change))


# Weights chosen on validation


def test_chosen_weights_are_never_worse_than_a_branch_or_the_product():
    for seed in range(10):
        image, location = probabilities(seed, 50), probabilities(seed + 100, 50)
        labels = np.random.default_rng(seed).integers(4, size=50)
        weights = choose_weights(image, location, labels)
        chosen = scores(multiply_prior(image, location, **weights._asdict()), labels).top1
        for other in WEIGHTS:
            assert chosen >= scores(multiply_prior(image, location, **other._asdict()), labels).top1


def test_weights_reach_both_ends_and_prefer_the_plain_product():
    labels = np.arange(4).repeat(5)
    right = np.full((20, 4), 0.1) + 0.6 * np.eye(4)[labels]
    wrong = np.full((20, 4), 1e-6) + 0.99 * np.eye(4)[(labels + 1) % 4]
    assert choose_weights(right, wrong, labels) == Weights(1, 0)
    assert choose_weights(wrong, right, labels) == Weights(0, 1)
    assert choose_weights(right, right, labels) == Weights(1, 1)
    assert Weights(1, 0) in WEIGHTS
    assert Weights(0, 1) in WEIGHTS
    missing = wrong * np.nan
    assert choose_weights(right, missing, labels, has_location=np.zeros(20, bool)) == Weights(1, 1)
