"""Gradients of attention over sites through the scores, on CUDA: by places and by keys.

With the weights w divided by their sum L, and h the gradient of the features,

    p_k = ⟨h, E_k⟩,   δ = Σ_k w_k p_k,   by the score z_k: w_k (p_k - δ),
    by g: Σ_k w_k (p_k - δ) key_k,   by key_k: Σ_n w_nk (p_nk - δ_n) g_n.

One pass makes L and δ, others the sums: where one site has all the weight, p_k - δ is 0 but for the last digit, and not
the difference of large sums. A program owns some places or some sites, and the others go by. For sites, sums are made
over parts of the places and added in order: no atomics. All kernels have the same tiles, so that p is the same in all.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.triton_launch import blocks, empty, launch
from locenc.kernels.triton_partial_sums import partial, reduce, split
from locenc.kernels.triton_scores import (
    SITES,
    Scores,
    filled,
    load_keys,
    load_places,
    precision,
    weigh,
    whole_vectors,
)
from locenc.kernels.triton_shapes import Attention


class Operands(NamedTuple):
    """What the kernels here take.

    Attributes
    ----------
    scores : Scores
        Of sites at places.
    gradient, values : Tensor
        Of the features, ``(N, e)``; embeddings ``(K, e)``, with zeros up to whole tiles.
    sizes : tuple of int
        Places; sites, and up to whole tiles; columns, and up to whole tiles; strides of the gradient.
    """

    scores: Scores
    gradient: Tensor
    values: Tensor
    sizes: tuple[int, ...]


@triton.jit
def product(
    gradient, values, rows, sites, n, width, padded, along, across, COLUMNS: tl.constexpr, PRECISION: tl.constexpr
):
    """⟨h, E⟩ of a tile of places and sites."""
    p = tl.zeros((rows.shape[0], sites.shape[0]), tl.float32)
    given, stored = gradient + rows[:, None] * along, values + sites[None, :].to(tl.int64) * padded
    for start in range(0, padded, COLUMNS):
        columns = start + tl.arange(0, COLUMNS)
        here = (rows < n)[:, None] & (columns < width)[None, :]
        h = tl.load(given + columns[None, :] * across, mask=here, other=0.0).to(tl.float32)
        p = tl.dot(h, tl.load(stored + columns[:, None]), p, input_precision=PRECISION)
    return p


@triton.jit
def sums_kernel(
    places,
    table,
    largest,
    gradient,
    values,
    out,
    n,
    count,
    pitch,
    width,
    padded,
    along,
    across,
    POINTS: tl.constexpr,
    SITES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Planes of 1 / L and δ of a tile of places."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    here = rows < n
    g = load_places(places, n, rows[:, None])
    m = tl.load(largest + rows, mask=here, other=0.0)[:, None]
    total = tl.zeros((POINTS, SITES), tl.float32)
    mean = tl.zeros((POINTS, SITES), tl.float32)
    for start in range(0, pitch, SITES):
        sites = start + tl.arange(0, SITES)
        p = product(gradient, values, rows, sites, n, width, padded, along, across, COLUMNS, PRECISION)
        own = sites[None, :]
        w = weigh(g, load_keys(table, pitch, own), own, count, m, PRECISION)
        total += tl.where(p == p, w, p)  # w, by the threads that hold p: else weights are made twice, and spill
        mean = tl.fma(w, p, mean)
    share = 1.0 / tl.sum(total, 1)
    tl.store(out + rows, share, mask=here)
    tl.store(out + n + rows, tl.sum(mean, 1) * share, mask=here)


@triton.jit
def places_kernel(
    places,
    table,
    largest,
    gradient,
    values,
    sums,
    out,
    n,
    count,
    pitch,
    width,
    padded,
    along,
    across,
    POINTS: tl.constexpr,
    SITES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients by g of a tile of places, (places, 3), less a factor ln 2."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    here = rows < n
    g = load_places(places, n, rows[:, None])
    m = tl.load(largest + rows, mask=here, other=0.0)[:, None]
    delta = tl.load(sums + n + rows, mask=here, other=0.0)[:, None]
    x = tl.zeros((POINTS, SITES), tl.float32)
    y = tl.zeros((POINTS, SITES), tl.float32)
    z = tl.zeros((POINTS, SITES), tl.float32)
    for start in range(0, pitch, SITES):
        sites = start + tl.arange(0, SITES)
        p = product(gradient, values, rows, sites, n, width, padded, along, across, COLUMNS, PRECISION)
        own = sites[None, :]
        k = load_keys(table, pitch, own)
        slope = weigh(g, k, own, count, m, PRECISION) * (p - delta)
        key = whole_vectors(k)
        x, y, z = tl.fma(slope, key[0], x), tl.fma(slope, key[1], y), tl.fma(slope, key[2], z)
    share = tl.load(sums + rows, mask=here, other=0.0)
    tl.store(out + rows * 3, tl.sum(x, 1) * share, mask=here)
    tl.store(out + rows * 3 + 1, tl.sum(y, 1) * share, mask=here)
    tl.store(out + rows * 3 + 2, tl.sum(z, 1) * share, mask=here)


@triton.jit
def keys_kernel(
    places,
    table,
    largest,
    gradient,
    values,
    sums,
    out,
    n,
    count,
    pitch,
    width,
    padded,
    along,
    across,
    part,
    POINTS: tl.constexpr,
    SITES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients by some keys, of one part of the places: (parts, sites, 3)."""
    sites = tl.program_id(0) * SITES + tl.arange(0, SITES)
    start = tl.program_id(1).to(tl.int64) * part
    k = load_keys(table, pitch, sites[None, :])
    x = tl.zeros((POINTS, SITES), tl.float32)
    y = tl.zeros((POINTS, SITES), tl.float32)
    z = tl.zeros((POINTS, SITES), tl.float32)
    for first in range(start, tl.minimum(start + part, n), POINTS):
        rows = first + tl.arange(0, POINTS)
        p = product(gradient, values, rows, sites, n, width, padded, along, across, COLUMNS, PRECISION)
        own = rows[:, None]
        g = load_places(places, n, own)
        m = tl.load(largest + own, mask=own < n, other=0.0)
        share = tl.load(sums + own, mask=own < n, other=0.0)
        delta = tl.load(sums + n + own, mask=own < n, other=0.0)
        slope = weigh(g, k, sites[None, :], count, m, PRECISION) * share * (p - delta)
        place = whole_vectors(g)
        x, y, z = tl.fma(slope, place[0], x), tl.fma(slope, place[1], y), tl.fma(slope, place[2], z)
    own, mask = out + (tl.program_id(1).to(tl.int64) * count + sites) * 3, sites < count
    tl.store(own, tl.sum(x, 0), mask=mask)
    tl.store(own + 1, tl.sum(y, 0), mask=mask)
    tl.store(own + 2, tl.sum(z, 0), mask=mask)


def operands(given: Scores, gradient: Tensor, embeddings: Tensor) -> Operands:
    """Prepare them, of the gradient of the features and of the embeddings."""
    count, width = embeddings.shape
    values = filled(embeddings, SITES, _tile(gradient).columns)
    sizes = (len(gradient), count, len(values), width, values.shape[1], *gradient.stride())
    return Operands(given, gradient, values, sizes)


def sums(given: Operands) -> Tensor:
    """1 / L and δ of each place: ``(2, N)``."""
    out, tile = empty((2, len(given.gradient)), given.gradient, torch.float32), _tile(given.gradient)
    arguments = (*given.scores, given.gradient, given.values, out, *given.sizes)
    launch(sums_kernel, (blocks(out.shape[1], tile.points),), *arguments, **tile.constants(precision()))
    return out


def by_places(given: Operands, sums: Tensor) -> Tensor:
    """Gradient of the unit vectors, less a factor ln 2: ``(N, 3)``."""
    out, tile = empty((len(given.gradient), 3), given.gradient, torch.float32), _tile(given.gradient)
    arguments = (*given.scores, given.gradient, given.values, sums, out, *given.sizes)
    launch(places_kernel, (blocks(len(out), tile.points),), *arguments, **tile.constants(precision()))
    return out


def by_keys(given: Operands, sums: Tensor, keys: Tensor) -> Tensor:
    """Gradient of the keys ``(K, 3)``, in their dtype."""
    tile = _tile(given.gradient)
    parts, part = split(len(given.gradient), tile.points, keys.numel())
    out = partial(parts, keys)
    arguments = (*given.scores, given.gradient, given.values, sums, out, *given.sizes, part)
    launch(keys_kernel, (blocks(len(keys), tile.sites), parts), *arguments, **tile.constants(precision()))
    return reduce(out, keys.dtype)


def _tile(like: Tensor) -> Attention:
    return triton_shapes.attend_slopes(like.device, precision())
