"""Points of the sphere, 16 at a time, as spherical harmonics need them: z with its digits near the poles, and powers.

As `locenc.kernels.reference_harmonics`: beyond 45 degrees of latitude 2 z is a whole number and a small part,

    2 |z| = 2 - 2 (1 - cos r),   1 - cos r = sin² r / (1 + cos r),   r the angle to the pole,

and the cosine of the latitude is sin r, which is exact at the pole.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from locenc.kernels.lanes import choice
from locenc.kernels.numba_coordinates import reduce_longitude
from locenc.kernels.numba_sincos import of_degrees, sincos
from locenc.kernels.vectors import LANES, fma, load, splat8, store

#: Rows of a workspace: 2 z, sines and cosines, and (x + iy)^1, 2, 4, 8, real and imaginary parts.
WHOLE, PART, SIN_LON, COS_LON, SIN_LAT, COS_LAT, POWERS, ROWS = 0, 1, 2, 3, 4, 5, 6, 14
_LON, _REST = SIN_LON, SIN_LAT  # rows that hold angles in degrees, until their sines replace them

_first, _second, _third = (choice([bool(lane >> bit & 1) for lane in range(8)]) for bit in range(3))


def workspace() -> Any:
    """Memory for 16 points."""
    return np.zeros((ROWS, LANES))


@register_jitable
def fill(lonlat: Any, start: int, count: int, space: Any) -> None:
    """What the rows say, of up to 16 points from a row of ``lonlat`` on."""
    for i in range(count):
        lat = lonlat[start + i, 1]
        space[_LON, i] = reduce_longitude(lonlat[start + i, 0])
        space[_REST, i] = 90.0 - abs(lat) if abs(lat) > 45.0 else lat
    _sincos(space, SIN_LON)
    _sincos(space, SIN_LAT)
    for i in range(count):
        lat, sine, cosine = lonlat[start + i, 1], space[SIN_LAT, i], space[COS_LAT, i]
        sign = 1.0 if lat > 0.0 else -1.0
        less = sine * sine / (1.0 + cosine)
        steep = abs(lat) > 45.0
        space[WHOLE, i] = 2.0 * sign if steep else 0.0
        space[PART, i] = -2.0 * sign * less if steep else 2.0 * sine
        space[SIN_LAT, i] = sign * cosine if steep else sine
        space[COS_LAT, i] = sine if steep else cosine
    cos_lat = load(space, COS_LAT * LANES)
    x, y = cos_lat * load(space, COS_LON * LANES), cos_lat * load(space, SIN_LON * LANES)
    for row in range(POWERS, POWERS + 8, 2):
        store(space, row * LANES, x)
        store(space, (row + 1) * LANES, y)
        x, y = times(x, y, x, y)


@register_jitable
def _sincos(space: Any, row: int) -> None:
    """Sines and cosines of the angles in a row, in degrees, to it and the next."""
    rounded, rest = of_degrees(load(space, row * LANES))
    sine, cosine = sincos(rest, rounded, space)
    store(space, row * LANES, sine)
    store(space, (row + 1) * LANES, cosine)


@register_jitable
def times(a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any]:
    """(a + ib) (c + id)."""
    return fma(a, c, -(b * d)), fma(a, d, b * c)


@register_jitable
def powers(space: Any, i: int) -> Any:
    """(x + iy)^0 to 7 of one point, in 8 lanes: products of the powers that the lane's bits ask for."""
    one, zero = splat8(1.0), splat8(0.0)
    a, b = _first(one, splat8(space[POWERS, i])), _first(zero, splat8(space[POWERS + 1, i]))
    c, d = _second(one, splat8(space[POWERS + 2, i])), _second(zero, splat8(space[POWERS + 3, i]))
    a, b = times(a, b, c, d)
    c, d = _third(one, splat8(space[POWERS + 4, i])), _third(zero, splat8(space[POWERS + 5, i]))
    return times(a, b, c, d)
