"""Scores of sites at places, and weights of a tile of both, in registers.

A score is y = log2(e) ⟨g, key⟩, g the place's unit vector, and goes to thousands; weights 2^(y - m), m the place's
largest score, need it to 1e-7. The vectors, float64, are split into a high part, a whole number of units, and a rest,
both float32:

    y - m = (⟨g_high, k_high⟩ - m) + (⟨g_high, k_rest⟩ + ⟨g_rest, k⟩).

The unit of g is 2^-12, that of the keys 2^-11 of a power of two above the longest, so that products of high parts and
sums of three of them are whole numbers below 2^24: float32 holds them exactly, and the difference from m where it
matters. What is rounded is 2^-11 of the scores.
"""

import math
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.layout import XYZ
from locenc.kernels.triton_coordinates import coordinates
from locenc.kernels.triton_exp import exp2
from locenc.kernels.triton_launch import blocks, empty, input_precision, launch
from locenc.kernels.triton_waves import halves

SITES = 64  # the table of keys is filled up to whole tiles of so many: any tile's are a divisor
NEVER = tl.constexpr(-1e30)  # score of a site that is not there
LN_2, LOG2_E = math.log(2), 1 / math.log(2)


class Scores(NamedTuple):
    """What scores are made of.

    Attributes
    ----------
    places : Tensor
        ``(3, N)`` int64: high part and rest of a coordinate, float32, in 8 bytes.
    table : Tensor
        The same of keys times log2 e, ``(3, K)`` and more: the last is repeated.
    largest : Tensor
        The largest score of each place, ``(N,)``.
    """

    places: Tensor
    table: Tensor
    largest: Tensor


@triton.jit
def load_places(places, n, own):
    """High part and rest of each coordinate; zeros beyond the last place."""
    found = ()
    here, start = own < n, places + own
    for _ in tl.static_range(3):
        found = found + halves(tl.load(start, mask=here, other=0))
        start += n
    return found


@triton.jit
def load_keys(table, pitch, own):
    """High part and rest of each coordinate of keys."""
    found = ()
    start = table + own
    for _ in tl.static_range(3):
        found = found + halves(tl.load(start))
        start += pitch
    return found


@triton.jit
def whole_vectors(v):
    """The sums of both parts, float32."""
    return v[0] + v[1], v[2] + v[3], v[4] + v[5]


@triton.jit
def score(g, k, own, count):
    """Scores: whole units, then the rest; `NEVER` for keys from number ``count`` on."""
    x, y, z = whole_vectors(k)
    whole = tl.fma(g[4], k[4], tl.fma(g[2], k[2], g[0] * k[0]))
    rest = tl.fma(g[0], k[1], tl.where(own < count, 0.0, NEVER))
    rest = tl.fma(g[4], k[5], tl.fma(g[2], k[3], rest))
    return whole, tl.fma(g[5], z, tl.fma(g[3], y, tl.fma(g[1], x, rest)))


@triton.jit
def weigh(g, k, own, count, largest, PRECISION: tl.constexpr):
    """Weights 2^(y - m), not divided by their sum; PRECISION is that of the products they are made for."""
    whole, rest = score(g, k, own, count)
    y = (whole - largest) + rest
    if PRECISION == "ieee":
        return exp2(y)
    else:
        return tl.exp2(y)  # off by 2^-22: eleven bits more than tf32 keeps


@triton.jit
def largest_kernel(places, table, out, n, count, pitch, POINTS: tl.constexpr, SITES: tl.constexpr):
    """The largest score of each place."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    g = load_places(places, n, rows[:, None])
    most = tl.full((POINTS, SITES), float("-inf"), tl.float32)
    for start in range(0, pitch, SITES):
        own = start + tl.arange(0, SITES)[None, :]
        whole, rest = score(g, load_keys(table, pitch, own), own, count)
        most = tl.maximum(most, whole + rest)
    tl.store(out + rows, tl.max(most, 1), mask=rows < n)


def scores(lonlat: Tensor, keys: Tensor) -> Scores:
    """What kernels need to make scores of keys ``(K, 3)`` at ``(N, 2)`` degrees."""
    places = _split(coordinates(lonlat, XYZ, True), 2.0**-12)
    more = blocks(len(keys), SITES) * SITES - len(keys)
    scaled = LOG2_E * torch.cat([keys, keys[-1:].expand(more, 3)]).detach().to(torch.float64).T
    longest = torch.linalg.vector_norm(scaled, dim=0).amax().clamp(min=1e-30)
    table = _split(scaled, longest / torch.frexp(longest).mantissa * 2.0**-11)
    largest = empty((len(lonlat),), lonlat, torch.float32)
    tile = triton_shapes.largest_score(lonlat.device)
    launch(
        largest_kernel,
        (blocks(len(lonlat), tile.points),),
        *(places, table, largest, len(lonlat), len(keys), table.shape[1]),
        POINTS=tile.points,
        SITES=tile.scales,
        warps=tile.warps,
    )
    return Scores(places, table, largest)


def _split(values: Tensor, unit: Tensor | float) -> Tensor:
    """Planes ``(3, n)`` float64 as high parts, whole numbers of a power of two, and rests, in 8 bytes: int64."""
    high = torch.round(values / unit) * unit
    return torch.stack([high, values - high], 2).to(torch.float32).view(torch.int64)[:, :, 0]


def filled(values: Tensor, rows: int, columns: int) -> Tensor:
    """A matrix, float32, with zeros up to multiples of rows and columns."""
    height, width = values.shape
    shape = (blocks(height, rows) * rows, blocks(width, columns) * columns)
    result = torch.zeros(shape, dtype=torch.float32, device=values.device)
    result[:height, :width] = values.detach()
    return result


def precision() -> str:
    """Of the products, float32 whatever the features' dtype."""
    return input_precision(torch.float32)
