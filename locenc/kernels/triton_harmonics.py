"""Spherical harmonics and the gradients of their coordinates on CUDA.

Lanes are the orders of a point; all step from degree to degree, and write both halves of a row of columns: cosines
rightwards, sines leftwards from the column of m = 0. So a point's columns are written one after the other, whole
sectors of memory, though no store is aligned: a degree begins at column l². Orders are two blocks, of which the second
joins when the degree reaches it, since orders end at the degree and lanes beyond idle.

Gradients: with P = Σ_l F g G(l, m), N the same of G(l, -m), P' and N' of the slopes of g by z, and B = S / cos lat,

    by lon: Σ_m m B cos lat (N cos m lon - P sin m lon),
    by lat: Σ_m B (cos² lat (P' cos m lon + N' sin m lon) - m sin lat (P cos m lon + N sin m lon)),

of which m = 0 is cos lat S P'. B is a power of its own, so nothing is divided by cos lat.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_legendre, triton_shapes
from locenc.kernels.triton_launch import blocks, empty, launch
from locenc.kernels.triton_legendre import (
    COS_LAT,
    FIELDS,
    SIN_LAT,
    load_degree,
    load_latitude,
    longitude_waves,
    next_degree,
    powers,
    step,
    step_slope,
)

RADIAN = tl.constexpr(triton_legendre.RADIAN.value)


@triton.jit
def store_degree(middle, right, left, value, sine, cosine, orders, degree, here, BEGINS: tl.constexpr):
    """Write the columns of a block of orders at a degree."""
    own = middle + degree * (degree + 1)
    if BEGINS:
        here = here & (orders <= degree)[None, :]
    tl.store(own + right, (value * cosine).to(middle.dtype.element_ty), mask=here)
    tl.store(own + left, (value * sine).to(middle.dtype.element_ty), mask=here & (orders > 0)[None, :])


@triton.jit
def encode_kernel(
    points,
    table,
    out,
    n,
    DEGREES: tl.constexpr,
    PITCH: tl.constexpr,
    WIDE: tl.constexpr,
    POINTS: tl.constexpr,
    ORDERS: tl.constexpr,
    SPREAD: tl.constexpr,
):
    """Columns of a tile of points and two blocks of orders; SPREAD points lie side by side in a program's threads."""
    width: tl.constexpr = DEGREES * DEGREES
    begin = tl.program_id(0).to(tl.int64) * POINTS
    local = tl.arange(0, POINTS)
    rows = begin + local
    here = (rows < n)[:, None]
    w, part = load_latitude(points, rows, n)
    # Apart, so that the compiler finds what is constant between the points of a thread, and adds it in the store.
    zonal = (local & (SPREAD - 1)).to(tl.int64) * width + (local & -SPREAD).to(tl.int64) * width
    middle = out + begin * width

    first = tl.program_id(1) * (2 * ORDERS)
    orders = first + tl.arange(0, ORDERS)
    sine, cosine = longitude_waves(points, rows, n, orders)
    start = powers(points, table, rows, n, orders, orders, DEGREES, PITCH, WIDE)
    right, left = zonal[:, None] + orders[None, :], zonal[:, None] - orders[None, :]
    g, d, lost = tl.zeros_like(start), tl.zeros_like(start), tl.zeros_like(start)
    for degree in range(first, tl.minimum(first + ORDERS, DEGREES)):
        r, factor = load_degree(table, degree, orders, DEGREES, PITCH)
        g, d, lost, value = next_degree(degree, orders, start, g, d, lost, r, factor, w, part, True)
        store_degree(middle, right, left, value, sine, cosine, orders, degree, here, True)

    if DEGREES > ORDERS:
        more = orders + ORDERS
        more_sine, more_cosine = longitude_waves(points, rows, n, more)
        more_start = powers(points, table, rows, n, more, more, DEGREES, PITCH, WIDE)
        g2, d2, lost2 = tl.zeros_like(start), tl.zeros_like(start), tl.zeros_like(start)
        for degree in range(first + ORDERS, DEGREES):
            r, factor = load_degree(table, degree, orders, DEGREES, PITCH)
            g, d, lost, value = next_degree(degree, orders, start, g, d, lost, r, factor, w, part, False)
            store_degree(middle, right, left, value, sine, cosine, orders, degree, here, False)
            r, factor = load_degree(table, degree, more, DEGREES, PITCH)
            g2, d2, lost2, value = next_degree(degree, more, more_start, g2, d2, lost2, r, factor, w, part, True)
            store_degree(middle, right + ORDERS, left - ORDERS, value, more_sine, more_cosine, more, degree, here, True)


@triton.jit
def next_slopes(
    table, degree, orders, start, g, d, lost, slope, bend, w, part, DEGREES: tl.constexpr, PITCH: tl.constexpr
):
    """State of a block of orders at a degree, with the slopes of g and d by z; F g, F times the slope of g."""
    r, factor = load_degree(table, degree, orders, DEGREES, PITCH)
    slope, bend = step_slope(slope, bend, g, r, w, part)
    g, d, lost = step(g, d, lost, r, w, part)
    g = tl.where((orders == degree)[None, :], start, g)
    return g, d, lost, slope, bend, factor * g, factor * slope


@triton.jit
def load_slant(points, rows, n):
    """Sine and cosine of the latitude of a tile's points, [points, 1] each."""
    here = rows < n
    sin_lat = tl.load(points + rows * FIELDS + SIN_LAT, mask=here, other=0.0)
    cos_lat = tl.load(points + rows * FIELDS + COS_LAT, mask=here, other=0.0)
    return sin_lat[:, None], cos_lat[:, None]


@triton.jit
def along_sphere(points, rows, n, orders, sin_lat, cos_lat, p, q, p_slope, q_slope):
    """What a block of orders adds to the gradients by longitude and latitude in radians, [points] each."""
    sine, cosine = longitude_waves(points, rows, n, orders)
    m = orders.to(tl.float32)[None, :]
    turning = (q * cosine - p * sine).to(tl.float32)
    rising = (p_slope * cosine + q_slope * sine).to(tl.float32)
    shrinking = (p * cosine + q * sine).to(tl.float32)
    squared = tl.where((orders > 0)[None, :], cos_lat * cos_lat, cos_lat)
    return tl.sum(m * cos_lat * turning, 1), tl.sum(squared * rising - m * sin_lat * shrinking, 1)


@triton.jit
def store_degrees(out, rows, n, by_lon, by_lat):
    """Write gradients by radians as such by degrees."""
    own = out + rows * 2
    tl.store(own, (by_lon * RADIAN).to(out.dtype.element_ty), mask=rows < n)
    tl.store(own + 1, (by_lat * RADIAN).to(out.dtype.element_ty), mask=rows < n)


@triton.jit
def pull_back_kernel(
    gradient,
    points,
    table,
    out,
    n,
    along,
    across,
    DEGREES: tl.constexpr,
    PITCH: tl.constexpr,
    WIDE: tl.constexpr,
    POINTS: tl.constexpr,
    ORDERS: tl.constexpr,
):
    """Gradients by longitude and latitude of a tile of points, block of orders after block."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    here = (rows < n)[:, None]
    w, part = load_latitude(points, rows, n)
    sin_lat, cos_lat = load_slant(points, rows, n)
    by_lon = tl.zeros((POINTS,), tl.float32)
    by_lat = tl.zeros((POINTS,), tl.float32)
    for first in range(0, DEGREES, ORDERS):
        orders = first + tl.arange(0, ORDERS)
        start = powers(points, table, rows, n, tl.maximum(orders - 1, 0), orders, DEGREES, PITCH, WIDE)
        zero = tl.zeros_like(start)
        g, d, lost, slope, bend = zero, zero, zero, zero, zero
        p, q, p_slope, q_slope = zero, zero, zero, zero
        right = gradient + rows[:, None] * along + orders[None, :] * across
        left = gradient + rows[:, None] * along - orders[None, :] * across
        for degree in range(first, DEGREES):
            g, d, lost, slope, bend, value, change = next_slopes(
                table, degree, orders, start, g, d, lost, slope, bend, w, part, DEGREES, PITCH
            )
            inside = here & (orders <= degree)[None, :]
            middle = degree * (degree + 1) * across
            east = tl.load(right + middle, mask=inside, other=0.0).to(tl.float32)
            north = tl.load(left + middle, mask=inside & (orders > 0)[None, :], other=0.0).to(tl.float32)
            p, q = tl.fma(value, east, p), tl.fma(value, north, q)
            p_slope, q_slope = tl.fma(change, east, p_slope), tl.fma(change, north, q_slope)
        more_lon, more_lat = along_sphere(points, rows, n, orders, sin_lat, cos_lat, p, q, p_slope, q_slope)
        by_lon += more_lon
        by_lat += more_lat
    store_degrees(out, rows, n, by_lon, by_lat)


def encode(points: Tensor, table: Tensor, degrees: int, out: Tensor) -> None:
    """Fill ``out`` (N, L²) with columns: of points, by tables, both of `locenc.kernels.triton_legendre`."""
    tile = triton_shapes.harmonics(out.device, degrees)
    launch(
        encode_kernel,
        (blocks(len(points), tile.points), blocks(degrees, 2 * tile.scales)),
        *(points, table, out, len(points)),
        DEGREES=degrees,
        PITCH=table.shape[1],
        WIDE=table.dtype == torch.float64,
        POINTS=tile.points,
        ORDERS=tile.scales,
        SPREAD=max(1, 32 * tile.warps // tile.scales),
        warps=tile.warps,
    )


def forward(
    lonlat: Tensor, recurrence: Tensor, scale: Tensor, dtype: torch.dtype, *, out: Tensor | None = None
) -> Tensor:
    """As `locenc.kernels.reference_harmonics.spherical_harmonics`, for float32, bfloat16 and float16 columns.

    ``recurrence`` is taken to be that of its `tables`; ``scale`` may hold anything.
    """
    degrees = len(scale)
    out = empty((len(lonlat), degrees**2), lonlat, dtype) if out is None else out
    encode(triton_legendre.points(lonlat), triton_legendre.tables(scale), degrees, out)
    return out


def backward(gradient: Tensor, lonlat: Tensor, recurrence: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """Gradient of the coordinates, in their dtype; sums over orders are float32."""
    degrees = len(scale)
    out = empty((len(lonlat), 2), lonlat, lonlat.dtype)
    table = triton_legendre.tables(scale)
    tile = triton_shapes.harmonics_pull_back(lonlat.device, degrees)
    launch(
        pull_back_kernel,
        (blocks(len(lonlat), tile.points),),
        *(gradient, triton_legendre.points(lonlat), table, out, len(lonlat)),
        *gradient.stride(),
        DEGREES=degrees,
        PITCH=table.shape[1],
        WIDE=table.dtype == torch.float64,
        POINTS=tile.points,
        ORDERS=tile.scales,
        warps=tile.warps,
        registers=255 if table.dtype == torch.float64 else None,
    )
    return out
