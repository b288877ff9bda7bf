"""What seamless=True promises, and what its absence does not."""

import math

import formulas
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import locenc
from locenc.coords import unit_sphere

NAMES = [
    *(f"sphere2vec-{variant}" for variant in ("sphereC", "sphereC+", "sphereM", "sphereM+", "dfs")),
    "space2vec-grid",
]
AT_POLES = ["sphere2vec-sphereC", "sphere2vec-sphereM"]


def options(name: str, **others: object) -> dict:
    """Sixteen scales (dfs: six) that fit: the finest has 999 turns, of Space2Vec 573."""
    return {"num_scales": 6 if name.endswith("dfs") else 16, "seamless": True, **others}


def turns(encoder: torch.nn.Module) -> list[float]:
    """Turns per 360 degrees at each scale, finest first: the table's rows along latitude, which open with them."""
    along_lat = encoder.frequencies[encoder.frequencies[:, 1] != 0, 1] * 180
    return along_lat[: encoder.config["num_scales"]].tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-12), (torch.float32, 1e-6)])
def test_the_antimeridian_is_no_seam(name: str, dtype: torch.dtype, atol: float) -> None:
    encoder = locenc.position_encoder(name, **options(name), dtype=dtype)
    lat = torch.linspace(-90, 90, 181, dtype=torch.float64)
    east, west = (encoder(torch.stack([torch.full_like(lat, lon), lat], 1)) for lon in (180.0, -180.0))
    torch.testing.assert_close(east, west, rtol=0, atol=atol)


@pytest.mark.parametrize("name", NAMES)
def test_without_it_the_antimeridian_is_a_seam(name: str) -> None:
    encoder = locenc.position_encoder(name, **options(name, seamless=False))
    ends = encoder(torch.tensor([(180.0, 45.0), (-180.0, 45.0)], dtype=torch.float64))
    assert (ends[0] - ends[1]).abs().max() > 1


@pytest.mark.parametrize("name", AT_POLES)
@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_longitude_does_not_matter_at_the_poles(name: str, pole: float) -> None:
    encoder = locenc.position_encoder(name, **options(name), dtype=torch.float64)
    lon = torch.linspace(-180, 180, 361, dtype=torch.float64)
    features = encoder(torch.stack([lon, torch.full_like(lon, pole)], 1))
    assert (features - features[0]).abs().max() < 1e-6
    as_published = locenc.position_encoder(name, **options(name, seamless=False), dtype=torch.float64)
    features = as_published(torch.stack([lon, torch.full_like(lon, pole)], 1))
    assert (features - features[0]).abs().max() > 0.1


def changes(encoder: torch.nn.Module, one: np.ndarray, other: np.ndarray) -> tuple[Tensor, Tensor]:
    """Largest change of a feature between places (N, 2), and the angles between them in radians."""
    one, other = torch.from_numpy(one), torch.from_numpy(other)
    angle = 2 * torch.asin((unit_sphere(one) - unit_sphere(other)).norm(dim=1) / 2)
    return (encoder(one) - encoder(other)).abs().amax(1), angle


@pytest.mark.parametrize("name", NAMES)
def test_features_change_slowly_across_the_antimeridian(name: str) -> None:
    # A phase of k turns changes by k radians for each of longitude, which is 1 / cos(lat) of the distance, and a
    # product by the sum of its factors' changes: within 80 degrees of the equator 2 k / cos(80 degrees) bounds it.
    rng = np.random.default_rng(5)
    reach, lat = 1e-4, rng.uniform(-80, 80, 1000)  # degrees: 11 m at the equator
    one = np.stack([180 - rng.uniform(0, reach, 1000), lat], 1)
    other = np.stack([-180 + rng.uniform(0, reach, 1000), lat + rng.uniform(-reach, reach, 1000)], 1)
    encoder = locenc.position_encoder(name, **options(name), dtype=torch.float64)
    steepest = 2 * max(turns(encoder)) / math.cos(math.radians(80.001))
    change, angle = changes(encoder, one, other)
    assert (change <= steepest * angle + 1e-9).all()
    as_published = locenc.position_encoder(name, **options(name, seamless=False), dtype=torch.float64)
    change, angle = changes(as_published, one, other)
    assert (change > 10 * steepest * angle).any()


@pytest.mark.parametrize(("name", "power"), [("sphere2vec-sphereC", 2), ("sphere2vec-sphereM", 1)])
def test_how_fast_features_change_near_the_poles(name: str, power: int) -> None:
    # At distance d from a pole |cos(k lat)| <= k d for odd k, and the other factor turns at most k times (sphereC) or
    # once (sphereM) for each turn around the pole: slopes grow as k squared and as k, and do grow so.
    rng = np.random.default_rng(6)
    pole, away = rng.choice([-90.0, 90.0], 2000), rng.uniform(0, 1e-3, 2000)  # degrees: up to 111 m
    one = np.stack([rng.uniform(-180, 180, 2000), pole - np.sign(pole) * away], 1)
    across = np.stack([rng.uniform(-180, 180, 2000), pole - np.sign(pole) * rng.uniform(0, 1e-3, 2000)], 1)
    beside = one + np.stack([rng.uniform(-0.01, 0.01, 2000), np.zeros(2000)], 1)
    encoder = locenc.position_encoder(name, **options(name), dtype=torch.float64)
    steepest = max(turns(encoder)) ** power
    for other in (across, beside):
        change, angle = changes(encoder, one, other)
        assert (change <= 1.5 * steepest * angle + 1e-9).all()
    assert (change > 0.5 * steepest * angle).any()


@pytest.mark.parametrize("name", NAMES)
def test_frequencies_are_distinct_odd_numbers_near_the_published(name: str) -> None:
    moved = turns(locenc.position_encoder(name, **options(name)))
    published = turns(locenc.position_encoder(name, **options(name, seamless=False)))
    radii = formulas.ENCODERS[name][1]
    exact = formulas.geometric_list(len(moved), radii["min_radius"], radii["max_radius"])
    np.testing.assert_allclose(moved, np.round(moved), rtol=1e-14)
    whole = [round(value) for value in moved]
    assert all(value % 2 == 1 for value in whole)
    assert whole == sorted(set(whole), reverse=True)
    assert abs(whole[0] - published[0]) <= 1
    assert whole == formulas.odd_turns([f * 180 / formulas.mp.pi if name == "space2vec-grid" else f for f in exact])


@settings(deadline=None, max_examples=60)
@given(
    num_scales=st.integers(1, 80), finest=st.floats(1e-3, 0.5), coarsest=st.floats(0.6, 4.0), fewer=st.integers(0, 10)
)
def test_the_error_names_the_largest_number_that_fits(
    num_scales: int, finest: float, coarsest: float, fewer: int
) -> None:
    radii = {"min_radius": finest, "max_radius": coarsest, "seamless": True}
    highest, lowest = (formulas.odd_turns([f])[0] for f in formulas.geometric_list(2, finest, coarsest))
    fits = (highest - lowest) // 2 + 1
    locenc.position_encoder("sphere2vec-sphereC", num_scales=min(num_scales, max(1, fits - fewer)), **radii)
    if num_scales > fits:
        with pytest.raises(ValueError, match=rf"{num_scales} do not fit .*at most num_scales={fits},"):
            locenc.position_encoder("sphere2vec-sphereC", num_scales=num_scales, **radii)


@pytest.mark.parametrize("name", NAMES)
def test_values_agree_with_the_formula(name: str) -> None:
    encoder = locenc.position_encoder(name, **options(name), dtype=torch.float64)
    rng = np.random.default_rng(2)
    lonlat = np.stack([rng.uniform(-180, 180, 50), rng.uniform(-90, 90, 50)], 1)
    expected = formulas.evaluate(name, lonlat, **options(name))
    torch.testing.assert_close(encoder(torch.from_numpy(lonlat)), torch.from_numpy(expected), rtol=0, atol=1e-11)


def test_what_cannot_be_seamless_says_so() -> None:
    with pytest.raises(ValueError, match=r"theory's directions are oblique.*seamless is for grid"):
        locenc.position_encoder("space2vec-theory", seamless=True)
    with pytest.raises(ValueError, match=r"power list for sphereM.* and dfs alone, never seamless"):
        locenc.position_encoder("sphere2vec-dfs", seamless=True, frequency_list="power")
    with pytest.raises(ValueError, match=r"power list for sphereM"):
        locenc.position_encoder("sphere2vec-sphereC", frequency_list="power")
    with pytest.raises(ValueError, match=r"unknown frequency list 'powers'. Did you mean 'power'"):
        locenc.position_encoder("sphere2vec-dfs", frequency_list="powers")
