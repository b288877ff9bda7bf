"""Geolocation by a gallery, against brute force and the haversine formula."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from locenc_csp.geolocation import LEVELS_KM, geolocate, within_km


def haversine_km(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    (lon, lat), (other_lon, other_lat) = np.deg2rad(a).T, np.deg2rad(b).T
    root = np.sin((lat - other_lat) / 2) ** 2 + np.cos(lat) * np.cos(other_lat) * np.sin((lon - other_lon) / 2) ** 2
    return 2 * 6371.0088 * np.arcsin(np.sqrt(root))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), images=st.integers(0, 9), gallery=st.integers(1, 30))
def test_the_best_of_the_gallery(seed: int, images: int, gallery: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(images, 4)), rng.normal(size=(gallery, 4)) * rng.uniform(0.1, 9, (gallery, 1))
    cosine = (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T
    assert geolocate(torch.tensor(a), torch.tensor(b)).tolist() == cosine.argmax(1).tolist()


def test_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = torch.randn(50, 4), torch.randn(20, 4)
    whole = geolocate(a, b)
    monkeypatch.setattr("locenc_csp._matrices.BLOCK", 60)
    assert np.array_equal(geolocate(a, b), whole)


def test_shares_within_distances() -> None:
    rng = np.random.default_rng(0)
    truth = np.stack([rng.uniform(-180, 180, 500), rng.uniform(-90, 90, 500)], 1)
    found = truth + rng.normal(size=truth.shape) * 10.0 ** rng.uniform(-3, 1.5, (500, 1))
    found = np.stack([(found[:, 0] + 180) % 360 - 180, found[:, 1].clip(-90, 90)], 1)
    distance = haversine_km(found, truth)
    assert within_km(found, truth) == {km: (distance <= km).mean() for km in LEVELS_KM}
    assert list(within_km(found, truth, km=(5, 10))) == [5.0, 10.0]


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match=r"M at least 1, got \(3, 4\) and \(0, 4\)"):
        geolocate(torch.zeros(3, 4), torch.zeros(0, 4))
    with pytest.raises(ValueError, match=r"got \(3, 4\) and \(2, 5\)"):
        geolocate(torch.zeros(3, 4), torch.zeros(2, 5))
    with pytest.raises(ValueError, match="as many predicted places as true ones are needed, got 1 and 2"):
        within_km([[0, 0]], [[0, 0], [1, 1]])
    with pytest.raises(ValueError, match="got 0 and 0"):
        within_km(np.zeros((0, 2)), np.zeros((0, 2)))
