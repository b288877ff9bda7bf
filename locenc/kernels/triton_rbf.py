"""Gaussian radial basis functions and their gradients on CUDA.

On the sphere with g, a the unit vectors of a place and an anchor, the angle θ between them and q = |g - a|²,

    θ² = q P(q),   P(q) = (θ / 2 sin(θ/2))²,   q <= 2.

g and a are sums of two float32 numbers each, and their differences keep all digits of small angles. Beyond a right
angle the anchor is replaced by its antipode, at the angle π - θ. For narrow kernels nothing is left there: features
below `NOTHING`, for which q P(q) of the anchor itself serves, too small but still growing with q. P = 1 + q R(q), R of
degree 7, minimax: 6e-9.

On the plane, differences of degrees are taken in the same way. A kernel narrower than `FINEST`, about 11 m, meets the
limit of two float32 numbers, and goes to the reference, some points at a time.
"""

import math
from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.layout import DIMENSIONS, LONLAT, XYZ
from locenc.kernels.reference_rbf import radial_basis
from locenc.kernels.triton_coordinates import coordinates, split, to_degrees
from locenc.kernels.triton_exp import exp2
from locenc.kernels.triton_launch import blocks, empty, launch
from locenc.kernels.triton_waves import halves, load_points

FINEST = 1e-4  # of kernel sizes, degrees
NOTHING = 2.0**-48
REFERENCE_FEATURES = 2**22  # that the reference makes at a time

PI_HIGH, PI_LOW = tl.constexpr(3.1415927410125732), tl.constexpr(-8.742277657347586e-08)
ANTIPODE = tl.constexpr(4e-28)  # of q: a slope ends at the antipode, where there is none


@triton.jit
def load_anchors(table, count, columns, DIMENSIONS: tl.constexpr):
    """Coordinates of a row of anchors, high and low, [1, anchors] each; the last one is repeated."""
    found = ()
    own = table + tl.minimum(columns, count - 1)[None, :]
    for _ in tl.static_range(DIMENSIONS):
        found = found + halves(tl.load(own))
        own += count
    return found


@triton.jit
def between(points, anchors, turned, AXIS: tl.constexpr, FAR: tl.constexpr):
    """Difference of a coordinate; FAR: from ``turned``, -1 or 1, times the anchor."""
    if FAR:
        high = tl.fma(-turned, anchors[2 * AXIS], points[2 * AXIS])
        return high + tl.fma(-turned, anchors[2 * AXIS + 1], points[2 * AXIS + 1])
    else:
        return (points[2 * AXIS] - anchors[2 * AXIS]) + (points[2 * AXIS + 1] - anchors[2 * AXIS + 1])


@triton.jit
def differences(points, anchors, PLANAR: tl.constexpr, FAR: tl.constexpr):
    """Which anchors are as they are (1) or replaced by their antipodes (-1), then the differences of coordinates."""
    turned = 1.0
    if FAR:
        dot = tl.fma(points[4], anchors[4], tl.fma(points[2], anchors[2], points[0] * anchors[0]))
        turned = tl.where(dot < 0.0, -1.0, 1.0)
    x = between(points, anchors, turned, 0, FAR)
    y = between(points, anchors, turned, 1, FAR)
    if PLANAR:
        return turned, x, y, 0.0
    else:
        return turned, x, y, between(points, anchors, turned, 2, FAR)


@triton.jit
def curvature(q):
    """P(q)."""
    p = tl.fma(q, 5.618348020259881e-06, -2.4978633534900603e-05)
    p = tl.fma(q, p, 7.790164044859532e-05)
    p = tl.fma(q, p, -2.5957944798646347e-05)
    p = tl.fma(q, p, 0.00038064237756658655)
    p = tl.fma(q, p, 0.0017605719544800105)
    p = tl.fma(q, p, 0.011115888721213524)
    p = tl.fma(q, p, 0.08333302558405231)
    return tl.fma(q, p, 1.0)


@triton.jit
def squared_distance(turned, x, y, z, PLANAR: tl.constexpr, FAR: tl.constexpr):
    """Squares of distances, in degrees or radians, and q."""
    q = tl.fma(y, y, x * x)
    if PLANAR:
        return q, q
    else:
        q = tl.fma(z, z, q)
        squared = q * curvature(q)
        if FAR:
            rest = (PI_HIGH - tl.sqrt(squared)) + PI_LOW
            squared = tl.where(turned < 0.0, rest * rest, squared)
        return squared, q


@triton.jit
def encode_kernel(
    planes,
    table,
    out,
    n,
    groups,
    scale,
    PLANAR: tl.constexpr,
    FAR: tl.constexpr,
    GROUP: tl.constexpr,
    POINTS: tl.constexpr,
    ANCHORS: tl.constexpr,
):
    """Features 2^(scale d²) of a tile of points and anchors; of these there are some groups of GROUP."""
    count = groups * GROUP
    across = tl.cdiv(count, ANCHORS)  # programs that lie side by side: rows are written at about one time
    rows = (tl.program_id(0) // across).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    columns = tl.program_id(0) % across * ANCHORS + tl.arange(0, ANCHORS)
    dimensions: tl.constexpr = 2 if PLANAR else 3
    points = load_points(planes, n, rows, dimensions, False)
    anchors = load_anchors(table, count, columns, dimensions)
    turned, x, y, z = differences(points, anchors, PLANAR, FAR)
    squared, _ = squared_distance(turned, x, y, z, PLANAR, FAR)
    here = (rows < n)[:, None] & (columns < count)[None, :]
    value = exp2(squared * scale).to(out.dtype.element_ty)
    tl.store(out + rows[:, None] * count + columns[None, :], value, mask=here)


@triton.jit
def pull_back_kernel(
    gradient,
    planes,
    table,
    out,
    n,
    count,
    along,
    across,
    scale,
    PLANAR: tl.constexpr,
    FAR: tl.constexpr,
    POINTS: tl.constexpr,
    ANCHORS: tl.constexpr,
):
    """Σ_a g f dd²/dg of a tile of points: gradients by the coordinates, less the factor -1 / (2 k²).

    dθ²/dq = θ / sin θ = √(P / (1 - q / 4)); of (π - θ)² it is that times 1 - π / θ.
    """
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    dimensions: tl.constexpr = 2 if PLANAR else 3
    points = load_points(planes, n, rows, dimensions, False)
    here = (rows < n)[:, None]
    by_x = tl.zeros((POINTS, ANCHORS), tl.float32)
    by_y = tl.zeros((POINTS, ANCHORS), tl.float32)
    by_z = tl.zeros((POINTS, ANCHORS), tl.float32)
    for start in range(0, count, ANCHORS):
        columns = start + tl.arange(0, ANCHORS)
        anchors = load_anchors(table, count, columns, dimensions)
        turned, x, y, z = differences(points, anchors, PLANAR, FAR)
        squared, q = squared_distance(turned, x, y, z, PLANAR, FAR)
        given = gradient + rows[:, None] * along + columns[None, :] * across
        own = tl.load(given, mask=here & (columns < count)[None, :], other=0.0).to(tl.float32)
        common = 2.0 * own * exp2(squared * scale)
        if not PLANAR:
            p = curvature(q)
            common *= tl.sqrt(p / tl.maximum(tl.fma(q, -0.25, 1.0), 0.25))
            if FAR:
                beyond = tl.where(q < ANTIPODE, 0.0, 1.0 - PI_HIGH / tl.sqrt(tl.maximum(q * p, ANTIPODE)))
                common *= tl.where(turned < 0.0, beyond, 1.0)
            by_z = tl.fma(common, z, by_z)
        by_x = tl.fma(common, x, by_x)
        by_y = tl.fma(common, y, by_y)
    here, start = rows < n, out + rows * dimensions
    tl.store(start, tl.sum(by_x, 1), mask=here)
    tl.store(start + 1, tl.sum(by_y, 1), mask=here)
    if not PLANAR:
        tl.store(start + 2, tl.sum(by_z, 1), mask=here)


def _exponent(kernel_size: float, planar: bool) -> tuple[float, bool]:
    """-1 / (2 k²), k in degrees or radians, and whether features beyond a right angle count."""
    width = kernel_size if planar else math.radians(kernel_size)
    factor = -0.5 / width**2
    return factor, not planar and math.exp(factor * (math.pi / 2) ** 2) >= NOTHING


def _places(lonlat: Tensor, anchors: Tensor, planar: bool) -> tuple[Tensor, Tensor]:
    """Coordinates of points and anchors; on the plane anchors are where they are said to be, though beyond ±180."""
    if planar:
        return coordinates(lonlat, LONLAT, False, paired=True), split(anchors, False, paired=True)
    return coordinates(lonlat, XYZ, False, paired=True), coordinates(anchors, XYZ, False, paired=True)


def _parts(points: int, anchors: int) -> Iterator[slice]:
    """Points that the reference takes at a time."""
    step = max(1, REFERENCE_FEATURES // max(1, anchors))
    return (slice(start, start + step) for start in range(0, points, step))


def forward(
    lonlat: Tensor, anchors: Tensor, kernel_size: float, planar: bool, dtype: torch.dtype, *, out: Tensor | None = None
) -> Tensor:
    """As `locenc.kernels.reference_rbf.radial_basis`, for float32, bfloat16 and float16 features."""
    count = len(anchors)
    out = empty((len(lonlat), count), lonlat, dtype) if out is None else out
    if kernel_size < FINEST:
        for part in _parts(len(lonlat), count):
            out[part] = radial_basis(lonlat[part], anchors, kernel_size, planar, dtype)
        return out
    factor, far = _exponent(kernel_size, planar)
    group = math.gcd(count, 8)  # so that rows are known to begin where numbers are stored four or eight at a time
    tile = triton_shapes.radial_basis(lonlat.device, count)
    launch(
        encode_kernel,
        (blocks(len(lonlat), tile.points) * blocks(count, tile.scales),),
        *(*_places(lonlat, anchors, planar), out, len(lonlat), count // group, factor / math.log(2)),
        PLANAR=planar,
        FAR=far,
        GROUP=group,
        POINTS=tile.points,
        ANCHORS=tile.scales,
        warps=tile.warps,
    )
    return out


def backward(
    gradient: Tensor, lonlat: Tensor, anchors: Tensor, kernel_size: float, planar: bool, dtype: torch.dtype
) -> Tensor:
    """Gradient of the coordinates, in their dtype; sums over anchors are float32."""
    count = len(anchors)
    if kernel_size < FINEST:
        result = torch.empty_like(lonlat)
        for part in _parts(len(lonlat), count):
            with torch.enable_grad():
                own = lonlat[part].detach().requires_grad_()
                features = radial_basis(own, anchors, kernel_size, planar, dtype)
            (result[part],) = torch.autograd.grad(features, own, gradient[part])
        return result
    factor, far = _exponent(kernel_size, planar)
    kind = LONLAT if planar else XYZ
    slopes = empty((len(lonlat), DIMENSIONS[kind]), lonlat, torch.float32)
    tile = triton_shapes.radial_basis_pull_back(lonlat.device, count)
    launch(
        pull_back_kernel,
        (blocks(len(lonlat), tile.points),),
        *(gradient, *_places(lonlat, anchors, planar), slopes, len(lonlat), count, *gradient.stride()),
        factor / math.log(2),
        PLANAR=planar,
        FAR=far,
        POINTS=tile.points,
        ANCHORS=tile.scales,
        warps=tile.warps,
    )
    return to_degrees(lonlat, kind, slopes) * factor
