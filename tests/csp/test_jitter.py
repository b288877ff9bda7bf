"""Jitter: no farther than it may, uniform by area, the same everywhere; balanced epochs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locenc_csp.jitter import jitter

RADIUS_M = 6_371_008.8
PLACES = [(2.35, 48.86), (-180.0, 0.0), (17.0, 90.0), (120.0, -89.9999), (179.9999, 60.0)]


def tangent_metres(place: tuple[float, float], moved: np.ndarray) -> np.ndarray:
    """East and north in metres of places near a place, by the gnomonic projection about it."""
    lon, lat = np.deg2rad(place)
    other_lon, other_lat = np.deg2rad(moved).T
    cosine = np.sin(lat) * np.sin(other_lat) + np.cos(lat) * np.cos(other_lat) * np.cos(other_lon - lon)
    east = np.cos(other_lat) * np.sin(other_lon - lon)
    north = np.cos(lat) * np.sin(other_lat) - np.sin(lat) * np.cos(other_lat) * np.cos(other_lon - lon)
    return RADIUS_M * np.stack([east, north], 1) / cosine[:, None]


@pytest.mark.parametrize("place", PLACES)
def test_it_is_uniform_in_a_disc_everywhere(place: tuple[float, float]) -> None:
    lonlat = torch.tensor([place], dtype=torch.float64).repeat(20_000, 1)
    moved = jitter(lonlat, 500.0, torch.Generator().manual_seed(1)).numpy()
    assert (np.abs(moved[:, 1]) <= 90).all()
    steps = tangent_metres(place, moved)
    distance = np.hypot(*steps.T)
    assert distance.max() < 500 * (1 + 1e-6)
    assert np.abs(steps.mean(0)).max() < 8  # standard error 1.8 m
    assert np.allclose(np.cov(steps.T), np.eye(2) * 500**2 / 4, atol=0.03 * 500**2 / 4)
    share = np.sort((distance / 500) ** 2)  # uniform in [0, 1]: Kolmogorov-Smirnov
    assert np.abs(share - np.linspace(0, 1, len(share))).max() < 1.95 / np.sqrt(len(share))


@settings(max_examples=30, deadline=None)
@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90), metres=st.floats(1e-3, 2e7), seed=st.integers(0, 99))
def test_never_farther(lon: float, lat: float, metres: float, seed: int) -> None:
    lonlat = torch.tensor([[lon, lat]], dtype=torch.float64)
    moved = jitter(lonlat, metres, torch.Generator().manual_seed(seed))
    a, b = (np.array([np.cos(p) * np.cos(q), np.cos(p) * np.sin(q), np.sin(p)]) for q, p in
            (np.deg2rad(one[0].numpy()) for one in (lonlat, moved)))  # fmt: skip
    angle = 2 * np.arcsin(min(1, np.linalg.norm(a - b) / 2))
    assert angle * RADIUS_M <= metres * (1 + 1e-9) + 1e-7
    assert torch.equal(moved, jitter(lonlat, metres, torch.Generator().manual_seed(seed)))
