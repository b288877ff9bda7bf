"""Associated Legendre functions in float32: a recurrence that is exact near the poles, where many degrees lose digits.

Of p and s as in `locenc.kernels.reference_harmonics`, take g(l, m) = p(l, m)(z) / p(l, m)(1), which falls from 1. With
z = w + v, w = ±1 the nearer pole's, and v known to its last digit,

    d(l) = r (w d(l-1) + v g(l-1)) + v g(l-1),   g(l) = w g(l-1) + d(l),   r = (l - 1 - m) / (l + m),   g(m) = 1.

Near a pole d is small beside g, so that nothing cancels, and what is lost when it is added is kept for the next step
(Kahan). The slopes by z obey the derivative of the same.

Columns are S F g times the sine or cosine of m lon, in which p(1) s sin^m (colatitude) is split so that float32 holds
both factors: F(l, m) = p(l, m)(1) s(l, m) 2^-k, S = 2^k sin^m (colatitude), with k(m) such that F reaches 2^80. Where S
is 0, all columns are. Beyond 256 degrees even that is too much, and both are float64 ("wide").
"""

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels.triton_coordinates import load_degrees, small_sines
from locenc.kernels.triton_launch import blocks, empty, launch
from locenc.kernels.triton_sincos import ROUNDING, along_axis, sincos

#: Degrees for which float32 has the range.
NARROW = 256
#: Numbers of a point: half turns of longitude (high, low), log2 of cos lat (high, low), v, sin lat, cos lat.
FIELDS = tl.constexpr(8)
LON, LOG, PART, SIN_LAT, COS_LAT = (tl.constexpr(place) for place in (0, 2, 4, 5, 6))

POINTS = 256  # of a program
RADIAN = tl.constexpr(math.pi / 180)
ROUNDING_BITS = tl.constexpr(0x4B400000)  # of 1.5 * 2^23: integers near 0 added to it stand in its lowest bits
LARGEST = tl.constexpr(80)  # the exponent of the largest F of an order


@triton.jit
def points_kernel(lonlat, out, n, along, across, POINTS: tl.constexpr):
    """What columns need of each point, in float64, stored as sums of float32 numbers."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    here = rows < n
    lon, lat = load_degrees(lonlat, n, along, across, rows)
    steep = tl.abs(lat) > 45.0
    sine, cosine = small_sines(tl.where(steep, (90.0 - tl.abs(lat)) / 2, lat) * RADIAN)
    down = tl.where(steep, 2.0 * sine * sine, 1.0 - tl.abs(sine))  # 1 - |z|
    sin_lat = tl.where(steep, tl.where(lat < 0.0, down - 1.0, 1.0 - down), sine)
    cos_lat = tl.where(steep, 2.0 * sine * cosine, cosine)
    log = tl.log2(tl.where(cos_lat < 1e-300, 1e-300, cos_lat))
    own = out + rows * FIELDS
    store_pair(own + LON, lon / 180.0, here)
    store_pair(own + LOG, log, here)
    south = sin_lat.to(tl.float32) < 0.0  # as `load_latitude` will see it: the smallest are 0
    tl.store(own + PART, tl.where(south, down, -down).to(tl.float32), mask=here)
    tl.store(own + SIN_LAT, sin_lat.to(tl.float32), mask=here)
    tl.store(own + COS_LAT, cos_lat.to(tl.float32), mask=here)


@triton.jit
def store_pair(out, value, here):
    """Write a float64 number as two float32 numbers."""
    high = value.to(tl.float32)
    tl.store(out, high, mask=here)
    tl.store(out + 1, (value - high.to(tl.float64)).to(tl.float32), mask=here)


@triton.jit
def tables_kernel(scale, out, degrees, pitch, along, across, SIZE: tl.constexpr):
    """r, F and k of one order."""
    order = tl.program_id(0)
    degree = tl.arange(0, SIZE)
    inside = degree < degrees
    below = degree > order
    sums, less = (degree + order).to(tl.float64), (degree - 1 - order).to(tl.float64)
    at_pole = tl.cumprod(tl.where(below, 2.0 * sums / (2.0 * degree.to(tl.float64) - 1.0), 1.0), 0)
    mask = inside & (degree >= order)
    value = tl.load(scale + degree * along + order * across, mask=mask, other=0.0) * at_pole
    exponent = ((tl.max(tl.abs(value), 0).to(tl.int64, bitcast=True) >> 52) & 0x7FF).to(tl.int32)
    k = tl.where(exponent == 0, 0, exponent - 1023 - LARGEST)
    factor = value * ((1023 - k).to(tl.int64) << 52).to(tl.float64, bitcast=True)
    own = out + degree * pitch + order
    tl.store(own, tl.where(below, less / tl.where(below, sums, 1.0), 0.0), mask=inside)
    tl.store(own + degrees * pitch, factor, mask=inside)
    tl.store(out + 2 * degrees * pitch + order, k.to(tl.float32))


@triton.jit
def load_latitude(points, rows, n):
    """Of a tile's points, [points, 1]: w, v."""
    here = rows < n
    sin_lat = tl.load(points + rows * FIELDS + SIN_LAT, mask=here, other=0.0)[:, None]
    part = tl.load(points + rows * FIELDS + PART, mask=here, other=0.0)[:, None]
    return tl.where(sin_lat < 0.0, -1.0, 1.0), part


@triton.jit
def longitude_waves(points, rows, n, orders):
    """Sine and cosine of m lon, [points, orders]."""
    here = rows < n
    high = tl.load(points + rows * FIELDS + LON, mask=here, other=0.0)[:, None]
    low = tl.load(points + rows * FIELDS + LON + 1, mask=here, other=0.0)[:, None]
    r, flip = along_axis(orders.to(tl.float32)[None, :], 0.0, high, low)
    return sincos(r, flip)


@triton.jit
def powers(points, table, rows, n, exponents, orders, DEGREES: tl.constexpr, PITCH: tl.constexpr, WIDE: tl.constexpr):
    """2^k(m) cos^e lat, [points, orders], the exponents e being the orders or less."""
    here = rows < n
    high = tl.load(points + rows * FIELDS + LOG, mask=here, other=-1000.0)[:, None]
    low = tl.load(points + rows * FIELDS + LOG + 1, mask=here, other=0.0)[:, None]
    k = tl.load(table + 2 * DEGREES * PITCH + orders).to(tl.int32)[None, :]
    factor = exponents.to(tl.float32)[None, :]
    q = tl.fma(factor, high, ROUNDING)
    r = tl.fma(factor, low, tl.fma(factor, high, ROUNDING - q))
    p = tl.fma(r, 0.00015353258, 0.0013399004)
    p = tl.fma(r, p, 0.009618438602)
    p = tl.fma(r, p, 0.055503321624)
    p = tl.fma(r, p, 0.240226478969)
    p = tl.fma(r, p, 0.693147202985)
    p = tl.fma(r, p, 1.0)
    whole = q.to(tl.int32, bitcast=True) - ROUNDING_BITS + k
    if WIDE:
        return p.to(tl.float64) * ((tl.maximum(whole, -1023) + 1023).to(tl.int64) << 52).to(tl.float64, bitcast=True)
    else:
        return p * ((tl.maximum(whole, -127) + 127) << 23).to(tl.float32, bitcast=True)


@triton.jit
def load_degree(table, degree, orders, DEGREES: tl.constexpr, PITCH: tl.constexpr):
    """Numbers r and F of a degree, [1, orders] each; at L, some that no degree needs."""
    own = table + degree * PITCH + orders
    return tl.load(own)[None, :], tl.load(own + DEGREES * PITCH)[None, :]


@triton.jit
def step(g, d, lost, r, w, part):
    """To the next degree: g, d, and what g lacks."""
    product = part * g
    d = tl.fma(r, tl.fma(w, d, product), product)
    more = tl.fma(w, lost, d)
    after = tl.fma(w, g, more)
    return after, d, more - tl.fma(-w, g, after)


@triton.jit
def step_slope(slope, d, g, r, w, part):
    """The derivatives of g and d by z, to the next degree; g is still the one before."""
    product = tl.fma(part, slope, g)
    d = tl.fma(r, tl.fma(w, d, product), product)
    return tl.fma(w, slope, d), d


@triton.jit
def next_degree(degree, orders, start, g, d, lost, r, factor, w, part, BEGINS: tl.constexpr):
    """State of a block of orders at a degree, and F g; ``BEGINS``: orders may begin here, or later."""
    g, d, lost = step(g, d, lost, r, w, part)
    if BEGINS:
        g = tl.where((orders == degree)[None, :], start, g)
    return g, d, lost, (factor * g).to(tl.float32)


def points(lonlat: Tensor) -> Tensor:
    """What the kernels need of ``(N, 2)`` degrees: ``(N, FIELDS)`` float32."""
    found = empty((len(lonlat), FIELDS.value), lonlat, torch.float32)
    launch(
        points_kernel,
        (blocks(len(lonlat), POINTS),),
        *(lonlat, found, len(lonlat), *lonlat.stride()),
        POINTS=POINTS,
    )
    return found


def tables(scale: Tensor) -> Tensor:
    """Numbers r and F of factors ``(L, L)``, then k: ``(2 L + 1, pitch)``, without columns beyond the last order.

    The pitch is a power of two, so that blocks of fewer orders, or as many, end inside.
    """
    degrees = len(scale)
    pitch = max(32, triton.next_power_of_2(degrees))
    found = empty((2 * degrees + 1, pitch), scale, torch.float64 if degrees > NARROW else torch.float32)
    launch(tables_kernel, (pitch,), scale, found, degrees, pitch, *scale.stride(), SIZE=pitch)
    return found
