"""`locenc.nearest`: the order against plain NumPy, tables that keep what they hold, errors."""

import geopandas
import numpy as np
import pandas
import pytest
import torch
from catalogue import globe
from hypothesis import given
from hypothesis import strategies as st
from shapely import LineString, Point
from torch import Tensor, nn

import locenc
from locenc import alike

PARIS = (2.35, 48.86)


@pytest.fixture
def encoder() -> locenc.LocationEncoder:
    return locenc.create("sphere2vec-sphereM", dim=16, num_scales=8)


@pytest.fixture
def cities() -> geopandas.GeoDataFrame:
    names = ["Lima", "Lyon", "Oslo", "Quito", "Bonn"]
    points = geopandas.points_from_xy([-77.04, 4.84, 10.75, -78.5, 7.1], [-12.05, 45.76, 59.91, -0.2, 50.7])
    index = pandas.Index(["e", "d", "c", "b", "a"], name="key")
    return geopandas.GeoDataFrame({"city": names}, geometry=points, index=index, crs=4326)


def by_distance(place: tuple[float, float], lonlat: np.ndarray) -> np.ndarray:
    """Order by the angle on the sphere: that of the cosine of unit vectors."""
    lon, lat = np.deg2rad(np.asarray(lonlat).T)
    lon0, lat0 = np.deg2rad(place)
    return np.argsort(-(np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(lon - lon0)), kind="stable")


# Order


def test_on_the_unit_sphere_alike_is_near() -> None:
    lonlat = globe(500).numpy()
    result = locenc.nearest(locenc.position_encoder("xyz"), PARIS, lonlat, count=40)
    assert np.array_equal(result.indices, by_distance(PARIS, lonlat)[:40])
    assert np.all(np.diff(result.similarities) <= 0)


@pytest.mark.parametrize("numbers", [1, 16 * 7, 2**25])
def test_agrees_with_numpy(numbers: int, encoder: locenc.LocationEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "NUMBERS", numbers)
    lonlat = globe(60).numpy()
    target, *rows = locenc.embed([PARIS, *lonlat], encoder).astype(np.float64)
    cosine = np.array([row @ target / np.linalg.norm(row) / np.linalg.norm(target) for row in rows])
    result = locenc.nearest(encoder, PARIS, lonlat, count=60)
    np.testing.assert_allclose(result.similarities, np.sort(cosine)[::-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result.similarities, cosine[result.indices], rtol=0, atol=1e-12)


@given(row=st.integers(0, 49), count=st.integers(1, 60))
def test_a_place_is_its_own_nearest(row: int, count: int) -> None:
    lonlat = np.random.default_rng(0).uniform((-180, -80), (180, 80), (50, 2))
    result = locenc.nearest(locenc.position_encoder("sphere2vec-sphereC"), lonlat[row], lonlat, count=count)
    assert result.indices[0] == row
    assert result.similarities[0] == pytest.approx(1, abs=1e-6)
    assert len(result.indices) == len(result.similarities) == min(count, 50)
    assert len(set(result.indices)) == len(result.indices)


def test_equals_stay_in_their_order(encoder: locenc.LocationEncoder) -> None:
    result = locenc.nearest(encoder, PARIS, [(9, 9), PARIS, (5, 5), PARIS, PARIS], count=3)
    assert result.indices.tolist() == [1, 3, 4]


def test_no_candidates(encoder: locenc.LocationEncoder) -> None:
    result = locenc.nearest(encoder, PARIS, [])
    assert result.indices.shape == result.similarities.shape == (0,)


# Tables


def test_a_frame_keeps_columns_and_labels(cities: geopandas.GeoDataFrame) -> None:
    before = cities.copy()
    result = locenc.nearest(locenc.position_encoder("xyz"), PARIS, cities, count=3)
    assert result.city.tolist() == ["Lyon", "Bonn", "Oslo"]
    assert result.index.equals(pandas.Index(["d", "a", "c"], name="key"))
    assert list(result.columns) == ["city", "geometry", "similarity"]
    assert isinstance(result, geopandas.GeoDataFrame)
    assert result.crs == cities.crs
    assert result.similarity.is_monotonic_decreasing
    assert cities.equals(before)


def test_every_form_of_place_and_candidates(cities: geopandas.GeoDataFrame, encoder: locenc.LocationEncoder) -> None:
    expected = locenc.nearest(encoder, PARIS, cities)
    metres = cities.to_crs(3857)
    point = geopandas.GeoSeries([Point(PARIS)], crs=4326)
    for place in (np.array(PARIS), torch.tensor(PARIS).double(), Point(PARIS), point.to_crs(2154), point.to_frame("x")):
        np.testing.assert_allclose(locenc.nearest(encoder, place, metres).similarity, expected.similarity, atol=1e-5)
    table = pandas.DataFrame({"x": cities.geometry.x, "y": cities.geometry.y, "city": cities.city})
    found = locenc.nearest(encoder, PARIS, table, lon="x", lat="y")
    assert found.city.tolist() == expected.city.tolist()
    series = locenc.nearest(encoder, PARIS, cities.geometry)
    assert series.index.equals(expected.index)
    assert series.geometry.equals(expected.geometry)
    arrays = locenc.nearest(encoder, PARIS, table[["x", "y"]].to_numpy())
    assert cities.city.iloc[arrays.indices].tolist() == expected.city.tolist()


# Errors


class Scaled(nn.Module):
    """Unit vectors times a number that the sign of the first coordinate chooses."""

    out_dim = 3

    def __init__(self, positive: float, negative: float) -> None:
        super().__init__()
        self.factors = positive, negative

    def forward(self, features: Tensor) -> Tensor:
        return features * torch.where(features[:, :1] > 0, *self.factors)


def test_embeddings_of_zeros() -> None:
    encoder = locenc.LocationEncoder(locenc.position_encoder("xyz"), Scaled(1.0, 0.0))
    result = locenc.nearest(encoder, (0, 0), [(180, 0), (10, 0), (80, 60)], count=3)
    assert result.indices.tolist() == [1, 2, 0]
    assert result.similarities[2] == 0
    with pytest.raises(ValueError, match="longitude 180, latitude 0, is all zeros"):
        locenc.nearest(encoder, (180, 0), [(10, 0)])


def test_embeddings_that_are_not_finite(cities: geopandas.GeoDataFrame) -> None:
    position = locenc.position_encoder("xyz")
    encoder = locenc.LocationEncoder(position, Scaled(1.0, float("nan")))
    table = cities.set_geometry(geopandas.points_from_xy([0, 10, 170, 20, 160], [0] * 5, crs=4326))
    with pytest.raises(ValueError, match=r"candidate row 2 \(index 'c'\) is not finite"):
        locenc.nearest(encoder, (0, 0), table)
    with pytest.raises(ValueError, match="longitude 180, latitude 0, is not finite"):
        locenc.nearest(encoder, (180, 0), table)


def test_a_series_called_like_the_new_column_and_a_frame_of_dask(
    cities: geopandas.GeoDataFrame, encoder: locenc.LocationEncoder
) -> None:
    with pytest.raises(ValueError, match="column 'similarity' already"):
        locenc.nearest(encoder, PARIS, cities.geometry.rename("similarity"))
    table = pytest.importorskip("dask.dataframe").from_pandas(pandas.DataFrame({"lon": [2.0], "lat": [48.0]}), 1)
    with pytest.raises(TypeError, match=r"candidates\.compute\(\)"):
        locenc.nearest(encoder, PARIS, table, lon="lon", lat="lat")


def test_errors(cities: geopandas.GeoDataFrame, encoder: locenc.LocationEncoder) -> None:
    for place, candidates, options, error, message in [
        (cities, cities, {}, ValueError, "expected one place, got 5"),
        ([], cities, {}, ValueError, "expected one place, got 0"),
        (PARIS, cities.assign(similarity=1), {}, ValueError, "column 'similarity' already"),
        (PARIS, cities, {"count": 0}, ValueError, "count must be .* got 0"),
        (LineString([(0, 0), (1, 1)]), cities, {}, ValueError, "LineString"),
        (PARIS, [(200, 95)], {}, ValueError, "row 0 has 95"),
        (PARIS, pandas.DataFrame({"x": [1], "y": [2]}), {}, TypeError, "lon= and lat="),
    ]:
        with pytest.raises(error, match=message):
            locenc.nearest(encoder, place, candidates, **options)
    with pytest.raises(TypeError, match=r"got Linear; locenc\.create"):
        locenc.nearest(nn.Linear(2, 2), PARIS, cities)
