"""Gradient of coordinates through a layer on spherical harmonics that are made again, on CUDA.

    dY[n, c] = Σ_h g[n, h] W[h, c],

for a block of orders at a degree at a time, in the order in which the recurrence makes Y's slopes; then, in registers,
the gradients by the coordinates of `locenc.kernels.triton_harmonics`.
"""

import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_legendre, triton_shapes
from locenc.kernels.triton_harmonics import along_sphere, load_slant, next_slopes, store_degrees
from locenc.kernels.triton_harmonics_layer import constants
from locenc.kernels.triton_harmonics_pack import pack
from locenc.kernels.triton_launch import blocks, empty, input_precision, launch
from locenc.kernels.triton_legendre import load_latitude, powers


@triton.jit
def slopes_kernel(
    gradient,
    packed,
    points,
    table,
    out,
    n,
    along,
    across,
    padded,
    DEGREES: tl.constexpr,
    PITCH: tl.constexpr,
    WIDE: tl.constexpr,
    HIDDEN: tl.constexpr,
    PADDED: tl.constexpr,
    PRECISION: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ORDERS: tl.constexpr,
):
    """Gradients by longitude and latitude of a tile of points, block of orders after block.

    ``padded`` is PADDED again, which the compiler must not know in a loop that it would unroll.
    """
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    w, part = load_latitude(points, rows, n)
    sin_lat, cos_lat = load_slant(points, rows, n)
    columns = tl.arange(0, COLUMNS)
    given = gradient + rows[:, None] * along + columns[None, :] * across
    own = packed + tl.arange(0, 2 * ORDERS)[None, :] * PADDED + columns[:, None]
    by_lon = tl.zeros((POINTS,), tl.float32)
    by_lat = tl.zeros((POINTS,), tl.float32)
    for first in range(0, DEGREES, ORDERS):
        orders = first + tl.arange(0, ORDERS)
        start = powers(points, table, rows, n, tl.maximum(orders - 1, 0), orders, DEGREES, PITCH, WIDE)
        zero = tl.zeros_like(start)
        g, d, lost, bend, slope = zero, zero, zero, zero, zero
        p, q, p_slope, q_slope = zero, zero, zero, zero
        for degree in range(first, DEGREES):
            total = tl.zeros((POINTS, 2 * ORDERS), tl.float32)
            for begin in range(0, padded, COLUMNS):
                here = (rows < n)[:, None]
                if HIDDEN % COLUMNS != 0:
                    here = here & (begin + columns < HIDDEN)[None, :]
                some = tl.load(given + begin * across, mask=here, other=0.0)
                total = tl.dot(some, tl.load(own + begin), total, input_precision=PRECISION)
            own += PADDED * (2 * ORDERS)
            east, north = tl.split(tl.reshape(total, (POINTS, ORDERS, 2)))
            g, d, lost, slope, bend, value, change = next_slopes(
                table, degree, orders, start, g, d, lost, slope, bend, w, part, DEGREES, PITCH
            )
            p, q = tl.fma(value, east, p), tl.fma(value, north, q)
            p_slope, q_slope = tl.fma(change, east, p_slope), tl.fma(change, north, q_slope)
        more_lon, more_lat = along_sphere(points, rows, n, orders, sin_lat, cos_lat, p, q, p_slope, q_slope)
        by_lon += more_lon
        by_lat += more_lat
    store_degrees(out, rows, n, by_lon, by_lat)


def slopes(gradient: Tensor, lonlat: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """Gradient of the coordinates, in their dtype, from that of what the columns are multiplied to."""
    degrees, precision = len(scale), input_precision(weight.dtype)
    tile = triton_shapes.harmonics_linear_slopes(lonlat.device, weight.dtype, precision, len(weight), degrees)
    table, out = triton_legendre.tables(scale), empty((len(lonlat), 2), lonlat, lonlat.dtype)
    packed, padded = pack(weight, degrees, tile.scales, tile.columns, transposed=True)
    launch(
        slopes_kernel,
        (blocks(len(lonlat), tile.points),),
        *(gradient.to(weight.dtype), packed, triton_legendre.points(lonlat), table, out, len(lonlat)),
        *(*gradient.stride(), padded),
        **constants(table, padded, degrees, precision, tile),
        HIDDEN=len(weight),
    )
    return out
