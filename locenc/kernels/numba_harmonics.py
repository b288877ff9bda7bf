"""Spherical harmonics and their gradients on the CPU.

As `locenc.kernels.reference_harmonics`, whose recurrence runs along the degrees for each order by itself:

    p(m, m) = 1,   p(l, m) = 2 z p(l-1, m) - c(l, m) p(l-2, m).

Lanes are 8 orders of a point; a block of them goes through all degrees in registers, and writes both halves of a row of
columns: Re (x + iy)^m times s p forwards, Im (x + iy)^m times s p backwards. Coefficients are packed in that order.
The first 8 degrees of a block form a triangle: there the 1 of the next lane is added, and stores are masked.

Each degree waits for the one before, so two points go together, as one vector of 16 lanes. Blocks jump between the
columns, which defeats the processor's own prefetching of large results, so the next points' columns are asked for
meanwhile.

Gradients: with P = sum over l of s p g(l, m), N the same of g(l, -m), P' and N' of dp / d(2z), w = x + iy = cos lat u,

    by lon: sum over m of m (N Re w^m - P Im w^m),
    by lat: 2 cos lat (P' Re w^m + N' Im w^m) - sin lat m (P Re (u w^(m-1)) + N Im (u w^(m-1))),

so that nothing is divided by cos lat.
"""

from typing import Any

import numpy as np
import torch
from numba.extending import register_jitable
from torch import Tensor

from locenc.kernels import numba_sphere
from locenc.kernels.arrays import contiguous, make, numbers, pull_back
from locenc.kernels.compiling import kernel
from locenc.kernels.lanes import high, load8_between, low, pair, reverse, shift, store_between, total
from locenc.kernels.numba_coordinates import RADIAN
from locenc.kernels.numba_sphere import COS_LAT, COS_LON, PART, POWERS, SIN_LAT, SIN_LON, WHOLE, times
from locenc.kernels.vectors import LANES, convert, fma, load8, prefetch, splat8, store, widen

#: Where the packed coefficients begin, after the rows of a unit matrix and the numbers 0 to 7; of what steps they are.
ORDERS, FIRST, STEP = 64, 72, 16


def pack(recurrence: Tensor, scale: Tensor) -> Any:
    """Tables in the order in which blocks of 8 orders read them: 8 numbers -c, then 8 numbers s, for each degree."""
    degrees = len(scale)
    table = np.zeros(FIRST + STEP * sum(range(degrees, 0, -8)))
    _pack(contiguous(numbers(recurrence)), contiguous(numbers(scale)), degrees, table)
    return table


@kernel
def _pack(recurrence: Any, scale: Any, degrees: int, table: Any) -> None:
    for lane in range(8):
        table[9 * lane] = 1.0
        table[ORDERS + lane] = lane
    at = FIRST
    for order in range(0, degrees, 8):
        for degree in range(order, degrees):
            for lane in range(min(8, degree - order + 1)):
                table[at + lane] = -recurrence[degree, order + lane]
                table[at + 8 + lane] = scale[degree, order + lane]
            at += STEP


@register_jitable
def _both(space: Any, row: int, i: int, j: int) -> Any:
    """A row's numbers of two points, each in 8 lanes."""
    return pair(splat8(space[row, i]), splat8(space[row, j]))


@register_jitable
def _powers(space: Any, i: int, j: int) -> Any:
    """(x + iy)^0 to 7 of two points."""
    a, b = numba_sphere.powers(space, i)
    c, d = numba_sphere.powers(space, j)
    return pair(a, c), pair(b, d)


@register_jitable
def _load(table: Any, index: int) -> Any:
    """8 numbers for both points."""
    vector = load8(table, index)
    return pair(vector, vector)


@register_jitable
def _write(table: Any, degrees: int, space: Any, i: int, j: int, out: Any, first: int, second: int) -> None:
    """All columns of two points, each from an index of ``out`` on; they may be the same point."""
    whole, part = _both(space, WHOLE, i, j), _both(space, PART, i, j)
    real, imaginary = _powers(space, i, j)
    onwards, upwards = _both(space, POWERS + 6, i, j), _both(space, POWERS + 7, i, j)
    line = 64 // out.itemsize
    at, ahead = FIRST, second + degrees * degrees
    nothing = pair(splat8(0.0), splat8(0.0))
    for order in range(0, degrees, 8):
        before, p = nothing, nothing
        for degree in range(order, degrees):
            lane = degree - order
            c = _load(table, at)
            added = fma(c, before, _load(table, 8 * lane)) if lane < 8 else c * before
            before, p = p, fma(part, p, fma(whole, p, added))
            scaled = p * _load(table, at + 8)
            cosines, sines = convert(scaled * real, out), convert(scaled * imaginary, out)
            middle = degree * (degree + 1)
            right, left = middle + order, middle - order - 7
            if lane < 8:
                store_between(out, first + left, reverse(low(sines)), 7 - lane, 8)
                store_between(out, first + right, low(cosines), 0, lane + 1)
                store_between(out, second + left, reverse(high(sines)), 7 - lane, 8)
                store_between(out, second + right, high(cosines), 0, lane + 1)
            else:
                store(out, first + left, reverse(low(sines)))
                store(out, first + right, low(cosines))
                store(out, second + left, reverse(high(sines)))
                store(out, second + right, high(cosines))
            for _ in range(out.itemsize // 2):
                prefetch(out, ahead)
                ahead += line
            at += STEP
        real, imaginary = times(real, imaginary, onwards, upwards)


@kernel
def _forward(lonlat: Any, table: Any, degrees: int, space: Any, out: Any) -> None:
    columns = degrees * degrees
    for start in range(0, len(lonlat), LANES):
        count = min(LANES, len(lonlat) - start)
        numba_sphere.fill(lonlat, start, count, space)
        for i in range(0, count, 2):
            j = min(i + 1, count - 1)
            _write(table, degrees, space, i, j, out, (start + i) * columns, (start + j) * columns)


@register_jitable
def _contract(table: Any, degrees: int, space: Any, i: int, gradient: Any, start: int) -> tuple[float, float]:
    """Gradient by longitude and latitude, in radians, of one point, whose columns begin at an index."""
    whole, part = splat8(space[WHOLE, i]), splat8(space[PART, i])
    real, imaginary = numba_sphere.powers(space, i)
    onwards, upwards = splat8(space[POWERS + 6, i]), splat8(space[POWERS + 7, i])
    east, north = splat8(space[COS_LON, i]), splat8(space[SIN_LON, i])
    flat, steep = splat8(2.0 * space[COS_LAT, i]), splat8(-space[SIN_LAT, i])
    by_lon = by_lat = real_before = imaginary_before = splat8(0.0)
    orders = load8(table, ORDERS)
    columns, line = degrees * degrees, 64 // gradient.itemsize
    at, ahead = FIRST, start + columns
    for order in range(0, degrees, 8):
        before = p = slope_before = slope = splat8(0.0)
        plus = minus = plus_slope = minus_slope = splat8(0.0)
        for degree in range(order, degrees):
            c = load8(table, at)
            column = start + degree * (degree + 1)
            lane = degree - order
            next_slope = fma(part, slope, fma(whole, slope, fma(c, slope_before, p)))
            slope_before, slope = slope, next_slope
            if lane < 8:
                added = fma(c, before, load8(table, 8 * lane))
                g = widen(load8_between(gradient, column + order, 0, lane + 1))
                h = reverse(widen(load8_between(gradient, column - order - 7, 7 - lane, 8)))
            else:
                added = c * before
                g = widen(load8(gradient, column + order))
                h = reverse(widen(load8(gradient, column - order - 7)))
            before, p = p, fma(part, p, fma(whole, p, added))
            s = load8(table, at + 8)
            scaled, scaled_slope = s * p, s * slope
            plus, minus = fma(scaled, g, plus), fma(scaled, h, minus)
            plus_slope, minus_slope = fma(scaled_slope, g, plus_slope), fma(scaled_slope, h, minus_slope)
            for _ in range(gradient.itemsize // 4):
                prefetch(gradient, ahead)
                ahead += line
            at += STEP
        by_lon = fma(orders, fma(minus, real, -(plus * imaginary)), by_lon)
        by_lat = fma(flat, fma(plus_slope, real, minus_slope * imaginary), by_lat)
        a, b = times(east, north, shift(real_before, real), shift(imaginary_before, imaginary))
        by_lat = fma(steep * orders, fma(plus, a, minus * b), by_lat)
        orders = orders + splat8(8.0)
        real_before, imaginary_before = real, imaginary
        real, imaginary = times(real, imaginary, onwards, upwards)
    return total(by_lon), total(by_lat)


@kernel
def _backward(gradient: Any, lonlat: Any, table: Any, degrees: int, space: Any, out: Any) -> None:
    for start in range(0, len(lonlat), LANES):
        count = min(LANES, len(lonlat) - start)
        numba_sphere.fill(lonlat, start, count, space)
        for i in range(count):
            lon, lat = _contract(table, degrees, space, i, gradient, (start + i) * degrees * degrees)
            out[start + i, 0], out[start + i, 1] = RADIAN * lon, RADIAN * lat


def forward(
    lonlat: Tensor, recurrence: Tensor, scale: Tensor, dtype: torch.dtype, *, out: Tensor | None = None
) -> Tensor:
    """As `reference_harmonics.spherical_harmonics`, on the CPU; ``out``, contiguous and of that dtype, is filled."""
    degrees = len(scale)
    places, table = numbers(lonlat), pack(recurrence, scale)

    def work(part: slice, own: Any) -> None:
        _forward(contiguous(places[part]), table, degrees, numba_sphere.workspace(), own.reshape(-1))

    return make(len(places), degrees**2, dtype, out, work)


def backward(gradient: Tensor, lonlat: Tensor, recurrence: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    degrees = len(scale)
    places, table = numbers(lonlat), pack(recurrence, scale)

    def work(part: slice, own: Any, result: Any) -> None:
        _backward(own.reshape(-1), contiguous(places[part]), table, degrees, numba_sphere.workspace(), result)

    return pull_back(gradient, lonlat, dtype, work)
