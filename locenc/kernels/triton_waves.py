"""Sines and cosines of a tile of points and scales, in registers; products of them, and slopes by the phases.

A tile is [points, scales]. A phase of one scale is [points, 1], and broadcasts. Lanes beyond the last scale repeat it;
who stores or sums them masks them.
"""

import triton
import triton.language as tl

from locenc.kernels import layout
from locenc.kernels.triton_sincos import along_axis, and_along, begin, sincos, wide, wide_along_axis

SIN = tl.constexpr(layout.SIN)
OBLIQUE = tl.constexpr(layout.OBLIQUE)
PI = tl.constexpr(3.141592653589793)


@triton.jit
def load_points(planes, n, rows, DIMENSIONS: tl.constexpr, WIDE: tl.constexpr):
    """Coordinates of a column of points, [points, 1] each: what `locenc.kernels.triton_coordinates` wrote."""
    found = ()
    here = rows < n
    for plane in tl.static_range(DIMENSIONS if WIDE else 2 * DIMENSIONS):
        found = found + (tl.load(planes + plane * n + rows, mask=here, other=0.0)[:, None],)
    return found


@triton.jit
def indices(PHASE: tl.constexpr, lanes):
    """Where the frequencies of a phase lie in a plane of the table."""
    if PHASE[1] == 1:
        return PHASE[0] + tl.arange(0, 1)
    else:
        return PHASE[0] + tl.minimum(lanes, PHASE[1] - 1)


@triton.jit
def evaluate(PHASE: tl.constexpr, SHIFTED: tl.constexpr, WIDE: tl.constexpr, table, width, points, lanes):
    """Sine and cosine of a phase: (first frequency, length, axis) of `locenc.kernels.triton_plan`.

    ``table`` holds planes of ``width`` frequencies: by coordinate, then shifts.
    """
    own = table + indices(PHASE, lanes)[None, :]
    axis: tl.constexpr = PHASE[2]
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
            uh, ul = tl.load(own + 2 * axis * width), tl.load(own + (2 * axis + 1) * width)
            r, flip = along_axis(uh, ul, points[2 * axis], points[2 * axis + 1])
        else:
            r, lo, flip = begin(tl.load(own), tl.load(own + width), points[0], points[1])
            for d in tl.static_range(1, len(points) // 2):
                uh, ul = tl.load(own + 2 * d * width), tl.load(own + (2 * d + 1) * width)
                r, lo, flip = and_along(r, lo, flip, uh, ul, points[2 * d], points[2 * d + 1])
            if SHIFTED:
                uh, ul = tl.load(own + len(points) * width), tl.load(own + (len(points) + 1) * width)
                r, lo, flip = and_along(r, lo, flip, uh, ul, 1.0, 0.0)
            r += lo
    return sincos(r, flip)


@triton.jit
def evaluate_all(PHASES: tl.constexpr, SHIFTED: tl.constexpr, WIDE: tl.constexpr, table, width, points, lanes):
    """(sine, cosine) of each phase."""
    found = ()
    for p in tl.static_range(len(PHASES)):
        found = found + (evaluate(PHASES[p], SHIFTED, WIDE, table, width, points, lanes),)
    return found


@triton.jit
def product(FIRST: tl.constexpr, SECOND: tl.constexpr, waves):
    """A block's columns: one factor, or two multiplied."""
    if SECOND is None:
        return waves[FIRST[0]][FIRST[1]]
    else:
        return waves[FIRST[0]][FIRST[1]] * waves[SECOND[0]][SECOND[1]]


@triton.jit
def load_gradients(BLOCKS: tl.constexpr, start, across, here, lanes):
    """Gradients of each block's columns, float32; 0 where there are none."""
    found = ()
    for b in tl.static_range(len(BLOCKS)):
        mask = here & (lanes < BLOCKS[b][1])[None, :]
        found = found + (tl.load(start + BLOCKS[b][0] * across, mask=mask, other=0.0).to(tl.float32),)
    return found


@triton.jit
def slope(P: tl.constexpr, PHASE: tl.constexpr, BLOCKS: tl.constexpr, gradients, waves):
    """Gradient by phase P, in half turns: pi (ds cos - dc sin), ds and dc being those by its sine and cosine."""
    by = (tl.zeros((1, 1), tl.float32), tl.zeros((1, 1), tl.float32))
    for b in tl.static_range(len(BLOCKS)):
        by = through_block(by, P, BLOCKS[b][2], BLOCKS[b][3], gradients[b], waves)
    if PHASE[1] == 1:
        by = tl.sum(by[0], 1)[:, None], tl.sum(by[1], 1)[:, None]
    return PI * (by[0] * waves[P][1] - by[1] * waves[P][0])


@triton.jit
def through_block(by, P: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr, gradient, waves):
    """Gradients by the sine and cosine of phase P, with those through one block."""
    if FIRST[0] == P:
        by = added(by, FIRST, SECOND, gradient, waves)
    if SECOND is not None:
        if SECOND[0] == P:
            by = added(by, SECOND, FIRST, gradient, waves)
    return by


@triton.jit
def added(by, OWN: tl.constexpr, OTHER: tl.constexpr, gradient, waves):
    """Gradients by a phase's sine and cosine, with those through one factor of a block."""
    if OTHER is not None:
        gradient *= waves[OTHER[0]][OTHER[1]]
    if OWN[1] == SIN:
        return by[0] + gradient, by[1]
    else:
        return by[0], by[1] + gradient


@triton.jit
def depends(PHASE: tl.constexpr, COORDINATE: tl.constexpr):
    """Whether a phase depends on a coordinate."""
    return PHASE[2] == OBLIQUE or PHASE[2] == COORDINATE


@triton.jit
def along_coordinate(by_phase, COORDINATE: tl.constexpr, PHASE: tl.constexpr, WIDE: tl.constexpr, table, width, lanes):
    """Gradient by a coordinate through a phase, summed over its scales: [points]."""
    plane = COORDINATE if WIDE else 2 * COORDINATE
    u = tl.load(table + plane * width + indices(PHASE, lanes)).to(tl.float32)
    return tl.sum(by_phase * u[None, :], 1)


@triton.jit
def store_slopes(out, rows, n, DIMENSIONS: tl.constexpr, x, y, z):
    """Add gradients by coordinates to what ``out`` (N, D) holds; no other program has these rows."""
    here, start = rows < n, out + rows * DIMENSIONS
    tl.store(start, tl.load(start, mask=here) + x, mask=here)
    tl.store(start + 1, tl.load(start + 1, mask=here) + y, mask=here)
    if DIMENSIONS == 3:
        tl.store(start + 2, tl.load(start + 2, mask=here) + z, mask=here)
