"""Distances of a place from 16 anchors at a time, on the sphere and on the plane of longitude and latitude.

On the sphere, an anchor on the other hemisphere is replaced by its antipode, at the angle pi - θ: all angles are then
at most a right angle (but for rounding), where both

    near = sin²(Δφ/2) + cos φ cos φ' sin²(Δλ/2) = sin²(θ/2)

and θ² = near H(near), an analytic function of it, keep all their digits. Differences of degrees are exact where they
are small. With z the square of degrees δ, sin²(δ/2) = z S(z) and sin δ = δ T(z). H (`by_haversine`), G = dθ²/dnear
(`slope_by_haversine`), S and T are Chebyshev fits made with 50 digits, to near <= 1/2 and |δ| <= 180, with relative
errors of 4e-10 (float32) and below 1e-17 (float64); those of T are relative to its largest value.
"""

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable
from torch import Tensor

from locenc.kernels.arrays import contiguous, numbers
from locenc.kernels.lanes import less
from locenc.kernels.layout import XYZ
from locenc.kernels.numba_coordinates import coordinates, reduce_longitude
from locenc.kernels.numba_sincos import nearest
from locenc.kernels.vectors import LANES, fma, load, polynomial_like, root, splat

#: What distances need of a place, rows of a table: its unit vector, degrees, and the cosine of its latitude.
X, Y, Z, LON, LAT, COS, ROWS = range(7)
ANTIPODE = 1e-30  # of near: a slope ends at the antipode, where there is none

by_haversine = polynomial_like(
    (
        4.000000000422422,
        1.3333331292655577,
        0.7111272815086307,
        0.4566472654396259,
        0.3327932387168911,
        0.17708629073536628,
        0.5752821430327908,
        -1.151413386790627,
        2.9173669399258477,
        -3.2813749767007305,
        2.006002319817256,
    ),
    (
        4.0,
        1.333333333333327,
        0.7111111111129728,
        0.45714285692697604,
        0.3250793783062483,
        0.2462717514139566,
        0.1948650892056811,
        0.15891372572239323,
        0.13589867710006326,
        0.08681237873540386,
        0.2951908424396564,
        -1.039215348903283,
        5.0938135061119,
        -17.413251940735854,
        47.4892017677989,
        -99.1474770511954,
        157.09463314536143,
        -182.22691852453437,
        146.7814344600922,
        -73.53710558384755,
        17.530304742820082,
    ),
)
slope_by_haversine = polynomial_like(
    (
        3.99999999889365,
        2.666667302849069,
        2.1332731997798,
        1.8307810523419432,
        1.5838030637261316,
        1.9348882059059584,
        -1.7809752974339723,
        15.256296049505258,
        -39.17281831015803,
        74.76651765394234,
        -77.07592330787283,
        39.179519023707364,
    ),
    (
        4.0,
        2.6666666666666603,
        2.133333333335598,
        1.8285714282556964,
        1.6253968487059314,
        1.4776324235162477,
        1.3640012254654936,
        1.2723565068744318,
        1.208889339105503,
        1.0069917019249188,
        2.262795395027322,
        -7.518033354075439,
        50.020766245924484,
        -222.98599045798005,
        817.4298644978644,
        -2370.51169952684,
        5450.613705087945,
        -9786.201632791617,
        13454.458363595471,
        -13685.536199897882,
        9728.987642390606,
        -4327.201547046809,
        914.1137001328598,
    ),
)
half_sine_by_square = polynomial_like(
    (
        7.615435493943736e-05,
        -1.9331619038760035e-09,
        1.9629149092533813e-14,
        -1.0677270158376419e-19,
        3.612151174404709e-25,
        -8.258158222829516e-31,
        1.2081483393610224e-36,
    ),
    (
        7.615435494667716e-05,
        -1.933161925781497e-09,
        1.962915992871539e-14,
        -1.0677471517970788e-19,
        3.6139375817327454e-25,
        -8.3399116628793e-31,
        1.3958693048141058e-36,
        -1.7716845961517926e-42,
        1.7634015747360788e-48,
        -1.407191893283962e-54,
        8.447417030075705e-61,
    ),
)
sine_by_square = polynomial_like(
    (
        0.01745329250685717,
        -8.860961161047639e-07,
        1.349599663969892e-11,
        -9.788020639666681e-17,
        4.138033617604747e-22,
        -1.1320001186568133e-27,
        1.898081418564436e-33,
    ),
    (
        0.017453292519943295,
        -8.860961557012979e-07,
        1.3496016231632315e-11,
        -9.788384861606416e-17,
        4.14126741697773e-22,
        -1.1468201735048792e-27,
        2.2393676078805605e-33,
        -3.2483146910670986e-39,
        3.637084985438598e-45,
        -3.222105525139522e-51,
        2.1105016789699055e-57,
    ),
)


@register_jitable(forceinline=True)
def describe(lonlat: Any, places: Any, row: int, point: Any) -> None:
    """What distances need of one point."""
    x, y = places[row, 0], places[row, 1]
    point[X], point[Y], point[Z] = x, y, places[row, 2]
    point[LON], point[LAT], point[COS] = reduce_longitude(lonlat[row, 0]), lonlat[row, 1], math.sqrt(x * x + y * y)


@register_jitable(forceinline=True)
def cosine(point: Any, table: Any, width: int, lane: int) -> Any:
    """Cosines of the angles between one point and 16 anchors."""
    dot = splat(point[X]) * load(table, X * width + lane)
    dot = fma(splat(point[Y]), load(table, Y * width + lane), dot)
    return fma(splat(point[Z]), load(table, Z * width + lane), dot)


@register_jitable(forceinline=True)
def on_plane(point: Any, table: Any, width: int, lane: int) -> tuple[Any, Any]:
    """Degrees of longitude and latitude from each anchor, without a seam."""
    east = splat(point[LON]) - load(table, LON * width + lane)
    return east, splat(point[LAT]) - load(table, LAT * width + lane)


@register_jitable(forceinline=True)
def on_globe(point: Any, table: Any, width: int, lane: int, dot: Any) -> tuple[Any, Any]:
    """Degrees of longitude, in [-180, 180], and of latitude, from each anchor or its antipode."""
    lat, zero = load(table, LAT * width + lane), splat(0.0)
    north = splat(point[LAT]) - less(dot, zero, -lat, lat)
    east, half = splat(point[LON]) - load(table, LON * width + lane), less(dot, zero, splat(180.0), zero)
    east = east - less(east, zero, -half, half)
    _, turns = nearest(east * splat(1 / 360))
    return fma(turns, splat(-360.0), east), north


@register_jitable(forceinline=True)
def haversine(east2: Any, north2: Any, across: Any, like: Any) -> tuple[Any, Any]:
    """sin²(θ/2) from squares of the differences, and its factor sin²(Δλ/2)."""
    aside = east2 * half_sine_by_square(east2, like)
    return fma(across, aside, north2 * half_sine_by_square(north2, like)), aside


@register_jitable(forceinline=True)
def squared_angle(near: Any, dot: Any, like: Any) -> Any:
    """θ² in radians²."""
    squared = near * by_haversine(near, like)
    rest = splat(np.pi) - root(squared)
    return less(dot, splat(0.0), rest * rest, squared)


def located(degrees: Any) -> tuple[Any, Any]:
    """Degrees as the kernels take them, and the unit vectors."""
    degrees = contiguous(degrees)
    return degrees, coordinates(XYZ, degrees)


def table_of(anchors: Tensor) -> Any:
    """What distances need of all anchors: rows of whole vectors, the last ones filled up with zeros, as one array."""
    degrees, places = located(numbers(anchors))
    count = len(degrees)
    table = np.zeros((ROWS, -(-count // LANES) * LANES))
    table[:COS, :count] = np.concatenate([places, degrees], 1).T
    table[COS, :count] = np.sqrt(places[:, 0] ** 2 + places[:, 1] ** 2)
    return table.reshape(-1)
