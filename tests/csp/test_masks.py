"""Which pairs lie at one place, against distances by the haversine formula."""

import math

import loss_formulas as formulas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locenc_csp.masks import same_place

COUNT = 30


def scattered(seed, spread):
    """Places around one point, within about ``spread`` degrees, two of them equal."""
    generator = torch.Generator().manual_seed(seed)
    lonlat = torch.randn(COUNT, 2, generator=generator, dtype=torch.float64) * spread
    lonlat += torch.tensor([360.0, 120.0]) * torch.rand(2, generator=generator) - torch.tensor([180.0, 60.0])
    lonlat[COUNT // 2] = lonlat[0]
    return lonlat


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([1e-7, 1e-3, 0.5, 30.0]),
    km=st.sampled_from([0.0, 0.001, 0.1, 50.0, 3000.0, 20000.0]),
    start=st.integers(0, COUNT - 1),
    stop=st.integers(1, COUNT),
)
def test_pairs_are_those_within_the_distance(seed, spread, km, start, stop):
    lonlat = scattered(seed, spread)
    lonlat[:, 1].clamp_(-90, 90)
    rows = slice(start, max(stop, start + 1))
    found = same_place(lonlat, km).pairs(rows)
    wanted = formulas.excluded(lonlat, km)[rows]
    distance = formulas.haversine_km(lonlat)[rows]
    sure = (distance - max(km, 1e-3)).abs() > 1e-6 + 1e-9 * km  # at the distance itself rounding decides
    assert found.dtype == torch.bool
    assert torch.equal(found & sure, wanted & sure)
    assert not found.diagonal(start).any()


def test_equal_coordinates_and_names_of_one_place():
    lonlat = torch.tensor([[2.0, 48.0], [2.0, 48.0], [180.0, 10.0], [-180.0, 10.0], [5.0, 90.0], [77.0, 90.0]])
    pairs = same_place(lonlat).pairs(slice(0, 6))
    assert pairs.nonzero().tolist() == [[0, 1], [1, 0], [2, 3], [3, 2], [4, 5], [5, 4]]
    metre = 180 / (math.pi * 6371008.8)
    apart = torch.tensor([[0.0, 0.0], [0.0, 0.5 * metre], [0.0, 2 * metre]], dtype=torch.float64)
    assert same_place(apart).pairs(slice(0, 3)).nonzero().tolist() == [[0, 1], [1, 0]]
    nowhere = torch.tensor([[math.nan, math.nan], [math.nan, math.nan]])
    assert not same_place(nowhere).pairs(slice(0, 2)).any()  # a place that is not known is none other's


def test_first_rows():
    there = same_place(scattered(0, 30.0), 3000.0)
    assert torch.equal(there.first(4).pairs(slice(0, 4)), there.pairs(slice(0, 4))[:, :4])


@pytest.mark.parametrize(
    ("lonlat", "km", "message"),
    [
        (torch.zeros(3), 0.0, r"places must have shape \(m, 2\), .* got \(3,\)"),
        (torch.zeros(3, 3), 0.0, r"got \(3, 3\)"),
        (torch.zeros(3, 2), -1.0, r"km must lie in \[0, 20015\] \(antipodes\), got -1"),
        (torch.zeros(3, 2), math.nan, r"got nan"),
    ],
)
def test_bad_input(lonlat, km, message):
    with pytest.raises(ValueError, match=message):
        same_place(lonlat, km)
