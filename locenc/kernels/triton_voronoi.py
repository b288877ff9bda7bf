"""Attention over sites on CUDA: the matrix of places and sites never exists.

A program owns some places and columns, and all sites go by: weights w = 2^(y - m) in registers, their product with the
embeddings and their sum. The largest scores m come from a pass of their own: see `locenc.kernels.triton_scores`. Of the
gradients, that by an embedding is Σ_n w_nk h_n, w divided by its sum and h the gradient of the features, added over
parts of the places in order; those through the scores are `locenc.kernels.triton_site_slopes`.

Weights, embeddings and sums are float32 for features of any dtype, as in the reference.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes, triton_site_slopes
from locenc.kernels.layout import XYZ
from locenc.kernels.triton_coordinates import to_degrees
from locenc.kernels.triton_launch import blocks, empty, launch
from locenc.kernels.triton_partial_sums import partial, reduce, split
from locenc.kernels.triton_scores import (
    LN_2,
    SITES,
    Scores,
    filled,
    load_keys,
    load_places,
    precision,
    scores,
    weigh,
)


@triton.jit
def attend_kernel(
    places,
    table,
    largest,
    values,
    out,
    n,
    count,
    pitch,
    width,
    POINTS: tl.constexpr,
    SITES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Features of a tile of places and columns; ``values`` are (columns, sites), zeros up to whole tiles."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    here = rows < n
    g = load_places(places, n, rows[:, None])
    m = tl.load(largest + rows, mask=here, other=0.0)[:, None]
    stored = values + columns[None, :].to(tl.int64) * pitch
    total = tl.zeros((POINTS, SITES), tl.float32)
    sums = tl.zeros((POINTS, COLUMNS), tl.float32)
    for start in range(0, pitch, SITES):
        sites = start + tl.arange(0, SITES)
        value = tl.load(stored + sites[:, None])
        own = sites[None, :]
        w = weigh(g, load_keys(table, pitch, own), own, count, m, PRECISION)
        total += w
        sums = tl.dot(w, value, sums, input_precision=PRECISION)
    mean = sums / tl.sum(total, 1)[:, None]
    mask = here[:, None] & (columns < width)[None, :]
    tl.store(out + rows[:, None] * width + columns[None, :], mean.to(out.dtype.element_ty), mask=mask)


@triton.jit
def embeddings_kernel(
    places,
    table,
    largest,
    sums,
    gradient,
    out,
    n,
    count,
    pitch,
    width,
    along,
    across,
    part,
    POINTS: tl.constexpr,
    SITES: tl.constexpr,
    COLUMNS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Gradients by a tile of embeddings, of one part of the places: (parts, sites, columns)."""
    sites = tl.program_id(0) * SITES + tl.arange(0, SITES)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    start = tl.program_id(2).to(tl.int64) * part
    k = load_keys(table, pitch, sites[:, None])
    total = tl.zeros((SITES, COLUMNS), tl.float32)
    for first in range(start, tl.minimum(start + part, n), POINTS):
        rows = first + tl.arange(0, POINTS)
        mask = (rows < n)[:, None] & (columns < width)[None, :]
        h = tl.load(gradient + rows[:, None] * along + columns[None, :] * across, mask=mask, other=0.0)
        own = rows[None, :]
        m = tl.load(largest + own, mask=own < n, other=0.0)
        share = tl.load(sums + own, mask=own < n, other=0.0)
        w = weigh(load_places(places, n, own), k, sites[:, None], count, m, PRECISION) * share
        total = tl.dot(w, h.to(tl.float32), total, input_precision=PRECISION)
    row = tl.program_id(2).to(tl.int64) * count + sites[:, None]
    tl.store(out + row * width + columns[None, :], total, mask=(sites < count)[:, None] & (columns < width)[None, :])


def forward(
    lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype, *, out: Tensor | None = None
) -> Tensor:
    """As `locenc.kernels.reference_voronoi.site_attention`, for float32, bfloat16 and float16 features."""
    count, width = embeddings.shape
    out = empty((len(lonlat), width), lonlat, dtype) if out is None else out
    tile = triton_shapes.attend(lonlat.device, width, precision())
    values = filled(embeddings.T, tile.columns, SITES)
    launch(
        attend_kernel,
        (blocks(len(lonlat), tile.points), blocks(width, tile.columns)),
        *(*scores(lonlat, keys), values, out, len(lonlat), count, values.shape[1], width),
        **tile.constants(precision()),
    )
    return out


def backward(gradient: Tensor, lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    given = triton_site_slopes.operands(scores(lonlat, keys), gradient, embeddings)
    slopes = triton_site_slopes.by_places(given, triton_site_slopes.sums(given))
    return to_degrees(lonlat, XYZ, slopes * LN_2)


def backward_arguments(
    gradient: Tensor, lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype
) -> list[Tensor]:
    """Gradients of keys and embeddings, in their dtypes."""
    given = triton_site_slopes.operands(scores(lonlat, keys), gradient, embeddings)
    sums = triton_site_slopes.sums(given)
    by_keys = triton_site_slopes.by_keys(given, sums, keys)
    return [by_keys, _by_embeddings(given.scores, sums, gradient, embeddings)]


def _by_embeddings(given: Scores, sums: Tensor, gradient: Tensor, embeddings: Tensor) -> Tensor:
    (count, width), n = embeddings.shape, len(gradient)
    tile = triton_shapes.attend_embeddings(gradient.device, width, precision())
    parts, part = split(n, tile.points, embeddings.numel())
    out = partial(parts, embeddings)
    launch(
        embeddings_kernel,
        (blocks(count, tile.sites), blocks(width, tile.columns), parts),
        *(*given, sums, gradient, out, n, count, given.table.shape[1], width, *gradient.stride(), part),
        **tile.constants(precision()),
    )
    return reduce(out, embeddings.dtype)
