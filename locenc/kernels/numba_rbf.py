"""Gaussian radial basis functions and their gradients on the CPU. Lanes run over anchors."""

import math
from typing import Any

import numpy as np
import torch
from numba.extending import register_jitable
from torch import Tensor

from locenc.kernels.arrays import load_whole_vectors, make, numbers, pull_back, store_whole_vectors
from locenc.kernels.compiling import kernel
from locenc.kernels.lanes import first, less, not_less, total
from locenc.kernels.numba_coordinates import RADIAN
from locenc.kernels.numba_distances import (
    ANTIPODE,
    COS,
    ROWS,
    Z,
    by_haversine,
    cosine,
    describe,
    haversine,
    located,
    on_globe,
    on_plane,
    sine_by_square,
    slope_by_haversine,
    squared_angle,
    table_of,
)
from locenc.kernels.numba_exp import ZERO, exp2
from locenc.kernels.vectors import LANES, convert, fma, load, root, splat, store, widen


@register_jitable(forceinline=True)
def _features(point: Any, table: Any, planar: bool, scale: float, limit: float, out: Any, start: int) -> None:
    """All columns of one point, from an index of ``out`` on; up to 15 numbers behind them are overwritten."""
    width = len(table) // ROWS
    for lane in range(0, width, LANES):
        if planar:
            east, north = on_plane(point, table, width, lane)
            squared = fma(east, east, north * north)
        else:
            dot = cosine(point, table, width, lane)
            if not_less(dot, splat(limit)) == 0:
                store(out, start + lane, convert(splat(0.0), out))
                continue
            east, north = on_globe(point, table, width, lane, dot)
            across = splat(point[COS]) * load(table, COS * width + lane)
            near, _ = haversine(east * east, north * north, across, out)
            squared = squared_angle(near, dot, out)
        store(out, start + lane, convert(exp2(squared * splat(scale), out), out))


@kernel
def _forward(
    lonlat: Any, places: Any, table: Any, columns: int, planar: bool, scale: float, limit: float, point: Any, out: Any
) -> None:
    for row in range(len(lonlat)):
        describe(lonlat, places, row, point)
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
            by_east, by_north = on_plane(point, table, width, lane)
            squared = fma(by_east, by_east, by_north * by_north)
            by_squared = splat(2.0)
        else:
            dot = cosine(point, table, width, lane)
            if not_less(dot, splat(limit)) == 0:
                continue
            east, north = on_globe(point, table, width, lane, dot)
            east2, north2, cos = east * east, north * north, load(table, COS * width + lane)
            across = splat(point[COS]) * cos
            near, aside = haversine(east2, north2, across, gradient)
            squared = squared_angle(near, dot, gradient)
            by_east = across * splat(0.5) * east * sine_by_square(east2, gradient)
            by_north = fma(splat(-point[Z]) * cos, aside, splat(0.5) * north * sine_by_square(north2, gradient))
            # θ² = (π - θ')² beyond a right angle: its slope is that of θ'² times 1 - π / θ'.
            turned = less(near, splat(ANTIPODE), zero, one - splat(np.pi) / root(near * by_haversine(near, gradient)))
            by_squared = slope_by_haversine(near, gradient) * less(dot, zero, turned, one)
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
        describe(lonlat, places, row, point)
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
    points, table = numbers(lonlat), table_of(anchors)
    _, scale, limit = _exponent(kernel_size, planar, dtype)
    given = len(anchors), planar, scale, limit

    def work(part: slice, own: Any) -> None:
        degrees, places = located(points[part])
        point = np.empty(ROWS)

        def rows(part: slice, flat: Any) -> None:
            _forward(degrees[part], places[part], table, *given, point, flat)

        store_whole_vectors(own, rows)

    return make(len(points), len(anchors), dtype, out, work)


def backward(
    gradient: Tensor, lonlat: Tensor, anchors: Tensor, kernel_size: float, planar: bool, dtype: torch.dtype
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    points, table = numbers(lonlat), table_of(anchors)
    exponent, scale, limit = _exponent(kernel_size, planar, dtype)
    given = len(anchors), planar, scale, limit

    def work(part: slice, own: Any, result: Any) -> None:
        degrees, places = located(points[part])
        point = np.empty(ROWS)

        def rows(part: slice, flat: Any) -> None:
            _backward(flat, degrees[part], places[part], table, *given, point, result[part])

        load_whole_vectors(own, rows)
        result *= exponent if planar else exponent * RADIAN

    return pull_back(gradient, lonlat, dtype, work)
