"""Splits: shares, blocks that stay whole, seeds that repeat."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locenc_csp.datasets.splits import equal_area_blocks, label_gap_split, random_split, stratified_subset


def uniform_points(count, seed=0):
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(-180, 180, count), np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))], axis=1)


def test_blocks_have_like_area_and_are_about_ten_degrees_wide():
    lonlat = uniform_points(400_000)
    _, counts = np.unique(equal_area_blocks(lonlat), return_counts=True)
    assert len(counts) == pytest.approx(4 * np.pi / np.deg2rad(10) ** 2, rel=0.02)
    equal = 400_000 / len(counts)
    assert counts.min() > 0.8 * equal  # the rounding of blocks per band, most of all at the poles
    assert counts.max() < 1.25 * equal


def test_blocks_at_the_edges_of_the_map():
    blocks = equal_area_blocks([(-180, 5), (180, 5), (179.9, 5), (540, 5), (0, 90), (0, 89.9), (0, -90), (-180, 0)])
    assert blocks[0] == blocks[1] == blocks[3] == blocks[7]
    assert blocks[2] == blocks[0] + 35
    assert blocks[4] == blocks[5]
    assert blocks[6] < 3


def test_label_gap_split_keeps_blocks_whole_and_has_the_shares():
    lonlat = uniform_points(20_000)
    split = label_gap_split(lonlat, 0)
    roles = {}
    for block, role in zip(equal_area_blocks(lonlat), split, strict=True):
        roles.setdefault(block, set()).add(str(role))
    assert {frozenset(found) for found in roles.values()} <= {
        frozenset(one) for one in [{"train"}, {"val"}, {"test", "pool"}, {"test"}, {"pool"}]
    }
    blocks = len(roles)
    assert sum(found == {"train"} for found in roles.values()) == round(0.6 * blocks)
    assert sum(found == {"val"} for found in roles.values()) == round(0.1 * blocks)
    assert abs((split == "test").sum() - (split == "pool").sum()) <= 1
    assert (split == "test").mean() == pytest.approx(0.15, abs=0.02)


def test_random_split_has_the_shares():
    split = random_split(30_000, 0)
    assert [int((split == role).sum()) for role in ("train", "val", "test", "pool")] == [19_000, 2_000, 9_000, 0]


@pytest.mark.parametrize(
    "make", [lambda seed: label_gap_split(uniform_points(500), seed), lambda seed: random_split(500, seed)]
)
def test_seeds_repeat_and_differ(make):
    assert np.array_equal(make(3), make(3))
    assert not np.array_equal(make(3), make(4))


def test_settings_that_are_no_counts_are_named():
    for make in (
        lambda: label_gap_split(uniform_points(5), -1),
        lambda: random_split(5, -1),
        lambda: stratified_subset([0, 1], 0.5, -1),
    ):
        with pytest.raises(ValueError, match="seed must be a whole number of at least 0, got -1"):
            make()
    with pytest.raises(ValueError, match="count must be a whole number of at least 0, got -5"):
        random_split(-5, 0)


def test_empty_splits():
    assert label_gap_split(np.empty((0, 2)), 0).shape == (0,)
    assert random_split(0, 0).shape == (0,)
    assert stratified_subset([], 0.5, 0).shape == (0,)
    assert stratified_subset([-1, -1], 0.5, 0).shape == (0,)


@given(st.lists(st.integers(-1, 6), max_size=80), st.floats(0.001, 1), st.integers(0, 5))
def test_subset_keeps_the_share_of_every_class(codes, ratio, seed):
    codes = np.array(codes, dtype=np.int64)
    rows = stratified_subset(codes, ratio, seed)
    assert np.array_equal(rows, np.unique(rows))
    assert np.array_equal(rows, stratified_subset(codes, ratio, seed))
    for code in range(7):
        count = int((codes == code).sum())
        assert (codes[rows] == code).sum() == (max(1, round(ratio * count)) if count else 0)
    assert not (codes[rows] < 0).any()


def test_subset_of_half_rounds_to_even_and_full_keeps_all():
    codes = np.repeat([0, 1], [5, 7])
    assert len(stratified_subset(codes, 0.5, 0)) == 2 + 4
    assert stratified_subset(codes, 1.0, 0).tolist() == list(range(12))
    assert not np.array_equal(stratified_subset(codes, 0.5, 0), stratified_subset(codes, 0.5, 1))


@pytest.mark.parametrize("ratio", [0, -0.1, 1.01, 5, float("nan")])
def test_subset_refuses_a_ratio_that_is_no_share(ratio):
    with pytest.raises(ValueError, match=r"must lie in \(0, 1\], got"):
        stratified_subset([0, 1], ratio, 0)
