"""Gaussian radial basis functions and their gradients on the CPU. Lanes run over anchors.

On the sphere, an anchor on the other hemisphere is replaced by its antipode, at the angle pi - θ: all angles are then
at most a right angle (but for rounding), where both

    near = sin²(Δφ/2) + cos φ cos φ' sin²(Δλ/2) = sin²(θ/2)

and θ² = near H(near), an analytic function of it, keep all their digits. Differences of degrees are exact where they
are small. With z the square of degrees δ, sin²(δ/2) = z S(z) and sin δ = δ T(z). H, its relative G = dθ²/dnear, S and T
are Chebyshev fits made with 50 digits, to near <= 1/2 and |δ| <= 180, with relative errors of 4e-10 (float32) and below
1e-17 (float64); those of T are relative to its largest value.
"""

import math
from typing import Any

import numpy as np
import torch
from numba.extending import register_jitable
from torch import Tensor

from locenc.kernels.arrays import contiguous, load_whole_vectors, make, pull_back, store_whole_vectors
from locenc.kernels.compiling import kernel
from locenc.kernels.layout import XYZ
from locenc.kernels.numba_coordinates import RADIAN, coordinates, reduce_longitude
from locenc.kernels.numba_exp import ZERO, exp2
from locenc.kernels.numba_sincos import nearest
from locenc.kernels.vectors import (
    LANES,
    convert,
    first,
    fma,
    less,
    load,
    not_less,
    polynomial_like,
    root,
    splat,
    store,
    total,
    widen,
)

#: What distances need of a place, rows of a table: its unit vector, degrees, and the cosine of its latitude.
X, Y, Z, LON, LAT, COS, ROWS = range(7)
ANTIPODE = 1e-30  # of near: a slope ends at the antipode, where there is none

_h = polynomial_like(
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
_g = polynomial_like(
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
_s = polynomial_like(
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
_t = polynomial_like(
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
def _describe(lonlat: Any, places: Any, row: int, point: Any) -> None:
    """What distances need of one point."""
    x, y = places[row, 0], places[row, 1]
    point[X], point[Y], point[Z] = x, y, places[row, 2]
    point[LON], point[LAT], point[COS] = reduce_longitude(lonlat[row, 0]), lonlat[row, 1], math.sqrt(x * x + y * y)


@register_jitable(forceinline=True)
def _cosine(point: Any, table: Any, width: int, lane: int) -> Any:
    """Cosines of the angles between one point and 16 anchors."""
    dot = splat(point[X]) * load(table, X * width + lane)
    dot = fma(splat(point[Y]), load(table, Y * width + lane), dot)
    return fma(splat(point[Z]), load(table, Z * width + lane), dot)


@register_jitable(forceinline=True)
def _plane(point: Any, table: Any, width: int, lane: int) -> tuple[Any, Any]:
    """Degrees of longitude and latitude from each anchor, without a seam."""
    east = splat(point[LON]) - load(table, LON * width + lane)
    return east, splat(point[LAT]) - load(table, LAT * width + lane)


@register_jitable(forceinline=True)
def _globe(point: Any, table: Any, width: int, lane: int, dot: Any) -> tuple[Any, Any]:
    """Degrees of longitude, in [-180, 180], and of latitude, from each anchor or its antipode."""
    lat, zero = load(table, LAT * width + lane), splat(0.0)
    north = splat(point[LAT]) - less(dot, zero, -lat, lat)
    east, half = splat(point[LON]) - load(table, LON * width + lane), less(dot, zero, splat(180.0), zero)
    east = east - less(east, zero, -half, half)
    _, turns = nearest(east * splat(1 / 360))
    return fma(turns, splat(-360.0), east), north


@register_jitable(forceinline=True)
def _near(east2: Any, north2: Any, across: Any, like: Any) -> tuple[Any, Any]:
    """sin²(θ/2) from squares of the differences, and its factor sin²(Δλ/2)."""
    aside = east2 * _s(east2, like)
    return fma(across, aside, north2 * _s(north2, like)), aside


@register_jitable(forceinline=True)
def _squared_angle(near: Any, dot: Any, like: Any) -> Any:
    """θ² in radians²."""
    squared = near * _h(near, like)
    rest = splat(np.pi) - root(squared)
    return less(dot, splat(0.0), rest * rest, squared)


@register_jitable(forceinline=True)
def _features(point: Any, table: Any, planar: bool, scale: float, limit: float, out: Any, start: int) -> None:
    """All columns of one point, from an index of ``out`` on; up to 15 numbers behind them are overwritten."""
    width = len(table) // ROWS
    for lane in range(0, width, LANES):
        if planar:
            east, north = _plane(point, table, width, lane)
            squared = fma(east, east, north * north)
        else:
            dot = _cosine(point, table, width, lane)
            if not_less(dot, splat(limit)) == 0:
                store(out, start + lane, convert(splat(0.0), out))
                continue
            east, north = _globe(point, table, width, lane, dot)
            across = splat(point[COS]) * load(table, COS * width + lane)
            near, _ = _near(east * east, north * north, across, out)
            squared = _squared_angle(near, dot, out)
        store(out, start + lane, convert(exp2(squared * splat(scale), out), out))


@kernel
def _forward(
    lonlat: Any, places: Any, table: Any, columns: int, planar: bool, scale: float, limit: float, point: Any, out: Any
) -> None:
    for row in range(len(lonlat)):
        _describe(lonlat, places, row, point)
        _features(point, table, planar, scale, limit, out, row * columns)


@register_jitable(forceinline=True)
def _slopes(
    point: Any, table: Any, columns: int, planar: bool, scale: float, limit: float, gradient: Any, start: int
) -> tuple[float, float]:
    """Gradient by longitude and latitude of one point, from that by its columns, from an index on; less a factor."""
    width = len(table) // ROWS
    lon, lat, zero, one = splat(0.0), splat(0.0), splat(0.0), splat(1.0)
    for lane in range(0, width, LANES):
        if planar:
            by_east, by_north = _plane(point, table, width, lane)
            squared = fma(by_east, by_east, by_north * by_north)
            by_squared = splat(2.0)
        else:
            dot = _cosine(point, table, width, lane)
            if not_less(dot, splat(limit)) == 0:
                continue
            east, north = _globe(point, table, width, lane, dot)
            east2, north2, cos = east * east, north * north, load(table, COS * width + lane)
            across = splat(point[COS]) * cos
            near, aside = _near(east2, north2, across, gradient)
            squared = _squared_angle(near, dot, gradient)
            by_east = across * splat(0.5) * east * _t(east2, gradient)
            by_north = fma(splat(-point[Z]) * cos, aside, splat(0.5) * north * _t(north2, gradient))
            # θ² = (π - θ')² beyond a right angle: its slope is that of θ'² times 1 - π / θ'.
            turned = less(near, splat(ANTIPODE), zero, one - splat(np.pi) / root(near * _h(near, gradient)))
            by_squared = _g(near, gradient) * less(dot, zero, turned, one)
        own = load(gradient, start + lane)
        if columns - lane < LANES:
            own = first(own, columns - lane)
        common = widen(own) * exp2(squared * splat(scale), gradient) * by_squared
        lon = fma(common, by_east, lon)
        lat = fma(common, by_north, lat)
    return total(lon), total(lat)


@kernel
def _backward(
    gradient: Any,
    lonlat: Any,
    places: Any,
    table: Any,
    columns: int,
    planar: bool,
    scale: float,
    limit: float,
    point: Any,
    out: Any,
) -> None:
    for row in range(len(lonlat)):
        _describe(lonlat, places, row, point)
        out[row, 0], out[row, 1] = _slopes(point, table, columns, planar, scale, limit, gradient, row * columns)


def _exponent(kernel_size: float, planar: bool, dtype: torch.dtype) -> tuple[float, float, float]:
    """What d² is multiplied by: to give the exponent of e, and of 2; and the cosine below which features are 0."""
    width = kernel_size if planar else math.radians(kernel_size)
    scale = -0.5 / width**2
    angle = math.sqrt(ZERO[64 if dtype == torch.float64 else 32] * math.log(2) / scale)
    return scale, scale / math.log(2), math.cos(angle) - 1e-14 if angle < math.pi else -2.0


def forward(
    lonlat: Tensor, anchors: Tensor, kernel_size: float, planar: bool, dtype: torch.dtype, *, out: Tensor | None = None
) -> Tensor:
    """As `locenc.kernels.reference_rbf.radial_basis`, on the CPU; ``out``, contiguous and of that dtype, is filled."""
    points, table = lonlat.detach().numpy(), _table(anchors)
    _, scale, limit = _exponent(kernel_size, planar, dtype)
    given = len(anchors), planar, scale, limit

    def work(part: slice, own: Any) -> None:
        degrees, places = _located(points[part])
        point = np.empty(ROWS)

        def rows(part: slice, flat: Any) -> None:
            _forward(degrees[part], places[part], table, *given, point, flat)

        store_whole_vectors(own, rows)

    return make(len(points), len(anchors), dtype, out, work)


def backward(
    gradient: Tensor, lonlat: Tensor, anchors: Tensor, kernel_size: float, planar: bool, dtype: torch.dtype
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    points, table = lonlat.detach().numpy(), _table(anchors)
    exponent, scale, limit = _exponent(kernel_size, planar, dtype)
    given = len(anchors), planar, scale, limit

    def work(part: slice, own: Any, result: Any) -> None:
        degrees, places = _located(points[part])
        point = np.empty(ROWS)

        def rows(part: slice, flat: Any) -> None:
            _backward(flat, degrees[part], places[part], table, *given, point, result[part])

        load_whole_vectors(own, rows)
        result *= exponent if planar else exponent * RADIAN

    return pull_back(gradient, lonlat, dtype, work)


def _located(degrees: Any) -> tuple[Any, Any]:
    """Degrees as the kernels take them, and the unit vectors."""
    degrees = contiguous(degrees)
    return degrees, coordinates(XYZ, degrees)


def _table(anchors: Tensor) -> Any:
    """What distances need of all anchors: rows of whole vectors, the last ones filled up with zeros, as one array."""
    degrees, places = _located(anchors.detach().numpy())
    count = len(degrees)
    table = np.zeros((ROWS, -(-count // LANES) * LANES))
    table[:COS, :count] = np.concatenate([places, degrees], 1).T
    table[COS, :count] = np.sqrt(places[:, 0] ** 2 + places[:, 1] ** 2)
    return table.reshape(-1)
