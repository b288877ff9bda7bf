"""The packed rasters and outlines: known places, conventions at the edges, damage that is noticed."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import locenc.data
from locenc.data import LAND_COVER_CLASSES, coastline, land_cover, land_mask, sample_raster

PLACES = {
    "Sahara": (15.0, 23.0, "barren"),
    "Rub al Khali": (50.0, 20.0, "barren"),
    "Amazon": (-65.0, -5.0, "evergreen broadleaf forest"),
    "Congo": (22.0, 0.5, "evergreen broadleaf forest"),
    "Borneo": (114.0, 1.0, "evergreen broadleaf forest"),
    "Pacific": (-150.0, 0.0, "water"),
    "Atlantic": (-30.0, 30.0, "water"),
    "Caspian Sea": (51.0, 42.0, "water"),
    "Greenland": (-40.0, 75.0, "snow and ice"),
    "Iowa": (-94.0, 42.5, "cropland"),
    "Tokyo": (139.7, 35.7, "urban"),
}


@pytest.mark.parametrize("place", PLACES)
def test_land_cover_of_known_places(place):
    lon, lat, expected = PLACES[place]
    assert LAND_COVER_CLASSES[sample_raster(land_cover(), [(lon, lat)])[0]] == expected


def test_land_cover_has_every_class_and_cannot_be_written():
    raster = land_cover()
    assert raster.shape == (3600, 7200)
    assert raster.dtype == np.uint8
    assert np.array_equal(np.unique(raster), np.arange(len(LAND_COVER_CLASSES)))
    assert raster is land_cover()
    with pytest.raises(ValueError, match="read-only"):
        raster[0, 0] = 1


def test_land_mask_covers_the_share_of_the_earth_that_is_land():
    weight = np.cos(np.deg2rad(90 - (np.arange(3600) + 0.5) * 0.05))[:, None]
    share = (land_mask() * weight).sum() / (weight.sum() * 7200)
    assert share == pytest.approx(0.292, abs=0.01)  # 149 of 510 million square km, ice shelves aside


def test_sampling_counts_cells_from_the_north_west_corner_and_wraps():
    raster = np.arange(18 * 36).reshape(18, 36)
    points = [
        (-180, 90),
        (180, 90),
        (179.999, 90),
        (-175, -90),
        (-180, 80.001),
        (-180, 79.999),
        (190, 0.001),
        (-540, 90),
    ]
    assert sample_raster(raster, points).tolist() == [0, 0, 35, 17 * 36, 0, 36, 8 * 36 + 1, 0]
    assert sample_raster(raster, np.empty((0, 2))).shape == (0,)
    assert sample_raster(np.zeros((18, 36, 3)), points).shape == (8, 3)


@given(st.integers(0, 35), st.integers(0, 17), st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.integers(-2, 2))
def test_sampling_finds_the_cell_that_a_point_was_put_in(column, row, right, down, turns):
    lon, lat = -180 + (column + right) * 10 + 360 * turns, 90 - (row + down) * 10
    assert sample_raster(np.arange(18 * 36).reshape(18, 36), [(lon, lat)])[0] == row * 36 + column


def test_sampling_refuses_bad_coordinates():
    with pytest.raises(ValueError, match=r"row 1 has 95"):
        sample_raster(land_cover(), [(0.0, 0.0), (0.0, 95.0)])


def test_coastline_rings_are_closed_and_separate_land_from_water():
    rings = coastline()
    for ring in rings:
        assert ring.shape[1] == 2
        assert np.array_equal(ring[0], ring[-1])
        assert np.abs(ring[:, 0]).max() <= 180
        assert np.abs(ring[:, 1]).max() <= 90
    inside = {place: sum(contains(ring, lon, lat) for ring in rings) % 2 for place, (lon, lat, _) in PLACES.items()}
    assert {place for place, odd in inside.items() if not odd} == {"Pacific", "Atlantic", "Caspian Sea"}


def contains(ring, lon, lat):
    """Even-odd rule: does a ray to the east cross the ring an odd number of times?"""
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    crosses = (y0 > lat) != (y1 > lat)
    at = x0[crosses] + (lat - y0[crosses]) / (y1 - y0)[crosses] * (x1 - x0)[crosses]
    return (at > lon).sum() % 2 == 1


def test_a_damaged_file_is_named(monkeypatch):
    monkeypatch.setattr(locenc.data, "LAND_COVER_SHA256", "0" * 64)
    with pytest.raises(OSError, match=r"land_cover\.png of the installed locenc is damaged.*reinstall"):
        land_cover.__wrapped__()


def test_pillow_missing_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r'pip install "locenc\[geo\]"'):
        land_cover.__wrapped__()
