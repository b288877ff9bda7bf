"""Cells of an accuracy map, and the figure made from them."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from locenc_csp.accuracy_map import accuracy_cells, plot_accuracy


def globe(count, seed=0):
    rng = np.random.default_rng(seed)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    return np.stack([rng.uniform(-180, 180, count), lat], 1), rng.uniform(size=count) < 0.4


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), cell_degrees=st.floats(1, 30))
def test_every_place_is_in_its_cell(seed, cell_degrees):
    lonlat, hits = globe(200, seed)
    cells = accuracy_cells(lonlat, hits, cell_degrees=cell_degrees)
    west, south, east, north = cells.bounds.T
    lon, lat = lonlat.T[:, :, None]
    inside = (lon >= west) & (lon < east) & (lat > south) & (lat <= north)
    assert_array_equal(inside.sum(1), 1)
    assert_array_equal(inside.sum(0), cells.num_rows)
    assert_allclose(inside.T @ hits.astype(int) / cells.num_rows, cells.accuracy)


@pytest.mark.parametrize("cell_degrees", [2, 5, 7])
def test_cells_cover_the_globe_and_have_nearly_one_area(cell_degrees):
    lonlat, hits = globe(200_000)
    cells = accuracy_cells(lonlat, hits, cell_degrees=cell_degrees)
    west, south, east, north = np.deg2rad(cells.bounds).T
    area = (east - west) * (np.sin(north) - np.sin(south))
    away = np.abs(cells.bounds[:, [1, 3]]).max(1) < 80
    assert area[away].min() > 0.9 * area[away].max()
    assert area.min() > 0.7 * area.max()
    if cell_degrees > 2:  # there are places in all of them
        assert_allclose(area.sum(), 4 * np.pi)


def test_poles_and_the_antimeridian():
    cells = accuracy_cells([(180, 1), (-180, 1), (540, 2), (30, 90), (90, -90)], [True, False, False, True, False])
    assert_array_equal(cells.num_rows, [1, 3, 1])
    assert_allclose(cells.accuracy, [1, 1 / 3, 0])
    assert_allclose(cells.bounds[1], [-180, 0, -175, 5])
    assert cells.bounds[0, 3] == 90
    assert cells.bounds[2, 1] == -90
    assert len(accuracy_cells(np.zeros((0, 2)), np.zeros(0, bool)).num_rows) == 0


def test_the_figure_says_what_it_shows():
    lonlat, hits = globe(500)
    figure = plot_accuracy(lonlat, hits, title="Test rows", cell_degrees=10, min_rows=3)
    texts = [text.get_text() for text in figure.texts]
    assert f"Test rows: {hits.mean():.1%} of 500 places" in texts
    assert any("Cells of 10°" in text and "white: fewer than 3 places" in text for text in texts)
    assert [axes.get_title(loc="left") for axes in figure.axes[::2]] == ["Top-1 accuracy", "Number of places"]
    cells = accuracy_cells(lonlat, hits, cell_degrees=10)
    for axes, values in ((figure.axes[0], 100 * cells.accuracy), (figure.axes[2], cells.num_rows)):
        drawn = next(part for part in axes.collections if part.get_array() is not None)
        few = np.isnan(np.ma.filled(drawn.get_array().astype(float), np.nan)).sum()
        assert few == ((cells.num_rows < 3).sum() if axes is figure.axes[0] else 0)
        shown = np.ma.filled(drawn.get_array(), np.nan)
        assert_allclose(shown[cells.num_rows >= 3], values[cells.num_rows >= 3])
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=50)
    assert buffer.tell() > 10_000


def test_one_place_is_enough():
    figure = plot_accuracy([(10, 50)], [True])
    figure.savefig(io.BytesIO(), dpi=30)
    with pytest.raises(ValueError, match="at least one place to draw, got none"):
        plot_accuracy(np.zeros((0, 2)), np.zeros(0, bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hits": [True]}, r"hits must be bool of shape \(2,\), got bool \(1,\)"),
        ({"hits": [1, 0]}, r"hits must be bool of shape \(2,\), got int64 \(2,\)"),
        ({"cell_degrees": 0.1}, r"cell_degrees must lie between 0\.25 and 30, got 0\.1"),
        ({"min_rows": 0}, r"min_rows must be a whole number of at least 1, got 0"),
        ({"lonlat": [(0, 91), (0, 0)]}, r"latitude"),
    ],
)
def test_bad_maps(change, message):
    with pytest.raises(ValueError, match=message):
        plot_accuracy(**({"lonlat": [(0, 0), (1, 1)], "hits": [True, False]} | change))
