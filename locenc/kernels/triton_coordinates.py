"""The coordinates that phases are made of, on the device: one small pass over the points, in float64.

As `locenc.kernels.reference.coordinates`; the result is float64, or sums of two float32 numbers, since float64 is slow
on most devices and each point is used many times. Planes of N numbers: hi, lo of each coordinate, or the coordinate.
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import layout, reference
from locenc.kernels.triton_launch import blocks, empty, launch

POINTS = 256  # of a program

LONLAT, XYZ = tl.constexpr(layout.LONLAT), tl.constexpr(layout.XYZ)
INFINITY = tl.constexpr(math.inf)
RADIAN = tl.constexpr(math.pi / 180)
ROOT = tl.constexpr(math.sqrt(3) / 2)
A1, A2, A3, A4 = (tl.constexpr(value) for value in (1.340264, -0.081106, 0.000893, 0.003796))


@triton.jit
def reduce_longitude(lon):
    """Longitudes in [-180, 180], exactly; those inside stay, 540 becomes 180, -540 becomes -180. Float64."""
    while tl.max(tl.where(tl.abs(lon) < INFINITY, tl.abs(lon), 0.0)) >= 360.0:
        turns = lon / 360.0
        whole = tl.where(turns < 0.0, tl.ceil(turns), tl.floor(turns))
        lon = tl.where(tl.abs(lon) >= 360.0, tl.fma(whole, -360.0, lon), lon)
    lon = tl.where(lon > 180.0, lon - 360.0, lon)
    return tl.where(lon < -180.0, lon + 360.0, lon)


@triton.jit
def load_degrees(lonlat, n, along, across, rows):
    """Longitudes, reduced, and latitudes of some rows, in float64; 0 beyond the last row."""
    here = rows < n
    lon = tl.load(lonlat + rows * along, mask=here, other=0.0).to(tl.float64)
    lat = tl.load(lonlat + rows * along + across, mask=here, other=0.0).to(tl.float64)
    return reduce_longitude(lon), lat


@triton.jit
def small_sines(angle):
    """Sine and cosine of |angle| <= pi / 4 in float64, by their series: to its last digits.

    No `tl.fma` here: older Tritons round numbers in its arguments to float32.
    """
    z = angle * angle
    p = z * (-1 / 1307674368000) + 1 / 6227020800
    p = z * p - 1 / 39916800
    p = z * p + 1 / 362880
    p = z * p - 1 / 5040
    p = z * p + 1 / 120
    p = z * p - 1 / 6
    q = z * (1 / 20922789888000) - 1 / 87178291200
    q = z * q + 1 / 479001600
    q = z * q - 1 / 3628800
    q = z * q + 1 / 40320
    q = z * q - 1 / 720
    q = z * q + 1 / 24
    return angle + angle * (z * p), 1.0 + z * (q * z - 0.5)


@triton.jit
def sines(degrees):
    """Sine and cosine of |degrees| <= 180 in float64; exact at multiples of 90."""
    quarter = tl.floor(degrees / 90.0 + 0.5)
    sine, cosine = small_sines((degrees - 90.0 * quarter) * RADIAN)
    turn = tl.where(tl.abs(quarter) <= 2.0, quarter, 0.0).to(tl.int32)  # NaN is no integer, and gives NaN below
    odd = (turn & 1) == 1
    first, second = tl.where(odd, cosine, sine), tl.where(odd, sine, cosine)
    return tl.where((turn & 2) == 0, first, -first), tl.where(((turn + 1) & 2) == 0, second, -second)


@triton.jit
def equal_earth(lon, lat):
    """Equal Earth projection of degrees, in radii of the sphere."""
    sine, _ = sines(lat)
    sine *= ROOT
    square = sine * sine
    t = sine * (1.0 + square * (1 / 6 + square * (3 / 40 + square * (15 / 336))))  # within 0.02 of the arcsine
    for _ in tl.static_range(4):
        half, other = small_sines(0.5 * t)
        t -= (2.0 * half * other - sine) / (1.0 - 2.0 * half * half)
    half, _ = small_sines(0.5 * t)
    t2 = t * t
    t6 = t2 * t2 * t2
    slope = A1 + 3 * A2 * t2 + t6 * (7 * A3 + 9 * A4 * t2)
    return lon * RADIAN * (1.0 - 2.0 * half * half) / (ROOT * slope), t * (A1 + A2 * t2 + t6 * (A3 + A4 * t2))


@triton.jit
def store_plane(out, n, axis, rows, value, WIDE: tl.constexpr):
    """Write one coordinate: a plane of float64 or of pairs, or a high and a low one."""
    here = rows < n
    if WIDE:
        tl.store(out + axis * n + rows, value, mask=here)
    else:
        high = value.to(tl.float32)
        low = (value - high.to(tl.float64)).to(tl.float32)
        if out.dtype.element_ty == tl.int64:
            both = high.to(tl.int32, bitcast=True).to(tl.int64) & 0xFFFFFFFF
            both |= low.to(tl.int32, bitcast=True).to(tl.int64) << 32
            tl.store(out + axis * n + rows, both, mask=here)
        else:
            tl.store(out + 2 * axis * n + rows, high, mask=here)
            tl.store(out + (2 * axis + 1) * n + rows, low, mask=here)


@triton.jit
def coordinates_kernel(lonlat, out, n, along, across, KIND: tl.constexpr, WIDE: tl.constexpr, POINTS: tl.constexpr):
    """Planes of coordinates."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    lon, lat = load_degrees(lonlat, n, along, across, rows)
    if KIND == LONLAT:
        store_plane(out, n, 0, rows, lon, WIDE)
        store_plane(out, n, 1, rows, lat, WIDE)
    elif KIND == XYZ:
        sin_lat, cos_lat = sines(lat)
        sin_lon, cos_lon = sines(lon)
        store_plane(out, n, 0, rows, cos_lat * cos_lon, WIDE)
        store_plane(out, n, 1, rows, cos_lat * sin_lon, WIDE)
        store_plane(out, n, 2, rows, sin_lat, WIDE)
    else:
        x, y = equal_earth(lon, lat)
        store_plane(out, n, 0, rows, x, WIDE)
        store_plane(out, n, 1, rows, y, WIDE)


@triton.jit
def split_kernel(values, out, count, dimensions, WIDE: tl.constexpr, SIZE: tl.constexpr):
    """Rows of ``(count, dimensions)`` float64 numbers as planes."""
    rows = tl.program_id(0).to(tl.int64) * SIZE + tl.arange(0, SIZE)
    axis = tl.program_id(1)
    value = tl.load(values + rows * dimensions + axis, mask=rows < count, other=0.0)
    store_plane(out, count, axis, rows, value, WIDE)


def coordinates(lonlat: Tensor, kind: int, wide: bool, *, paired: bool = False) -> Tensor:
    """Coordinates of ``(N, 2)`` degrees as planes: ``(D, N)`` float64 if wide, else ``(2 D, N)`` float32.

    If paired, both float32 numbers of a coordinate stand in 8 bytes, the high one first: ``(D, N)`` int64.
    """
    planes = _planes(layout.DIMENSIONS[kind], len(lonlat), lonlat, wide, paired)
    grid = (blocks(len(lonlat), POINTS),)
    constants = {"KIND": kind, "WIDE": wide, "POINTS": POINTS}
    launch(coordinates_kernel, grid, lonlat, planes, len(lonlat), *lonlat.stride(), **constants)
    return planes


def split(values: Tensor, wide: bool, *, paired: bool = False) -> Tensor:
    """Columns of ``(K, D)`` float64 numbers as planes, as `coordinates`."""
    count, dimensions = values.shape
    planes = _planes(dimensions, count, values, wide, paired)
    grid = (blocks(count, POINTS), dimensions)
    launch(split_kernel, grid, values.contiguous(), planes, count, dimensions, WIDE=wide, SIZE=POINTS)
    return planes


def _planes(dimensions: int, count: int, like: Tensor, wide: bool, paired: bool) -> Tensor:
    if wide or paired:
        return empty((dimensions, count), like, torch.float64 if wide else torch.int64)
    return empty((2 * dimensions, count), like, torch.float32)


def to_degrees(lonlat: Tensor, kind: int, slopes: Tensor) -> Tensor:
    """Gradients by longitude and latitude in degrees ``(N, 2)``, in their dtype, from those by the coordinates."""
    if kind == layout.LONLAT:
        return slopes.to(lonlat.dtype)
    with torch.enable_grad():
        degrees = lonlat.detach().to(torch.float64).requires_grad_()
        points = torch.stack(reference.coordinates(degrees, kind), 1)
    (gradient,) = torch.autograd.grad(points, degrees, slopes.to(torch.float64))
    return gradient.to(lonlat.dtype)
