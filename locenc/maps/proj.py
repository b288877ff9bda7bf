"""Projections of pyproj, and how much of the globe each shows."""

import math
import warnings
from typing import Any

import numpy as np

from locenc._extras import require
from locenc.maps.projection import Box, Floats, Projection

#: Azimuthal projections show places up to so many degrees from their centre.
_CAPS = {"ortho": 89.9, "gnom": 60.0, "stere": 90.0, "sterea": 90.0, "laea": 175.0, "aeqd": 175.0}
_FROM_SPACE = ("geos", "nsper")
_EARTH = 6378137.0
_MERCATOR, _CONIC, _TRANSVERSE = 85.06, 30.0, 30.0


def from_crs(crs: Any) -> Projection:
    """A projection of pyproj: the whole of its area of use, or as much of the globe as it shows in a useful way.

    Parameters
    ----------
    crs : any
        What ``pyproj.CRS.from_user_input`` takes: ``"ESRI:54030"``, ``3031``, ``"+proj=robin +lon_0=150"``, a CRS.

    Raises
    ------
    ImportError
        If pyproj is not installed.
    ValueError
        If pyproj does not know it, or it is no map of the earth.
    """
    pyproj = require("pyproj", extra="geo")
    try:
        there = pyproj.CRS.from_user_input(crs)
        transform = pyproj.Transformer.from_crs(4326, there, always_xy=True).transform
        back = pyproj.Transformer.from_crs(there, 4326, always_xy=True).transform
    except pyproj.exceptions.ProjError as error:  # CRSError is one
        raise ValueError(f"crs must be a map projection that pyproj knows, got {crs!r:.80}: {error}") from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a dictionary does not hold all of a CRS
        settings = there.to_dict()
    kind = settings.get("proj", "")
    operation = there.coordinate_operation
    name = there.name if there.name != "unknown" or operation is None else operation.method_name
    if there.is_geographic:
        name = "Equirectangular"  # degrees as they are
    box, centre, cap = _domain(kind, settings, there.area_of_use)
    return Projection(
        name,
        lambda places: _finite(transform(*places.T)),
        lambda points: _finite(back(*points.T)),
        box, centre, cap,
    )  # fmt: skip


def _finite(columns: Any) -> Floats:
    """Two columns side by side, NaN for infinity: pyproj's answer where there is none."""
    points: Floats = np.stack(columns, 1)
    points[~np.isfinite(points)] = np.nan
    return points


def _domain(kind: str, settings: dict[str, Any], area: Any) -> tuple[Box, float, tuple[float, float, float] | None]:
    """What of the globe a projection shows: box, centre and cap."""
    lon_0 = float(settings.get("lon_0", settings.get("lonc", 0.0)))
    lat_0 = float(settings.get("lat_0", 0.0))
    if kind == "utm":
        lon_0 = 6.0 * float(settings["zone"]) - 183
    if area is not None:
        west, south, east, north = area.bounds
        east += 360 * (east <= west)
        if east - west < 359.9:
            return (west, south, east, north), (west + east) / 2, None
        return (lon_0 - 180, south, lon_0 + 180, north), lon_0, None
    west, south, east, north = lon_0 - 180, -90.0, lon_0 + 180, 90.0
    if kind in _FROM_SPACE:
        radius = math.degrees(math.acos(_EARTH / (_EARTH + float(settings["h"])))) - 0.1
        return (west, south, east, north), lon_0, (lon_0, lat_0, radius)
    if kind in _CAPS:
        return (west, south, east, north), lon_0, (lon_0, lat_0, _CAPS[kind])
    if kind in ("merc", "webmerc"):
        south, north = -_MERCATOR, _MERCATOR
    elif kind in ("lcc", "aea", "eqdc"):
        cone = float(settings.get("lat_1", lat_0)) + float(settings.get("lat_2", lat_0))
        south, north = (-90.0, _CONIC) if cone < 0 else (-_CONIC, 90.0)
    elif kind in ("tmerc", "utm", "etmerc"):
        west, east = lon_0 - _TRANSVERSE, lon_0 + _TRANSVERSE
    return (west, south, east, north), lon_0, None
