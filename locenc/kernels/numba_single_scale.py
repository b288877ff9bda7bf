"""Sinusoidal features and gradients where every phase has one scale: lanes run over points, not over scales.

What `locenc.kernels.numba_sinusoids` does for a point is done here for 16 of them; plan, table and waves are the same,
and so are the numbers.
"""

from typing import Any

import numpy as np
from numba.extending import register_jitable

from locenc.kernels.compiling import kernel
from locenc.kernels.numba_coordinates import reduce_longitude
from locenc.kernels.numba_sincos import nearest, of_product, sincos
from locenc.kernels.vectors import LANES, fma, load, splat, store, widen


@register_jitable(forceinline=True)
def _evaluate(points: Any, start: int, count: int, table: Any, phases: Any, waves: Any, place: Any) -> None:
    """Sines and cosines of all phases of up to 16 points; ``place`` holds a vector for each coordinate."""
    dimensions, width = points.shape[1], table.shape[1]
    for i in range(count):
        for k in range(dimensions):
            place[k * LANES + i] = points[start + i, k]
        if dimensions == 2:
            place[i] = reduce_longitude(place[i])
    for p in range(len(phases)):
        lane, axis = phases[p, 1], phases[p, 2]
        if axis >= 0:
            rounded, rest = of_product(load(table, axis * width + lane), load(place, axis * LANES))
        else:
            turns = fma(load(table, width + lane), load(place, LANES), load(table, lane) * load(place, 0))
            if dimensions == 3:
                turns = fma(load(table, 2 * width + lane), load(place, 2 * LANES), turns)
            if len(table) > dimensions:
                turns = turns + load(table, dimensions * width + lane)
            rounded, half_turns = nearest(turns)
            rest = turns - half_turns
        sine, cosine = sincos(rest, rounded, waves)
        store(waves, lane, sine)
        store(waves, width + lane, cosine)


@kernel
def forward(points: Any, table: Any, phases: Any, blocks: Any, waves: Any, place: Any, column: Any, out: Any) -> None:
    """Fill rows of features; ``place`` (3 vectors, zero) and ``column`` (one) are memory to work in."""
    amplitude = load(waves, 2 * table.shape[1] + LANES)
    for start in range(0, len(points), LANES):
        count = min(LANES, len(points) - start)
        _evaluate(points, start, count, table, phases, waves, place)
        for k in range(len(blocks)):
            store(column, 0, load(waves, blocks[k, 3]) * load(waves, blocks[k, 5]) * amplitude)
            for i in range(count):
                out[start + i, k] = column[i]


@kernel
def backward(
    gradient: Any,
    points: Any,
    table: Any,
    phases: Any,
    blocks: Any,
    waves: Any,
    slopes: Any,
    place: Any,
    column: Any,
    out: Any,
) -> None:
    """Fill rows of gradients by the coordinates; memory as in `forward`."""
    dimensions, width = points.shape[1], table.shape[1]
    amplitude = load(waves, 2 * width + LANES)
    for start in range(0, len(points), LANES):
        count = min(LANES, len(points) - start)
        _evaluate(points, start, count, table, phases, waves, place)
        for lane in range(len(slopes)):
            slopes[lane] = 0.0
        for k in range(len(blocks)):
            for i in range(count):
                column[i] = gradient[start + i, k]
            a, b = blocks[k, 3], blocks[k, 5]
            g = load(column, 0) * amplitude
            store(slopes, a, fma(g, load(waves, b), load(slopes, a)))
            store(slopes, b, fma(g, load(waves, a), load(slopes, b)))
        for k in range(dimensions):
            slope = splat(0.0)
            for p in range(len(phases)):
                lane = phases[p, 1]
                sine, cosine = load(waves, lane), load(waves, width + lane)
                by_phase = load(slopes, lane) * cosine - load(slopes, width + lane) * sine
                slope = fma(load(table, k * width + lane), widen(by_phase), slope)
            store(place, k * LANES, slope)
        for i in range(count):
            for k in range(dimensions):
                out[start + i, k] = np.pi * place[k * LANES + i]
