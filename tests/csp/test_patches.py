"""Patches: the footprint against spherical trigonometry, the pixels against a picture with a known formula."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from locenc_csp.datasets.patches import cut_patches, footprints
from locenc_csp.datasets.sources import BLUE_MARBLE, read_image

RADIUS = 6371.0088
CENTRES = {
    "Paris": (2.35, 48.86),
    "antimeridian": (179.9, -17.0),
    "on it": (-180.0, 66.0),
    "near the north pole": (40.0, 89.5),
    "north pole": (0.0, 90.0),
    "south pole": (25.0, -90.0),
}


def haversine_km(a, b):
    (lon1, lat1), (lon2, lat2) = np.deg2rad(a), np.deg2rad(b)
    h = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * RADIUS * math.asin(math.sqrt(h))


def bearing(a, b):
    """Direction in which the great circle leaves a towards b, radians clockwise from north."""
    (lon1, lat1), (lon2, lat2) = np.deg2rad(a), np.deg2rad(b)
    y = math.sin(lon2 - lon1) * math.cos(lat2)
    return math.atan2(y, math.cos(lat1) * math.sin(lat2) - math.sin(lat1) * math.cos(lat2) * math.cos(lon2 - lon1))


def globe(height=720):
    """A picture whose three channels are the coordinates x, y, z of the place on the sphere."""
    lat = np.deg2rad(90 - (np.arange(height) + 0.5) / height * 180)[:, None]
    lon = np.deg2rad(-180 + (np.arange(2 * height) + 0.5) / height * 180)[None, :]
    xyz = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat) + 0 * lon], axis=-1)
    return np.round(127.5 + 127.5 * xyz).astype(np.uint8)


@pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
def test_distances_and_directions_from_the_centre_are_true(centre):
    places = footprints([centre], size=8, width_km=200.0)[0]
    for row in range(8):
        for column in range(8):
            east, north = (column - 3.5) * 25, (3.5 - row) * 25
            assert haversine_km(centre, places[row, column]) == pytest.approx(math.hypot(east, north), rel=1e-9)
            turned = bearing(centre, places[row, column]) - math.atan2(east, north)
            assert math.sin(turned) == pytest.approx(0, abs=1e-9)
            assert math.cos(turned) > 0


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_the_corner_lies_at_its_distance_everywhere(lon, lat):
    corner = footprints([(lon, lat)], size=32, width_km=200.0)[0, 0, 0]
    assert haversine_km((lon, lat), corner) == pytest.approx(math.hypot(96.875, 96.875), rel=1e-7)


def test_an_odd_patch_has_the_place_itself_in_the_middle():
    for centre in [(2.35, 48.86), (-60.0, -5.0)]:
        assert footprints([centre], size=5, width_km=100.0)[0, 2, 2] == pytest.approx(centre)


@pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES)
def test_pixels_are_those_of_the_place_across_antimeridian_and_pole(centre):
    places = np.deg2rad(footprints([centre], size=16, width_km=400.0)[0])
    lon, lat = places[..., 0], places[..., 1]
    expected = 127.5 + 127.5 * np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    found = cut_patches(globe(), [centre], size=16, width_km=400.0)[0]
    assert found.dtype == np.uint8
    assert (
        np.abs(found - expected).max() <= 1.5
    )  # half a step of the picture, half one of the patch, the cell at the pole


def test_a_patch_over_the_pole_turns_with_its_longitude():
    raster = np.random.default_rng(0).integers(0, 255, (90, 180, 3), dtype=np.uint8)
    raster = np.repeat(np.repeat(raster, 8, axis=0), 8, axis=1)  # cells that do not care about rounding
    ahead, quarter = cut_patches(raster, [(0.0, 90.0), (90.0, 90.0)], size=9, width_km=4000.0).astype(int)
    agree = np.abs(np.rot90(ahead, -1) - quarter).max(axis=-1) <= 1
    assert agree.mean() > 0.98


def test_bilinear_between_two_columns():
    raster = np.zeros((4, 8, 1), dtype=np.uint8)
    raster[:, 4:] = 200
    values = cut_patches(raster, [(-22.5, 0), (0, 0), (22.5, 0), (11.25, 0)], size=1, width_km=1.0)
    assert values.ravel().tolist() == [0, 100, 200, 150]


def test_sizes_are_checked():
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        cut_patches(globe(8), [(0, 0)], size=0)
    for width_km in (0.0, -200.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=f"width_km must be positive and finite, got {width_km}"):
            footprints([(0, 0)], size=4, width_km=width_km)


def test_no_places_no_patches():
    assert cut_patches(globe(8), np.empty((0, 2)), size=4).shape == (0, 4, 4, 3)


def test_the_real_picture_shows_sand_forest_and_sea():
    sahara, amazon, pacific = cut_patches(read_image(BLUE_MARBLE), [(15, 23), (-65, -5), (-150, 0)]).mean(axis=(1, 2))
    assert sahara[0] > sahara[1] > sahara[2] > 80
    assert amazon[1] > amazon[0]
    assert amazon[1] > amazon[2]
    assert amazon.max() < 90
    assert pacific[2] > 2 * pacific[0]
