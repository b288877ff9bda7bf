"""Moran's sums of real places among a background of concentric rings, for `self_information`.

A neighbourhood is a cap of radius ρ around its centre, with n real places in it, each with a value, and background
points of value 0: on ring i = 1, 2, .. L at the angle i h from the centre, ⌈2πi⌉ of them at equal azimuths, the first
due north; h = d^(-1/2), d = ⌈5n / (πρ²)⌉ points per square radian, and L = ⌈ρ / h⌉. Every point is joined to the k = 4
points nearest to it, W[i, j] = 1. With values v, their mean x̄ over the N points of both kinds, and z = v - x̄,

    zᵀWz = Σ_i v_i S_i - x̄ Σ_i S_i,    S_i = Σ_j W[i, j] v_j,

so only points with a real place among their four neighbours count. Points that are equally far share the places that
are left evenly: S_i is the mean over all ways to break the tie.

The rings cut the cap into bins, one around each background point and one around the centre. Within REACH h of any place
of the cap lie four background points (a test measures it on the plane, and on the sphere distances are smaller): a
search looks no farther. Real neighbours of a real place come from a list of its neighbours, made once for the globe.

The functions are compiled by numba; where it does not run, Python runs them as they stand, a hundred times slower.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from locenc.kernels.choice import missing

Function = TypeVar("Function", bound=Callable[..., Any])

NEIGHBOURS = 4
PER_PLACE = 5
"""Background points for each real place, about."""
REACH = 1.6
ACROSS = 0.9
"""More than any place of a bin is away from its background point, in units of h: that is 0.84 in the first ring."""
TIE = 1e-9
"""Of the radius: distances that differ by less are equal."""
TURN = 2 * math.pi

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


def inner(function: Function) -> Function:
    """Let compiled functions call a function."""
    if missing("numba"):
        return function
    from numba.extending import register_jitable

    called: Function = register_jitable(function)
    return called


def compiled(function: Function) -> Function:
    """Compile a function when it is first called."""
    if missing("numba"):
        return function
    from locenc.kernels.compiling import kernel

    quick: Function = kernel(function)
    return quick


def ring_layout(count: int, radius: float) -> tuple[float, int]:
    """Spacing h of the rings in radians, and their number L, for ``count`` places within ``radius`` radians."""
    spacing = 1 / math.sqrt(math.ceil(PER_PLACE * count / (math.pi * radius**2)))
    return spacing, math.ceil(radius / spacing)


def ring_starts(num_rings: int) -> Rows:
    """Return the first bin of each ring, and the number of bins at the end: (num_rings + 2,). Ring 0 is one bin."""
    sizes = np.ceil(TURN * np.arange(1, num_rings + 1)).astype(np.int64)
    return np.concatenate([[0, 1], 1 + np.cumsum(sizes)]).astype(np.int64)


@compiled
def moran_sums(
    local: Floats,
    members: Rows,
    splits: Rows,
    values: Floats,
    near: Rows,
    near_chord: Floats,
    radius: float,
    spacings: Floats,
    rings: Rows,
    starts: Rows,
) -> Any:
    """Σ_i v_i S_i and Σ_i S_i of neighbourhoods.

    Parameters
    ----------
    local, members, splits
        As `locenc_csp.neighbourhoods.Batch` and `local_coordinates` have them.
    values : ndarray
        float64 (N,): of all places.
    near, near_chord : ndarray
        (N, M) other places near each place, nearest first, and how far, as straight lines; infinity where there are not
        so many.
    radius : float
        In radians.
    spacings, rings : ndarray
        (C,) layout of each neighbourhood, by `ring_layout`.
    starts : ndarray
        `ring_starts` of the largest number of rings.

    Returns
    -------
    ndarray
        float64 (C, 2).
    """
    sums = np.zeros((len(splits) - 1, 2))
    slot_of = np.full(len(values), -1)
    north = _azimuths(starts)
    tie, nearest = TIE * radius, np.empty(NEIGHBOURS)
    for c in range(len(splits) - 1):
        first, count = splits[c], splits[c + 1] - splits[c]
        spacing, num_rings = spacings[c], rings[c]
        num_bins = starts[num_rings + 1]
        grid = _background(north, spacing, num_rings, starts)
        angle, azimuth, bins = np.empty(count), np.empty(count), np.empty(count, np.int64)
        heads = np.zeros(num_bins + 1, np.int64)
        for slot in range(count):
            x, y, z = local[first + slot, 0], local[first + slot, 1], local[first + slot, 2]
            slot_of[members[first + slot]] = slot
            angle[slot] = math.atan2(math.hypot(x, y), z)
            azimuth[slot] = math.atan2(x, y) % TURN
            bins[slot] = _bin(angle[slot], azimuth[slot], spacing, num_rings, starts)
            heads[bins[slot] + 1] += 1
        heads = np.cumsum(heads)
        order, filled = np.empty(count, np.int64), heads[:-1].copy()
        for slot in range(count):
            order[filled[bins[slot]]] = slot
            filled[bins[slot]] += 1
        window, enough = np.empty(num_bins, np.int64), 2 * math.sin(REACH * spacing / 2)
        distance, value = np.empty(num_bins + count), np.empty(num_bins + count)

        touched = np.zeros(num_bins, np.bool_)  # may have a real place within reach
        for b in range(num_bins):
            if heads[b + 1] > heads[b]:
                width = _window(grid[b, 3], grid[b, 4], (REACH + ACROSS) * spacing, spacing, num_rings, starts, window)
                for w in range(width):
                    touched[window[w]] = True

        for b in range(1, num_bins):  # background points; their own value is 0
            if not touched[b]:
                continue
            width = _window(grid[b, 3], grid[b, 4], REACH * spacing, spacing, num_rings, starts, window)
            x, y, z = grid[b, 0], grid[b, 1], grid[b, 2]
            found = 0
            for w in range(width):
                other = window[w]
                if other > 0 and other != b:
                    distance[found] = _distance(x, y, z, grid[other, 0], grid[other, 1], grid[other, 2])
                    value[found] = 0.0
                    found += 1
                for i in range(heads[other], heads[other + 1]):
                    at = first + order[i]
                    distance[found] = _distance(x, y, z, local[at, 0], local[at, 1], local[at, 2])
                    value[found] = values[members[at]]
                    found += 1
            sums[c, 1] += _share(distance, value, found, tie, nearest)

        for slot in range(count):  # real places
            row = members[first + slot]
            x, y, z = local[first + slot, 0], local[first + slot, 1], local[first + slot, 2]
            found, limit = _listed(near[row], near_chord[row], enough, slot_of, values, tie, distance, value)
            reach = REACH * spacing
            if limit >= 0:  # the list has all that can matter: look among the background, and no farther than it
                reach = 2 * math.asin((limit + tie) / 2)
            width = _window(angle[slot], azimuth[slot], reach, spacing, num_rings, starts, window)
            for w in range(width):
                other = window[w]
                if other > 0:
                    distance[found] = _distance(x, y, z, grid[other, 0], grid[other, 1], grid[other, 2])
                    value[found] = 0.0
                    found += 1
                if limit < 0:
                    for i in range(heads[other], heads[other + 1]):
                        at = first + order[i]
                        if order[i] != slot:
                            distance[found] = _distance(x, y, z, local[at, 0], local[at, 1], local[at, 2])
                            value[found] = values[members[at]]
                            found += 1
            share = _share(distance, value, found, tie, nearest)
            sums[c, 0] += values[row] * share
            sums[c, 1] += share
        for slot in range(count):
            slot_of[members[first + slot]] = -1
    return sums


@inner
def _azimuths(starts: Rows) -> Any:
    """Azimuth of each bin's background point, its sine and its cosine: (bins, 3)."""
    table = np.zeros((starts[-1], 3))
    for ring in range(1, len(starts) - 1):
        size = starts[ring + 1] - starts[ring]
        for i in range(size):
            azimuth = TURN * i / size
            b = starts[ring] + i
            table[b, 0], table[b, 1], table[b, 2] = azimuth, math.sin(azimuth), math.cos(azimuth)
    return table


@inner
def _background(north: Floats, spacing: float, num_rings: int, starts: Rows) -> Any:
    """Each background point towards east, north and up, its angle from the centre, its azimuth: (bins, 5)."""
    grid = np.zeros((starts[num_rings + 1], 5))
    for ring in range(1, num_rings + 1):
        sine, cosine = math.sin(ring * spacing), math.cos(ring * spacing)
        for b in range(starts[ring], starts[ring + 1]):
            grid[b, 0], grid[b, 1], grid[b, 2] = sine * north[b, 1], sine * north[b, 2], cosine
            grid[b, 3], grid[b, 4] = ring * spacing, north[b, 0]
    return grid


@inner
def _bin(angle: float, azimuth: float, spacing: float, num_rings: int, starts: Rows) -> Any:
    ring = min(int(angle / spacing + 0.5), num_rings)
    size = starts[ring + 1] - starts[ring]
    return starts[ring] + int(azimuth / TURN * size + 0.5) % size


@inner
def _window(
    angle: float, azimuth: float, reach: float, spacing: float, num_rings: int, starts: Rows, window: Rows
) -> Any:
    """List the bins that a place within ``reach`` radians of (angle, azimuth) can lie in; return how many."""
    reach = reach * (1 + 1e-9) + 1e-15
    span = math.pi  # no place within reach lies at another azimuth
    if reach < min(angle, math.pi - angle):
        span = math.asin(math.sin(reach) / math.sin(angle))
    count = 0
    inmost = max(0, math.floor((angle - reach) / spacing + 0.5))
    outmost = min(num_rings, math.floor((angle + reach) / spacing + 0.5))
    for ring in range(min(inmost, num_rings), outmost + 1):
        size = starts[ring + 1] - starts[ring]
        low = math.floor((azimuth - span) / TURN * size + 0.5)
        high = math.floor((azimuth + span) / TURN * size + 0.5)
        for i in range(low, min(high, low + size - 1) + 1):
            window[count] = starts[ring] + i % size
            count += 1
    return count


@inner
def _listed(
    near: Rows,
    near_chord: Floats,
    enough: float,
    slot_of: Rows,
    values: Floats,
    tie: float,
    distance: Floats,
    value: Floats,
) -> Any:
    """Take real neighbours from the list of a place.

    Returns
    -------
    found : int
        How many were taken: all that can be among the nearest four.
    limit : float
        No place farther than this can be one of them; -1, and nothing taken, where the list is too short to say.
    """
    found, limit = 0, enough
    for m in range(len(near)):
        if near_chord[m] > limit + tie:
            return found, limit
        if slot_of[near[m]] >= 0:
            distance[found], value[found] = near_chord[m], values[near[m]]
            found += 1
            if found == NEIGHBOURS:
                limit = near_chord[m]
    return 0, -1.0


@inner
def _distance(x: float, y: float, z: float, u: float, v: float, w: float) -> Any:
    return math.sqrt((x - u) ** 2 + (y - v) ** 2 + (z - w) ** 2)


@inner
def _share(distance: Floats, value: Floats, found: int, tie: float, nearest: Floats) -> Any:
    """Sum of the values of the nearest four; equally far ones share what is left evenly."""
    nearest[:] = np.inf
    for i in range(found):
        if distance[i] < nearest[-1]:
            at = NEIGHBOURS - 1
            while at > 0 and nearest[at - 1] > distance[i]:
                nearest[at] = nearest[at - 1]
                at -= 1
            nearest[at] = distance[i]
    limit = nearest[-1]
    inside, closer, tied, at_limit = 0, 0.0, 0, 0.0
    for i in range(found):
        if distance[i] < limit - tie:
            inside += 1
            closer += value[i]
        elif distance[i] <= limit + tie:
            tied += 1
            at_limit += value[i]
    return closer + (NEIGHBOURS - inside) * at_limit / tied
