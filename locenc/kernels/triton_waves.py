"""Sines and cosines of a tile of points and scales, in registers; products of them, and slopes by the phases.

A tile is [points, scales]. A phase of one scale is [points, 1], and broadcasts. Lanes beyond the last scale repeat it;
who stores or sums them masks them.
"""

import triton
import triton.language as tl

from locenc.kernels import layout, triton_plan
from locenc.kernels.triton_sincos import along_axis, and_along, begin, sincos, wide, wide_along_axis

SIN = tl.constexpr(layout.SIN)
OBLIQUE = tl.constexpr(layout.OBLIQUE)
NONE = tl.constexpr(triton_plan.NONE)
PI = tl.constexpr(3.141592653589793)


@triton.jit
def load_points(planes, n, rows, DIMENSIONS: tl.constexpr, WIDE: tl.constexpr):
    """Coordinates of a column of points, [points, 1] each: what `locenc.kernels.triton_coordinates` wrote."""
    found = ()
    here = rows < n
    if planes.dtype.element_ty == tl.int64:
        for plane in tl.static_range(DIMENSIONS):
            found = found + halves(tl.load(planes + plane * n + rows, mask=here, other=0)[:, None])
    else:
        for plane in tl.static_range(DIMENSIONS if WIDE else 2 * DIMENSIONS):
            found = found + (tl.load(planes + plane * n + rows, mask=here, other=0.0)[:, None],)
    return found


@triton.jit
def halves(both):
    """The float32 numbers that stand in 8 bytes."""
    return both.to(tl.int32).to(tl.float32, bitcast=True), (both >> 32).to(tl.int32).to(tl.float32, bitcast=True)


@triton.jit
def load_frequencies(own, axis, width):
    """Frequencies along an axis, high and low, where a phase's own begin in the first plane."""
    return tl.load(own + 2 * axis * width), tl.load(own + (2 * axis + 1) * width)


@triton.jit
def indices(PHASES: tl.constexpr, P: tl.constexpr, lanes):
    """Where the frequencies of a phase lie in a plane of the table."""
    if PHASES[P][1] == 1:
        return PHASES[P][0] + tl.arange(0, 1)
    else:
        return PHASES[P][0] + tl.minimum(lanes, PHASES[P][1] - 1)


@triton.jit
def evaluate(
    PHASES: tl.constexpr, P: tl.constexpr, SHIFTED: tl.constexpr, WIDE: tl.constexpr, table, width, points, lanes
):
    """Sine and cosine of phase P of several (first frequency, length, axis); see `locenc.kernels.triton_plan`.

    ``table`` holds planes of ``width`` frequencies: by coordinate, then shifts.
    """
    own = table + indices(PHASES, P, lanes)[None, :]
    axis: tl.constexpr = PHASES[P][2]
    if WIDE:
        if axis != OBLIQUE:
            r, flip = wide_along_axis(tl.load(own + axis * width), points[axis])
        else:
            half_turns = tl.load(own) * points[0]
            for d in tl.static_range(1, len(points)):
                half_turns = tl.fma(tl.load(own + d * width), points[d], half_turns)
            if SHIFTED:
                half_turns += tl.load(own + len(points) * width)
            r, flip = wide(half_turns)
    else:
        if axis != OBLIQUE:
            uh, ul = load_frequencies(own, axis, width)
            r, flip = along_axis(uh, ul, points[2 * axis], points[2 * axis + 1])
        else:
            uh, ul = load_frequencies(own, 0, width)
            r, lo, flip = begin(uh, ul, points[0], points[1])
            for d in tl.static_range(1, len(points) // 2):
                uh, ul = load_frequencies(own, d, width)
                r, lo, flip = and_along(r, lo, flip, uh, ul, points[2 * d], points[2 * d + 1])
            if SHIFTED:
                uh, ul = load_frequencies(own, len(points) // 2, width)
                r, lo, flip = and_along(r, lo, flip, uh, ul, 1.0, 0.0)
            r += lo
    return sincos(r, flip)


@triton.jit
def evaluate_all(PHASES: tl.constexpr, SHIFTED: tl.constexpr, WIDE: tl.constexpr, table, width, points, lanes):
    """(sine, cosine) of each phase."""
    found = ()
    for p in tl.static_range(len(PHASES)):
        found = found + (evaluate(PHASES, p, SHIFTED, WIDE, table, width, points, lanes),)
    return found


@triton.jit
def product(BLOCKS: tl.constexpr, B: tl.constexpr, waves):
    """Columns of block B: one factor, or two multiplied."""
    if BLOCKS[B][4] == NONE:
        return waves[BLOCKS[B][2]][BLOCKS[B][3]]
    else:
        return waves[BLOCKS[B][2]][BLOCKS[B][3]] * waves[BLOCKS[B][4]][BLOCKS[B][5]]


@triton.jit
def load_gradients(BLOCKS: tl.constexpr, start, across, here, lanes):
    """Gradients of each block's columns, float32; 0 where there are none."""
    found = ()
    for b in tl.static_range(len(BLOCKS)):
        mask = here & (lanes < BLOCKS[b][1])[None, :]
        found = found + (tl.load(start + BLOCKS[b][0] * across, mask=mask, other=0.0).to(tl.float32),)
    return found


@triton.jit
def slope(PHASES: tl.constexpr, P: tl.constexpr, BLOCKS: tl.constexpr, gradients, waves):
    """Gradient by phase P, in half turns: pi (ds cos - dc sin), ds and dc being those by its sine and cosine."""
    by = (tl.zeros((1, 1), tl.float32), tl.zeros((1, 1), tl.float32))
    for b in tl.static_range(len(BLOCKS)):
        if BLOCKS[b][2] == P:
            by = through_factor(by, BLOCKS, b, 2, 4, gradients, waves)
        if BLOCKS[b][4] == P:
            by = through_factor(by, BLOCKS, b, 4, 2, gradients, waves)
    if PHASES[P][1] == 1:
        by = tl.sum(by[0], 1)[:, None], tl.sum(by[1], 1)[:, None]
    return PI * (by[0] * waves[P][1] - by[1] * waves[P][0])


@triton.jit
def through_factor(by, BLOCKS: tl.constexpr, B: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr, gradients, waves):
    """Gradients by a phase's sine and cosine, with those through the factor of block B whose fields begin at OWN."""
    gradient = gradients[B]
    if BLOCKS[B][OTHER] != NONE:
        gradient *= waves[BLOCKS[B][OTHER]][BLOCKS[B][OTHER + 1]]
    if BLOCKS[B][OWN + 1] == SIN:
        return by[0] + gradient, by[1]
    else:
        return by[0], by[1] + gradient


@triton.jit
def along_coordinate(
    by_phase,
    COORDINATE: tl.constexpr,
    PHASES: tl.constexpr,
    P: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    WIDE: tl.constexpr,
    table,
    width,
    lanes,
):
    """Gradient by a coordinate through a phase, summed over its scales: [points]; or 0."""
    if COORDINATE < DIMENSIONS and (PHASES[P][2] == OBLIQUE or PHASES[P][2] == COORDINATE):
        if WIDE:
            u = tl.load(table + COORDINATE * width + indices(PHASES, P, lanes)).to(tl.float32)
        else:
            u, _ = load_frequencies(table + indices(PHASES, P, lanes), COORDINATE, width)
        return tl.sum(by_phase * u[None, :], 1)
    else:
        return 0.0


@triton.jit
def store_slopes(out, rows, n, DIMENSIONS: tl.constexpr, x, y, z):
    """Add gradients by coordinates to what ``out`` (N, D) holds; no other program has these rows."""
    here, start = rows < n, out + rows * DIMENSIONS
    tl.store(start, tl.load(start, mask=here) + x, mask=here)
    tl.store(start + 1, tl.load(start + 1, mask=here) + y, mask=here)
    if DIMENSIONS == 3:
        tl.store(start + 2, tl.load(start + 2, mask=here) + z, mask=here)
