"""Random locations: their distributions against theory, their conditions, and that a seed repeats them."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from locenc import data
from locenc.coords import check_lonlat
from locenc_csp import min_distance, negatives
from locenc_csp._sphere import great_circle_km
from locenc_csp.negatives import at_least, box, density, land, make, official_ellipse, sphere

PLACES = torch.tensor([[2.35, 48.86], [-180.0, 0.0], [151.21, -33.87], [0.0, 90.0]], dtype=torch.float64)
EVERY = {
    "sphere": sphere(),
    "box": box(),
    "official-ellipse": official_ellipse(),
    "land": land(),
    "density": density(PLACES),
    "far": at_least(500, sphere()),
    "far-land": at_least(500, land()),
}


def draw(sampler, size=40_000, seed=0):
    lonlat = torch.zeros(size, 2, dtype=torch.float64)
    return sampler(lonlat, 1, torch.Generator().manual_seed(seed))


def chi_square(counts, expected):
    """The statistic in standard deviations of its distribution, for many cells."""
    statistic = ((counts - expected) ** 2 / expected).sum()
    freedom = len(counts) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


def equal_area_cells(points, bands=20, sectors=20):
    """How many points lie in each cell of equal area on the sphere: bands of equal height, times sectors."""
    height = np.sin(np.deg2rad(points[:, 1].numpy()))
    band = np.clip(np.floor((height + 1) / 2 * bands), 0, bands - 1)
    sector = np.floor((points[:, 0].numpy() + 180) / 360 * sectors)
    return np.bincount((band * sectors + sector).astype(int), minlength=bands * sectors)


@pytest.mark.parametrize("name", EVERY)
def test_contract(name):
    first = EVERY[name](PLACES, 3, torch.Generator().manual_seed(7))
    again = EVERY[name](PLACES, 3, torch.Generator().manual_seed(7))
    other = EVERY[name](PLACES, 3, torch.Generator().manual_seed(8))
    assert first.shape == (12, 2)
    assert first.dtype == torch.float64
    check_lonlat(first)
    assert first[:, 0].abs().max() <= 180
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert EVERY[name](PLACES[:0], 2, torch.Generator()).shape == (0, 2)


@pytest.mark.parametrize("name", EVERY)
def test_bad_calls(name):
    with pytest.raises(ValueError, match=r"shape \(B, 2\), got \(4, 3\)"):
        EVERY[name](torch.zeros(4, 3), 1, torch.Generator())
    with pytest.raises(ValueError, match="at least 1, got 0"):
        EVERY[name](PLACES, 0, torch.Generator())


def test_sphere_is_uniform():
    points = draw(sphere())
    lon, lat = torch.deg2rad(points).unbind(-1)
    xyz = torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], -1)
    limit = 4 / math.sqrt(len(points))  # four standard errors
    assert (xyz.mean(0).abs() < limit * math.sqrt(1 / 3)).all()
    covariance = xyz.T @ xyz / len(points)
    assert (covariance - torch.eye(3) / 3).abs().max() < limit * math.sqrt(1 / 5 - 1 / 9)
    assert abs((points[:, 1].abs() > 60).double().mean() - (1 - math.sqrt(3) / 2)) < limit
    counts = equal_area_cells(points)
    assert abs(chi_square(counts, len(points) / len(counts))) < 4


def test_box_is_uniform_in_degrees_and_not_on_the_sphere():
    points = draw(box())
    column, row = ((points + torch.tensor([180.0, 90.0])) / torch.tensor([18.0, 9.0])).long().unbind(-1)
    cells = (column * 20 + row).numpy()
    assert abs(chi_square(np.bincount(cells, minlength=400), len(points) / 400)) < 4
    assert chi_square(equal_area_cells(points), len(points) / 400) > 100


def test_official_ellipse_is_what_its_docstring_says():
    points = draw(official_ellipse())
    x, y = points[:, 0] / 180, points[:, 1] / 90
    assert (x * x + y * y).max() <= 1
    beyond = (points[:, 1].abs() > 60).double().mean().item()
    assert beyond == pytest.approx(1 / 3, abs=0.01)
    assert (draw(sphere())[:, 1].abs() > 60).double().mean().item() == pytest.approx(0.134, abs=0.01)
    near_date_line = points[points[:, 0].abs() > 170]
    assert near_date_line[:, 1].abs().max() < 90 * math.sqrt(1 - (170 / 180) ** 2)
    latitudes = np.histogram(points[:, 1].numpy(), bins=20, range=(-90, 90))[0]
    assert abs(chi_square(latitudes, len(points) / 20)) < 4  # latitude alone is uniform in degrees


def test_land_is_uniform_on_land():
    points = draw(land())
    mask = data.land_mask()
    assert data.sample_raster(mask, points.numpy()).all()
    area = mask * np.cos(np.deg2rad(90 - (np.arange(3600) + 0.5) * 0.05))[:, None]
    north = area[:1800].sum() / area.sum()
    west = area[:, :3600].sum() / area.sum()
    limit = 4 * 0.5 / math.sqrt(len(points))
    assert abs((points[:, 1] > 0).double().mean().item() - north) < limit
    assert abs((points[:, 0] < 0).double().mean().item() - west) < limit


def test_land_takes_any_mask():
    mask = np.zeros((18, 36), dtype=bool)
    mask[2, 30] = True  # longitude 120 to 130, latitude 60 to 70
    points = draw(land(mask), size=200)
    assert ((points[:, 0] >= 120) & (points[:, 0] < 130)).all()
    assert ((points[:, 1] > 60) & (points[:, 1] <= 70)).all()
    with pytest.raises(ValueError, match=r"land mask of shape \(18, 36\) is False everywhere"):
        land(np.zeros((18, 36)))


def test_density_draws_the_data():
    points = draw(density(PLACES), size=4000)
    shares = [(points == place).all(1).double().mean().item() for place in PLACES]
    assert shares == pytest.approx([0.25] * 4, abs=0.03)
    with pytest.raises(ValueError, match="density needs at least one location"):
        density(np.empty((0, 2)))
    with pytest.raises(ValueError, match=r"latitude must lie in .* row 1 has 95"):
        density([[0, 0], [0, 95]])


def test_at_least_keeps_its_distance_and_the_rows_that_were_right():
    generator = torch.Generator().manual_seed(3)
    lonlat = sphere()(torch.zeros(500, 2), 1, generator)
    plain = sphere()(lonlat, 4, torch.Generator().manual_seed(5))
    far = at_least(3000, sphere())(lonlat, 4, torch.Generator().manual_seed(5))
    own = lonlat.repeat(4, 1)
    assert great_circle_km(far, own).min() >= 3000
    right = great_circle_km(plain, own) >= 3000
    assert 0 < (~right).sum() < len(own) / 5
    assert torch.equal(far[right], plain[right])


def test_at_least_excludes_the_own_location_of_density():
    sampler = at_least(1, density(PLACES))
    points = sampler(PLACES, 50, torch.Generator().manual_seed(0))
    assert great_circle_km(points, PLACES.repeat(50, 1)).min() >= 1


@pytest.mark.parametrize("name", EVERY)
def test_on_a_device_the_host_reads_nothing(name, monkeypatch):
    monkeypatch.setattr(min_distance, "_host_may_look", lambda points: False)
    generator = torch.Generator().manual_seed(0)
    lonlat = sphere()(torch.zeros(200, 2), 1, generator)
    EVERY[name](lonlat, 2, generator)  # what is copied once is there now
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        points = EVERY[name](lonlat, 2, generator)
    assert points.isfinite().all()
    assert not {"aten::item", "aten::_local_scalar_dense", "aten::nonzero"} & {one.name for one in profiler.events()}


def test_far_enough_on_a_device_too(monkeypatch):
    lonlat = sphere()(torch.zeros(400, 2), 1, torch.Generator().manual_seed(3))
    own = lonlat.repeat(4, 1)
    looking = at_least(9000, land())(lonlat, 4, torch.Generator().manual_seed(5))
    monkeypatch.setattr(min_distance, "_host_may_look", lambda points: False)
    unseen = at_least(9000, land())(lonlat, 4, torch.Generator().manual_seed(5))
    assert great_circle_km(unseen, own).min() >= 9000
    assert torch.equal(unseen, looking)
    town = torch.tensor([[2.35, 48.86], [2.30, 48.80], [151.21, -33.87]], dtype=torch.float64)
    points = at_least(100, density(town[:2]))(town, 1, torch.Generator())
    assert points.isnan().all(1).tolist() == [True, True, False]


def test_distance_that_cannot_be_met(monkeypatch):
    monkeypatch.setattr(min_distance, "ROUNDS", 50)
    town = torch.tensor([[2.35, 48.86], [2.30, 48.80]], dtype=torch.float64)
    message = "no location at least 100 km from its own location found for row 0 (longitude, latitude [2.35, 48.86])"
    with pytest.raises(ValueError, match=re.escape(message) + " in 400 draws, and for 3 more"):
        at_least(100, density(town))(town, 2, torch.Generator())
    for km in (-1, 20_100, math.nan):
        with pytest.raises(ValueError, match=rf"km must lie in \[0, 20015\] .*got {km}"):
            at_least(km, sphere())


def test_make():
    for name in negatives.SAMPLERS:
        made = make(Path(name) if name == "land" else name, lonlat=PLACES)(PLACES, 2, torch.Generator().manual_seed(1))
        assert torch.equal(made, EVERY[name](PLACES, 2, torch.Generator().manual_seed(1)))
    far = make("sphere", min_km=500)(PLACES, 2, torch.Generator().manual_seed(1))
    assert torch.equal(far, EVERY["far"](PLACES, 2, torch.Generator().manual_seed(1)))
    with pytest.raises(ValueError, match=r"unknown negatives 'lands'\. Did you mean 'land'\? There are: sphere"):
        make("lands")
    with pytest.raises(ValueError, match=r"or a file of polygons, such as region\.gpkg"):
        make("region")
    with pytest.raises(ValueError, match=r"'density' are drawn from the data's own locations: pass lonlat="):
        make("density")


def test_great_circle():
    paris, sydney = PLACES[0], PLACES[2]
    lon1, lat1, lon2, lat2 = (math.radians(float(v)) for v in (*paris, *sydney))
    haversine = math.sin((lat2 - lat1) / 2) ** 2
    haversine += math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    expected = 2 * 6371.0088 * math.asin(math.sqrt(haversine))
    assert great_circle_km(paris, sydney).item() == pytest.approx(expected, rel=1e-12)
    metre = torch.tensor([0.0, 1e-3 * 180 / (math.pi * 6371.0088)], dtype=torch.float64)
    assert great_circle_km(torch.zeros(2), metre).item() == pytest.approx(1e-3, rel=1e-6)
    assert great_circle_km(torch.tensor([0.0, 90.0]), torch.tensor([77.0, -90.0])).item() == pytest.approx(
        math.pi * 6371.0088
    )
