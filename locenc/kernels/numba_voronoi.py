"""Attention over sites on the CPU: groups of 16 places near one another, sites that count for none of them left out.

Lanes run over the places of a group. A site's weight w = exp(z - largest z) is taken for 0 where it is below
ε / K times the sum of all weights, K the number of sites and ε the rounding unit of the features' dtype: what a place
loses is less than ε in total. This depends on the place alone. A sum that skips zeros, in the order of the sites, is
the same sum, so that features are the same bytes in whatever batch, group and thread a place stands.

Which sites are looked at: with c the centre of the group, δ the largest distance |g - c| in it, and k* the best key at
c, a site's score is below that of k* by t at every place g of the group if

    ⟨g, k - k*⟩ <= ⟨c, k - k*⟩ + δ |k - k*| < -t.

Of those that are left the largest scores are found, then all weights; then the sites that count for one of the places
enter a matrix product, 16 columns at a time, whose sums stay in registers. Places are grouped as `numba_hilbert` sorts.

Training sites uses none of this: gradients of other tensors than the coordinates are the reference's.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numba.extending import register_jitable
from torch import Tensor
from torch.nn.functional import pad

from locenc.kernels import chunks, memory
from locenc.kernels.arrays import contiguous, numbers
from locenc.kernels.compiling import kernel
from locenc.kernels.lanes import less, lowest, not_less
from locenc.kernels.layout import XYZ
from locenc.kernels.numba_coordinates import coordinates
from locenc.kernels.numba_exp import exp2
from locenc.kernels.numba_hilbert import neighbours
from locenc.kernels.panels import panel, panel_add, panel_collect
from locenc.kernels.reference_voronoi import site_attention
from locenc.kernels.vectors import LANES, convert, fma, load, splat, store, widen

#: Places that are sorted at a time, and those of a tile of the backward.
BATCH, TILE = 2**17, 2**10
RUN = 128  # sites that are summed by themselves first, by their number: errors grow with the length of sums
COST = 256  # sites that take as long, for one column, as a number that other kernels make
LOG2_E = 1 / math.log(2)


@register_jitable(forceinline=True)
def _gather(points: Any, order: Any, start: int, count: int, group: Any) -> float:
    """A group's coordinates, 16 of each, filled up with the last place's; their mean follows. Returns δ."""
    for lane in range(LANES):
        row = order[start + min(lane, count - 1)]
        for axis in range(3):
            group[axis * LANES + lane] = points[row, axis]
    for axis in range(3):
        middle = 0.0
        for lane in range(LANES):
            middle += group[axis * LANES + lane]
        group[3 * LANES + axis] = middle / LANES
    widest = 0.0
    for lane in range(LANES):
        square = 0.0
        for axis in range(3):
            square += (group[axis * LANES + lane] - group[3 * LANES + axis]) ** 2
        widest = max(widest, square)
    return math.sqrt(widest)


@register_jitable(forceinline=True)
def _along(table: Any, width: int, lane: int, x: Any, y: Any, z: Any) -> Any:
    """Products of a vector with 16 keys."""
    return fma(x, load(table, lane), fma(y, load(table, width + lane), z * load(table, 2 * width + lane)))


@register_jitable(forceinline=True)
def _candidates(table: Any, sites: int, group: Any, reach: float, limit: float, scores: Any, found: Any) -> int:
    """Sites that may come within ``limit`` of the largest score, in order; returns how many."""
    width = len(scores)
    x, y, z = splat(group[3 * LANES]), splat(group[3 * LANES + 1]), splat(group[3 * LANES + 2])
    largest = splat(-np.inf)
    for lane in range(0, width, LANES):
        score = _along(table, width, lane, x, y, z)
        store(scores, lane, score)
        largest = less(largest, score, score, largest)
    store(group, 4 * LANES, largest)
    most = -np.inf
    for lane in range(LANES):
        most = max(most, group[4 * LANES + lane])
    best = 0
    for lane in range(0, width, LANES):
        hits = not_less(load(scores, lane), splat(most))
        if hits != 0:
            best = lane + lowest(hits)
            break
    best_x, best_y, best_z = splat(table[best]), splat(table[width + best]), splat(table[2 * width + best])
    reach2 = splat(reach * reach)
    count = 0
    for lane in range(0, width, LANES):
        gap = load(scores, lane) - splat(scores[best] - limit)
        x = load(table, lane) - best_x
        y = load(table, width + lane) - best_y
        z = load(table, 2 * width + lane) - best_z
        # gap + reach |k - k*| >= 0, without a root.
        slack = fma(x, x, fma(y, y, z * z)) * reach2 - gap * gap
        hits = not_less(slack, splat(0.0)) | not_less(gap, splat(0.0))
        while hits != 0:
            site = lane + lowest(hits)
            hits &= hits - 1
            if site < sites:
                found[count] = site
                count += 1
    return count


@register_jitable(forceinline=True)
def _weigh(keys: Any, group: Any, found: Any, count: int, cut: float, share: float, weights: Any) -> int:
    """Weights of the sites found, 16 for each, as exp(z - largest); those that count stay, and how many is returned.

    The sums of weights, inverted, follow the group's coordinates and their mean.
    """
    x, y, z = load(group, 0), load(group, LANES), load(group, 2 * LANES)
    largest = splat(-np.inf)
    for j in range(count):
        score = _score(keys, found[j], x, y, z)
        largest = less(largest, score, score, largest)
    sums, zero = splat(0.0), splat(0.0)
    for j in range(count):
        power = (_score(keys, found[j], x, y, z) - largest) * splat(LOG2_E)
        weight = convert(less(power, splat(-cut), zero, exp2(power, weights)), weights)
        store(weights, j * LANES, weight)
        sums = sums + widen(weight)
    least, none = convert(sums * splat(share), weights), convert(zero, weights)
    kept = 0
    for j in range(count):
        weight = load(weights, j * LANES)
        if not_less(weight, least) != 0:
            store(weights, kept * LANES, less(weight, least, none, weight))
            found[kept] = found[j]
            kept += 1
    store(group, 4 * LANES, splat(1.0) / sums)
    return kept


@register_jitable(forceinline=True)
def _score(keys: Any, site: int, x: Any, y: Any, z: Any) -> Any:
    """Scores of one site at 16 places."""
    own = 3 * site
    return fma(x, splat(keys[own]), fma(y, splat(keys[own + 1]), z * splat(keys[own + 2])))


@kernel
def _attend(
    points: Any,
    order: Any,
    keys: Any,
    table: Any,
    embeddings: Any,
    columns: int,
    cut: float,
    margin: float,
    share: float,
    group: Any,
    scores: Any,
    found: Any,
    weights: Any,
    sums: Any,
    out: Any,
) -> None:
    height = len(panel(out))
    for start in range(0, len(order), LANES):
        count = min(LANES, len(order) - start)
        reach = _gather(points, order, start, count, group)
        kept = _candidates(table, len(found), group, reach * (1 + 1e-9) + 1e-15, cut / LOG2_E + margin, scores, found)
        kept = _weigh(keys, group, found, kept, cut, share, weights)
        column = 0
        while column < columns:
            column = min(column, columns - LANES)
            for row in range(LANES):
                store(sums, row * LANES, convert(splat(0.0), sums))
            for first in range(0, count, height):
                j = 0
                while j < kept:
                    end = (found[j] // RUN + 1) * RUN
                    own = panel(out)
                    while j < kept and found[j] < end:
                        own = panel_add(own, weights, j * LANES + first, embeddings, found[j] * columns + column)
                        j += 1
                    panel_collect(own, sums, first * LANES)
            for row in range(count):
                inverse = splat(group[4 * LANES + row])
                mean = convert(widen(load(sums, row * LANES)) * inverse, out)
                store(out, order[start + row] * columns + column, mean)
            column += LANES


class Sites(NamedTuple):
    """What the kernel takes besides places; arrays are flat.

    Attributes
    ----------
    keys, table : ndarray
        Keys one after the other; by coordinate, up to whole vectors, where the last site is repeated.
    embeddings : ndarray
        At least 16 columns for each site.
    columns : int
        How many.
    cut, margin, share : float
        How many powers of two below the largest a weight is 0 for certain; what bounds of scores may be off by; the
        share of the sum below which a weight is 0.
    """

    keys: Any
    table: Any
    embeddings: Any
    columns: int
    cut: float
    margin: float
    share: float


def _sites(keys: Tensor, embeddings: Tensor) -> Sites:
    rows = contiguous(numbers(keys))
    sites = len(rows)
    missing = LANES - embeddings.shape[1]
    values = pad(embeddings, (0, missing)) if missing > 0 else embeddings.contiguous()
    table = np.empty((3, -(-sites // LANES) * LANES))
    table[:, :sites], table[:, sites:] = rows.T, rows[-1:].T
    bits = 53 if values.dtype == torch.float64 else 24
    margin = 1e-6 + 1e-12 * float(np.abs(rows).max())
    arrays = (rows.reshape(-1), table.reshape(-1), values.numpy().reshape(-1))
    return Sites(*arrays, values.shape[1], bits + math.log2(sites), margin, 2.0**-bits / sites)


def forward(
    lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype, *, out: Tensor | None = None
) -> Tensor:
    """As `reference_voronoi.site_attention`, on the CPU; ``out``, contiguous and of that dtype, is filled."""
    working = dtype if dtype == torch.float64 else torch.float32
    sites = _sites(keys, embeddings.detach().to(working))
    columns = embeddings.shape[1]
    features = memory.empty((len(lonlat), columns), dtype) if out is None else out
    fits = dtype == working and columns == sites.columns
    for part in chunks.slices(len(lonlat), BATCH):
        own = features[part]
        if not fits:
            own = torch.empty((len(own), sites.columns), dtype=working, device="cpu")
        _batch(lonlat[part], sites, own.numpy().reshape(-1))
        if not fits:
            features[part] = own[:, :columns]
    return features


def _batch(lonlat: Tensor, sites: Sites, out: Any) -> None:
    """Fill the features of some places."""
    points = coordinates(XYZ, contiguous(numbers(lonlat)))
    order = neighbours(points)
    number = len(sites.keys) // 3

    def work(groups: slice) -> None:
        part = order[groups.start * LANES : groups.stop * LANES]
        group, scores, found = np.empty(5 * LANES), np.empty(len(sites.table) // 3), np.empty(number, np.int64)
        weights, sums = np.empty(number * LANES, out.dtype), np.empty(LANES * LANES, out.dtype)
        _attend(points, part, *sites, group, scores, found, weights, sums, out)

    chunks.run(work, -(-len(points) // LANES), LANES * sites.columns * (1 + number // COST))


def backward(gradient: Tensor, lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype) -> Tensor:
    """Gradient of the coordinates, in their dtype: by the reference, a tile at a time."""
    result = torch.empty(lonlat.shape, dtype=lonlat.dtype, device="cpu")
    keys, embeddings = keys.detach(), embeddings.detach()
    for part in chunks.slices(len(lonlat), TILE):
        with torch.enable_grad():
            own = lonlat[part].detach().requires_grad_()
            features = site_attention(own, keys, embeddings, dtype)
        (result[part],) = torch.autograd.grad(features, own, gradient[part])
    return result
