"""Geo-bias scores against pairs of points in plain loops, at poles and the antimeridian; what leaves them alone."""

import math

import geo_bias_formulas as formulas
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from locenc_csp import concentric
from locenc_csp.geo_bias_relative import relative_information
from locenc_csp.geo_bias_self import self_information, surprise
from locenc_csp.neighbourhoods import local_coordinates, make_places, neighbourhoods, radians

CENTRES = {
    "inland": (10.0, 20.0),
    "equator": (0.0, 0.0),
    "antimeridian": (180.0, -50.0),
    "north pole": (30.0, 90.0),
    "south pole": (-77.0, -90.0),
    "beside the pole": (179.9, 89.5),
}
PARTS = {"cells": "cell_km", "rings": "ring_km", "sectors": "num_sectors"}


def around(place, count, reach, seed):
    """Places within ``reach`` radians of a place, dense at it; the last three stand where the second is."""
    rng = np.random.default_rng(seed)
    lonlat = np.array(
        [formulas.destination(place, rng.uniform(0, 2 * math.pi), reach * rng.uniform()) for _ in range(count)]
    )
    lonlat[:, 0] = (lonlat[:, 0] + 180) % 360 - 180
    lonlat[0] = place
    lonlat[-3:] = lonlat[1]
    return lonlat, rng.integers(1, 4, count).astype(float)


@pytest.mark.parametrize("place", CENTRES.values(), ids=CENTRES)
@pytest.mark.parametrize(("count", "reach", "radius_km"), [(12, 0.02, 100), (30, 0.01, 60), (20, 1.0, 4000)])
def test_self_information_against_pairs_of_points(place, count, reach, radius_km):
    lonlat, values = around(place, count, reach, seed=count)
    for marks in (None, values):
        found = self_information(lonlat, marks, radius_km=radius_km)
        for row in (0, count // 2):
            given = np.ones(count) if marks is None else marks
            score, places = formulas.self_information(lonlat.tolist(), given.tolist(), row, radius_km)
            assert found.num_places[row] == places
            assert_allclose(found.local[row], score, rtol=1e-9, atol=1e-9)


def test_many_places_at_one_place_and_in_one_town():
    town, values = around((5.0, 50.0), 90, 1e-4, seed=0)
    lonlat = np.concatenate([town, np.tile(town[7], (25, 1)), np.array([[5.3, 50.2], [4.9, 49.8]])])
    values = np.concatenate([values, np.arange(25) % 3 + 1.0, [2.0, 1.0]])
    rows = [0, 95, len(lonlat) - 1]
    for most in (None, 40):
        found = self_information(lonlat, values, radius_km=50, centres=rows, max_neighbours=most)
        for row, local in zip(rows, found.local, strict=True):
            if most is None:
                score, _ = formulas.self_information(lonlat.tolist(), values.tolist(), row, 50)
                assert_allclose(local, score, rtol=1e-9)
    assert found.num_places.tolist() == [40, 40, 40]


def test_the_nearest_places_alone():
    lonlat, values = around((-60.0, 5.0), 40, 0.01, seed=3)
    found = self_information(lonlat[:-3], values[:-3], radius_km=60, centres=[2, 9], max_neighbours=15)
    for row, local in zip((2, 9), found.local, strict=True):
        score, places = formulas.self_information(lonlat[:-3].tolist(), values[:-3].tolist(), row, 60, most=15)
        assert places == 15
        assert_allclose(local, score, rtol=1e-9)


@pytest.mark.parametrize("kind", PARTS)
@pytest.mark.parametrize("place", CENTRES.values(), ids=CENTRES)
def test_relative_information_against_loops(place, kind):
    for count, reach, radius_km in ((60, 0.02, 100), (60, 1.0, 4000)):
        lonlat, values = around(place, count, reach, seed=count)
        size = 4 if kind == "sectors" else radius_km / 2.7
        found = relative_information(
            lonlat, values, radius_km=radius_km, min_places=4, bins=[1, 2, 3.5], **{PARTS[kind]: size}
        )
        for row in range(0, count, 7):
            score, places = formulas.relative_information(
                lonlat.tolist(), values.tolist(), row, radius_km, kind, size, 4, [1, 2, 3.5]
            )
            assert found.num_places[row] == places
            assert_allclose(found.local[row], np.nan if score is None else score, atol=1e-10)


def test_the_mean_is_weighted_by_the_number_of_places():
    lonlat, values = around((10.0, 20.0), 40, 0.02, seed=5)
    for found in (
        self_information(lonlat, values),
        relative_information(lonlat, values, radius_km=100, num_sectors=3, min_places=9),
    ):
        known = ~np.isnan(found.local)
        assert_allclose(found.score, np.average(found.local[known], weights=found.num_places[known]))
    nothing = relative_information(lonlat, values, radius_km=100, num_sectors=3, min_places=41)
    assert np.isnan(nothing.score)
    assert np.isnan(self_information(lonlat, centres=[]).score)
    assert self_information(lonlat, centres=[3, 3]).local.shape == (2,)


def test_one_place_alone():
    assert self_information([[12.0, 45.0]]).num_places.tolist() == [1]
    score, _ = formulas.self_information([[12.0, 45.0]], [1.0], 0, 100)
    assert_allclose(self_information([[12.0, 45.0]]).score, score)


def test_one_row_for_each_bin_of_values():
    rings = {"radius_km": 200, "ring_km": 50, "min_places": 2}
    lonlat, values = around((10.0, 20.0), 40, 0.02, seed=6)
    same = relative_information(lonlat, np.full(40, 3.0), **rings)
    assert_allclose(same.score, 0, atol=1e-7)
    assert_allclose(
        relative_information(lonlat, values, bins=3, **rings).local,
        relative_information(lonlat, 10 * values, bins=[10, 16, 24, 31], **rings).local,
    )


def test_far_tails_are_kept():
    assert_allclose(surprise(np.array([0.0]), np.array([0.0]), np.array([1.0])), [0], atol=1e-15)
    for distance in (1.0, 40.0, 1e4):
        expected = formulas.two_sided_surprise(distance, 0, 1)
        both = surprise(np.array([distance, -distance]), np.zeros(2), np.ones(2))
        assert_allclose(both, expected, rtol=1e-13)


# What leaves the scores alone


def scores(lonlat, values):
    return (
        self_information(lonlat).local,
        self_information(lonlat, values).local,
        relative_information(lonlat, values, radius_km=100, cell_km=40, min_places=3).local,
        relative_information(lonlat, values, radius_km=100, num_sectors=5, min_places=3).local,
    )


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), lat=st.floats(-90, 90), turn=st.floats(-360, 360))
def test_turning_the_globe_about_its_axis(seed, lat, turn):
    lonlat, values = around((10.0, lat), 30, 0.02, seed)
    turned = lonlat + np.array([turn, 0])
    for before, after in zip(scores(lonlat, values), scores(turned, values), strict=True):
        assert_allclose(after, before, rtol=1e-6, atol=1e-6)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), lat=st.floats(-90, 90))
def test_the_order_of_places(seed, lat):
    lonlat, values = around((179.9, lat), 30, 0.02, seed)
    order = np.random.default_rng(seed).permutation(30)
    for before, after in zip(scores(lonlat, values), scores(lonlat[order], values[order]), strict=True):
        assert_allclose(after, before[order], rtol=1e-9, atol=1e-9)


def test_places_that_are_written_otherwise():
    lonlat, values = around((180.0, -50.0), 30, 0.02, seed=1)
    written = np.where(lonlat[:, :1] < 0, lonlat + np.array([360, 0]), lonlat)
    for before, after in zip(scores(lonlat, values), scores(written, values), strict=True):
        assert_allclose(after, before, rtol=1e-6, atol=1e-6)


# The search among rings


def test_four_background_points_within_reach():
    rng = np.random.default_rng(0)
    for last in (*range(2, 12), 30):
        sizes = [math.ceil(2 * math.pi * ring) for ring in range(1, last + 1)]
        ring = np.repeat(np.arange(1, last + 1), sizes)
        azimuth = np.concatenate([2 * math.pi * np.arange(size) / size for size in sizes])
        points = ring * np.exp(1j * azimuth)
        anywhere = rng.uniform(0, last, 3000) * np.exp(2j * math.pi * rng.uniform(size=3000))
        apart = np.abs(points[:, None] - points)
        fourth = np.sort(apart + 9 * np.eye(len(points)), axis=1)[:, 3]
        assert max(fourth.max(), np.sort(np.abs(anywhere[:, None] - points), axis=1)[:, 3].max()) < concentric.REACH


def test_compiled_and_not():
    lonlat, values = around((10.0, 89.0), 25, 0.02, seed=2)
    places, radius = make_places(lonlat), radians(100)
    batch = next(neighbourhoods(places, radius))
    layouts = [concentric.ring_layout(int(count), radius) for count in np.diff(batch.splits)]
    rings = np.array([ring for _, ring in layouts])
    none = np.zeros((25, 1), np.int64), np.zeros((25, 1))  # a list too short to be of use
    arguments = (
        local_coordinates(places, batch), batch.members, batch.splits, values, *none, radius,
        np.array([spacing for spacing, _ in layouts]), rings, concentric.ring_starts(int(rings.max())),
    )  # fmt: skip
    plain = getattr(concentric.moran_sums, "py_func", concentric.moran_sums)
    assert_allclose(concentric.moran_sums(*arguments), plain(*arguments), rtol=1e-12)


# What users get wrong


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"lonlat": [[10.0, 91.0]] * 3}, ValueError, "latitude"),
        ({"lonlat": np.zeros((0, 2)), "values": None}, ValueError, "at least one place, got none"),
        ({"values": [1, 2]}, ValueError, r"one number for each of 3 places, got shape \(2,\)"),
        ({"values": [1.0, np.nan, np.inf]}, ValueError, r"finite, but row 1 has nan, and 1 more row"),
        ({"values": [1, 2, 0]}, ValueError, r"row 2 has 0: count a miss as 1 and a hit as 2"),
        ({"radius_km": 0}, ValueError, r"above 0 and below a quarter of the globe, 10008 km, got 0"),
        ({"radius_km": 20000}, ValueError, r"got 20000"),
        ({"centres": [0, 3]}, ValueError, r"rows from 0 to 2, but number 1 is 3"),
        ({"centres": [0.5]}, TypeError, r"row numbers of shape \(C,\), got float64"),
        ({"max_neighbours": 0}, ValueError, r"max_neighbours must be a whole number of at least 1, got 0"),
    ],
)
def test_bad_self_information(change, error, message):
    lonlat = [[10.0, 20.0], [10.1, 20.1], [10.2, 20.2]]
    with pytest.raises(error, match=message):
        self_information(**({"lonlat": lonlat, "values": [1, 2, 2]} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, r"exactly one of cell_km, ring_km, num_sectors; got none"),
        ({"cell_km": 5, "ring_km": 5}, r"got cell_km and ring_km"),
        ({"cell_km": 0}, r"cell_km must be positive and finite, got 0"),
        ({"num_sectors": 0}, r"num_sectors must be a whole number of at least 1, got 0"),
        ({"ring_km": 5, "bins": 0}, r"bins must be a whole number from 1 to 4,000,000, got 0"),
        ({"ring_km": 5, "bins": [2, 1]}, r"two or more rising edges"),
        ({"ring_km": 5, "bins": [0, 0.5]}, r"within the bins, 0 to 0.5, but row 1 has 1$"),
        ({"ring_km": 5, "min_places": 0}, r"min_places must be"),
    ],
)
def test_bad_relative_information(change, message):
    with pytest.raises(ValueError, match=message):
        relative_information([[10.0, 20.0], [10.1, 20.1]], [0, 1], radius_km=100, **change)
