"""Spherical harmonics and the first layer behind them on CUDA: the columns never exist in memory.

    out[n, h] = activation(b[h] + Σ_c Y[n, c] W[h, c]).

A program has a tile of points and of the layer's columns. Lanes are a block of orders that steps from degree to degree;
at each, its cosines and sines, in the weight's dtype and in turns, are multiplied by their part of the weight. That
part is packed before, in the order in which it is read, with zeros where orders exceed the degree: columns begin at odd
addresses, which products cannot read in one go, and half of a block's first degrees is such zeros.

For the gradient of the coordinates, those by the columns, Σ_h g[n, h] W[h, c], are made in the same order. That of the
weight wants all points for one column, where the recurrence makes all columns of a point: columns of some points at a
time are written, and torch multiplies them; sums are in the order of the points.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_legendre, triton_shapes
from locenc.kernels.activations import NONE
from locenc.kernels.triton_activation import activate, slope
from locenc.kernels.triton_harmonics import along_sphere, encode, load_slant, next_slopes, store_degrees
from locenc.kernels.triton_launch import blocks, empty, input_precision, launch
from locenc.kernels.triton_legendre import load_degree, load_latitude, longitude_waves, next_degree, powers
from locenc.kernels.triton_weights import bias_gradient

#: Columns that are written at a time for the gradient of the weight: so many numbers,
NUMBERS = 2**23
#: or those of so many points, if that is more: a product of fewer is slow.
POINTS = 2048

ROWS = tl.constexpr(64)  # of the weight, of a program that packs


@triton.jit
def pack_kernel(
    weight,
    out,
    hidden,
    pitch,
    along,
    across,
    DEGREES: tl.constexpr,
    ORDERS: tl.constexpr,
    TRANSPOSED: tl.constexpr,
):
    """The weight's part for a block of orders at a degree."""
    first = tl.program_id(0) * ORDERS
    degree = tl.program_id(1)
    rows = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    lanes = tl.arange(0, 2 * ORDERS)
    if degree >= first:
        order = first + lanes // 2
        odd = lanes % 2 == 1
        column = degree * (degree + 1) + tl.where(odd, -order, order)
        inside = (order <= degree) & ((order > 0) | (lanes % 2 == 0))
        mask = inside[None, :] & (rows < hidden)[:, None]
        start = weight + rows.to(tl.int64)[:, None] * along + column.to(tl.int64)[None, :] * across
        value = tl.load(start, mask=mask, other=0.0)
        before = tl.program_id(0) * DEGREES - ORDERS * (tl.program_id(0) * (tl.program_id(0) - 1) // 2)
        part = (before + degree - first).to(tl.int64)
        start = out + part * (2 * ORDERS) * pitch
        if TRANSPOSED:
            tl.store(start + lanes[None, :] * pitch + rows[:, None], value, mask=(rows < pitch)[:, None])
        else:
            tl.store(start + rows[:, None] * (2 * ORDERS) + lanes[None, :], value, mask=(rows < pitch)[:, None])


@triton.jit
def linear_kernel(
    points,
    table,
    packed,
    bias,
    gradient,
    out,
    n,
    along,
    across,
    parameter,
    DEGREES: tl.constexpr,
    PITCH: tl.constexpr,
    WIDE: tl.constexpr,
    HIDDEN: tl.constexpr,
    PADDED: tl.constexpr,
    BIASED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    SLOPE: tl.constexpr,
    PRECISION: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ORDERS: tl.constexpr,
):
    """The layer's columns at a tile of points; or, with SLOPE, the gradient times the activation's slope there."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    w, part = load_latitude(points, rows, n)
    own = packed + columns[None, :] * (2 * ORDERS) + tl.arange(0, 2 * ORDERS)[:, None]
    total = tl.zeros((POINTS, COLUMNS), tl.float32)
    for first in range(0, DEGREES, ORDERS):
        orders = first + tl.arange(0, ORDERS)
        sine, cosine = longitude_waves(points, rows, n, orders)
        start = powers(points, table, rows, n, orders, orders, DEGREES, PITCH, WIDE)
        g, d, lost = tl.zeros_like(start), tl.zeros_like(start), tl.zeros_like(start)
        r, factor = load_degree(table, first, orders, DEGREES, PITCH)
        for degree in range(first, DEGREES):
            g, d, lost, value = next_degree(degree, orders, start, g, d, lost, r, factor, w, part, True)
            r, factor = load_degree(table, degree + 1, orders, DEGREES, PITCH)
            both = tl.reshape(tl.join(value * cosine, value * sine), (POINTS, 2 * ORDERS))
            total = tl.dot(both.to(packed.dtype.element_ty), tl.load(own), total, input_precision=PRECISION)
            own += PADDED * (2 * ORDERS)
    if BIASED:
        total += tl.load(bias + columns, mask=columns < HIDDEN, other=0.0).to(tl.float32)[None, :]
    here = (rows < n)[:, None]
    if HIDDEN % COLUMNS != 0:
        here = here & (columns < HIDDEN)[None, :]
    if SLOPE:
        given = tl.load(gradient + rows[:, None] * along + columns[None, :] * across, mask=here, other=0.0)
        total = given.to(tl.float32) * slope(total, parameter, ACTIVATION)
    else:
        total = activate(total, parameter, ACTIVATION)
    tl.store(out + rows[:, None] * HIDDEN + columns[None, :], total.to(out.dtype.element_ty), mask=here)


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


def forward(
    lonlat: Tensor,
    recurrence: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    dtype: torch.dtype,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """As `triton_harmonics.forward`, `linear` and an activation: float32, or tf32, bfloat16, float16."""
    out = empty((len(lonlat), len(weight)), lonlat, dtype) if out is None else out
    _launch(lonlat, scale, weight, bias, activation, parameter, out=out)
    return out


def backward(
    gradient: Tensor,
    lonlat: Tensor,
    recurrence: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    dtype: torch.dtype,
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    gradient = _before_activation(gradient, lonlat, scale, weight, bias, activation, parameter)
    precision = input_precision(weight.dtype)
    tile = triton_shapes.harmonics_linear_slopes(lonlat.device, weight.dtype, precision, len(weight), len(scale))
    table, out = triton_legendre.tables(scale), empty((len(lonlat), 2), lonlat, lonlat.dtype)
    packed, padded = pack(weight, len(scale), tile.scales, tile.columns, transposed=True)
    launch(
        slopes_kernel,
        (blocks(len(lonlat), tile.points),),
        *(gradient.to(weight.dtype), packed, triton_legendre.points(lonlat), table, out, len(lonlat)),
        *(*gradient.stride(), padded),
        **_constants(table, weight, padded, len(scale), precision, tile),
        warps=tile.warps,
        stages=tile.stages,
    )
    return out


def backward_arguments(
    gradient: Tensor,
    lonlat: Tensor,
    recurrence: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias."""
    gradient = _before_activation(gradient, lonlat, scale, weight, bias, activation, parameter).to(weight.dtype)
    points, table = triton_legendre.points(lonlat), triton_legendre.tables(scale)
    width = weight.shape[1]
    rows = max(POINTS, NUMBERS // width)
    columns = empty((min(rows, len(points)), width), weight, weight.dtype)
    total = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
    for begin in range(0, len(points), rows):
        own = points[begin : begin + rows]
        some = columns[: len(own)]
        encode(own, table, len(scale), some)
        given = gradient[begin : begin + rows].T
        if weight.dtype == torch.float32:
            total.addmm_(given, some)
        else:
            total += given @ some
    found = [total.to(weight.dtype)]
    return found if bias is None else [*found, bias_gradient(gradient)]


def _before_activation(
    gradient: Tensor,
    lonlat: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
) -> Tensor:
    """Gradient of what the activation is applied to."""
    if activation == NONE:
        return gradient
    out = empty(tuple(gradient.shape), gradient, gradient.dtype)
    _launch(lonlat, scale, weight, bias, activation, parameter, gradient=gradient, out=out)
    return out


def _launch(
    lonlat: Tensor,
    scale: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    *,
    out: Tensor,
    gradient: Tensor | None = None,
) -> None:
    """Fill ``out`` with the layer's columns, or with the gradient before the activation, of the one behind it."""
    precision = input_precision(weight.dtype)
    tile = triton_shapes.harmonics_linear(
        lonlat.device, weight.dtype, precision, len(weight), len(scale), slope=gradient is not None
    )
    table = triton_legendre.tables(scale)
    packed, padded = pack(weight, len(scale), tile.scales, tile.columns)
    added = packed if bias is None else bias.contiguous()
    given = out if gradient is None else gradient
    launch(
        linear_kernel,
        (blocks(len(lonlat), tile.points), padded // tile.columns),
        *(triton_legendre.points(lonlat), table, packed, added, given, out, len(lonlat)),
        *(*given.stride(), parameter),
        **_constants(table, weight, padded, len(scale), precision, tile),
        BIASED=bias is not None,
        ACTIVATION=activation,
        SLOPE=gradient is not None,
        warps=tile.warps,
        stages=tile.stages,
    )


def _constants(
    table: Tensor, weight: Tensor, padded: int, degrees: int, precision: str, tile: triton_shapes.Layer
) -> dict[str, Any]:
    return {
        "DEGREES": degrees,
        "PITCH": table.shape[1],
        "WIDE": table.dtype == torch.float64,
        "HIDDEN": len(weight),
        "PADDED": padded,
        "PRECISION": precision,
        "POINTS": tile.points,
        "COLUMNS": tile.columns,
        "ORDERS": tile.scales,
    }


def pack(weight: Tensor, degrees: int, orders: int, columns: int, *, transposed: bool = False) -> tuple[Tensor, int]:
    """The weight ``(H, L²)`` by blocks of orders and degrees, in the order in which kernels read it.

    Returns
    -------
    packed : Tensor
        ``(blocks and degrees, H, 2 orders)``: cosine and sine of each order in turns; or, transposed,
        ``(blocks and degrees, 2 orders, H)``. 0 where there is no column.
    rows : int
        H, rounded up to a multiple of ``columns``.
    """
    count = blocks(degrees, orders)
    parts = count * degrees - orders * (count * (count - 1) // 2)
    padded = blocks(len(weight), columns) * columns
    packed = empty((parts, 2 * orders, padded) if transposed else (parts, padded, 2 * orders), weight, weight.dtype)
    launch(
        pack_kernel,
        (count, degrees, blocks(padded, ROWS.value)),
        *(weight, packed, len(weight), padded, *weight.stride()),
        DEGREES=degrees,
        ORDERS=orders,
        TRANSPOSED=transposed,
    )
    return packed, padded
