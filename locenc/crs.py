"""Coordinate reference systems: coordinates of any of them become longitude and latitude."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

Floats = NDArray[np.float64]


def to_degrees(crs: Any) -> Callable[[Floats], Floats] | None:
    """What turns coordinates into longitude and latitude in degrees, EPSG:4326.

    Parameters
    ----------
    crs : pyproj.CRS or whatever ``pyproj.CRS.from_user_input`` takes
        Of the coordinates; it needs no EPSG code.

    Returns
    -------
    callable or None
        Maps (N, 2) float64 x and y, in that order whatever the system's own, to (N, 2) longitudes and latitudes;
        infinity where the system does not reach, NaN for NaN. None if they are longitude and latitude on WGS 84
        already.

    Raises
    ------
    ImportError
        If pyproj is missing.
    ValueError
        If pyproj knows no such system, it is geocentric or of heights alone, or none of pyproj's operations leads to
        EPSG:4326.

    Examples
    --------
    >>> to_degrees(4326) is None
    True
    >>> to_degrees(3857)(np.array([[261848.2, 6250566.7]])).round(3)
    array([[ 2.352, 48.857]])
    """
    pyproj = require("pyproj", extra="geo")
    errors = require("pyproj.exceptions", extra="geo")
    try:
        known = pyproj.CRS.from_user_input(crs)
    except errors.CRSError as error:
        raise ValueError(f"{crs!r:.80} is no coordinate reference system that pyproj knows: {error!s:.200}") from error
    if known.equals(pyproj.CRS.from_epsg(4326), ignore_axis_order=True):
        return None
    if known.is_geocentric:
        raise ValueError(
            f"the coordinate reference system {known.name!r} is geocentric: x and y alone are no place there. "
            "Transform to longitude and latitude first, with all three: data.to_crs(4326)"
        )
    if known.is_vertical and not known.is_compound:
        raise ValueError(
            f"the coordinate reference system {known.name!r} is one of heights: x and y are no place in it. "
            "Set the one of the coordinates: data.set_crs(..., allow_override=True)"
        )
    try:
        transformer = pyproj.Transformer.from_crs(known, 4326, always_xy=True)
    except errors.ProjError as error:
        raise ValueError(
            f"the coordinate reference system {known.name!r} has no way to longitude and latitude (EPSG:4326): "
            f"{error!s:.200}"
        ) from error

    def transform(points: Floats) -> Floats:
        lonlat = np.stack(transformer.transform(*np.asarray(points, np.float64).T), 1)
        lonlat[np.isnan(points).any(1)] = np.nan  # some operations make infinity of it
        return lonlat

    return transform
