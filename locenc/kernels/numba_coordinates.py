"""The coordinates that phases are made of, and the way back of their gradients.

As `locenc.kernels.reference.coordinates`: degrees, the point on the unit sphere, or the Equal Earth projection.
"""

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from locenc.kernels.compiling import kernel
from locenc.kernels.layout import DIMENSIONS, LONLAT, XYZ
from locenc.kernels.numba_sincos import of_degrees, sincos
from locenc.kernels.vectors import LANES, load, store

#: Points of a block, and the rows of a workspace: what phases are made of, degrees, sines and cosines.
BLOCK = 64
POINT, LON, LAT, SIN_LON, COS_LON, SIN_LAT, COS_LAT, ROWS = 0, 3, 4, 5, 6, 7, 8, 9

RADIAN = math.pi / 180
ROOT = math.sqrt(3) / 2
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796


@register_jitable
def reduce_longitude(lon: float) -> float:
    """Longitude in [-180, 180], exactly; inside it stays as it is, 540 becomes 180, -540 becomes -180."""
    if -180.0 <= lon <= 180.0:
        return lon
    lon = np.fmod(lon, 360.0)
    if lon > 180.0:
        return lon - 360.0
    if lon < -180.0:
        return lon + 360.0
    return lon


@register_jitable
def _block(kind: int, lonlat: Any, start: int, count: int, space: Any) -> None:
    """Coordinates of a block of points, from a row of ``lonlat`` on."""
    for i in range(count):
        space[LON, i] = reduce_longitude(lonlat[start + i, 0])
        space[LAT, i] = lonlat[start + i, 1]
    for i in range(0, count, LANES):
        _sincos(space, LON, SIN_LON, i)
        _sincos(space, LAT, SIN_LAT, i)
    if kind == XYZ:
        for i in range(count):
            space[POINT, i] = space[COS_LAT, i] * space[COS_LON, i]
            space[POINT + 1, i] = space[COS_LAT, i] * space[SIN_LON, i]
            space[POINT + 2, i] = space[SIN_LAT, i]
    else:
        for i in range(count):
            t, cos_t, slope = _parameter(space[SIN_LAT, i])
            t2 = t * t
            space[POINT, i] = space[LON, i] * RADIAN * cos_t / (ROOT * slope)
            space[POINT + 1, i] = t * (A1 + t2 * (A2 + t2 * t2 * (A3 + t2 * A4)))


@register_jitable
def _sincos(space: Any, degrees: int, row: int, i: int) -> None:
    """Sines and cosines of 16 angles in degrees, to two rows from ``row`` on."""
    rounded, rest = of_degrees(load(space, degrees * BLOCK + i))
    sine, cosine = sincos(rest, rounded, space)
    store(space, row * BLOCK + i, sine)
    store(space, (row + 1) * BLOCK + i, cosine)


@register_jitable
def _parameter(sin_lat: float) -> tuple[float, float, float]:
    """Equal Earth's parametric latitude, its cosine, and the slope of y by it."""
    sine = ROOT * sin_lat
    t = math.asin(sine)
    t2 = t * t
    slope = A1 + t2 * (3 * A2 + t2 * t2 * (7 * A3 + t2 * (9 * A4)))
    return t, math.sqrt(1 - sine * sine), slope


@kernel
def _fill(kind: int, lonlat: Any, space: Any, points: Any) -> None:
    for start in range(0, len(lonlat), BLOCK):
        count = min(BLOCK, len(lonlat) - start)
        _block(kind, lonlat, start, count, space)
        for i in range(count):
            for axis in range(points.shape[1]):
                points[start + i, axis] = space[POINT + axis, i]


@kernel
def _pull_back(kind: int, lonlat: Any, space: Any, slopes: Any, out: Any) -> None:
    for start in range(0, len(lonlat), BLOCK):
        count = min(BLOCK, len(lonlat) - start)
        _block(kind, lonlat, start, count, space)
        for i in range(count):
            row = start + i
            sin_lat, cos_lat = space[SIN_LAT, i], space[COS_LAT, i]
            if kind == XYZ:
                sin_lon, cos_lon = space[SIN_LON, i], space[COS_LON, i]
                along = slopes[row, 0] * cos_lon + slopes[row, 1] * sin_lon
                out[row, 0] = RADIAN * cos_lat * (slopes[row, 1] * cos_lon - slopes[row, 0] * sin_lon)
                out[row, 1] = RADIAN * (slopes[row, 2] * cos_lat - sin_lat * along)
            else:
                t, cos_t, slope = _parameter(sin_lat)
                t2 = t * t
                bend = t * (6 * A2 + t2 * t2 * (42 * A3 + t2 * (72 * A4)))  # of slope, by t
                x_by_lon = cos_t / (ROOT * slope)
                x_by_t = -space[LON, i] * RADIAN * (ROOT * sin_lat * slope + cos_t * bend) / (ROOT * slope * slope)
                t_by_lat = ROOT * cos_lat / cos_t
                out[row, 0] = RADIAN * slopes[row, 0] * x_by_lon
                out[row, 1] = RADIAN * (slopes[row, 0] * x_by_t + slopes[row, 1] * slope) * t_by_lat


def coordinates(kind: int, lonlat: Any) -> Any:
    """What phases are made of: ``(n, 2)`` degrees, as they are (longitudes not reduced), or points of another kind."""
    if kind == LONLAT:
        return lonlat
    points = np.empty((len(lonlat), DIMENSIONS[kind]))
    _fill(kind, lonlat, np.zeros((ROWS, BLOCK)), points)
    return points


def to_degrees(kind: int, lonlat: Any, slopes: Any, out: Any) -> None:
    """Write gradients by longitude and latitude in degrees ``(n, 2)``, from those by the coordinates ``(n, D)``."""
    if kind == LONLAT:
        out[:] = slopes
    else:
        _pull_back(kind, lonlat, np.zeros((ROWS, BLOCK)), slopes, out)
