"""Sinusoidal features and their gradients on the CPU.

Each phase's sine and cosine are evaluated once for a point, into a buffer that stays in the first-level cache; every
block of columns is then a product of two rows of it. Lanes run over scales. A phase of one scale fills all lanes alike,
and a row of ones stands for the second factor of a single sinusoid, so that every block is the same loop: a += step,
b += step, column += 16.

Blocks are stored in whole vectors, in the order of the columns: what is too much of one is overwritten by the next.

The gradient by a phase is pi (ds cos - dc sin), ds and dc being those by its sine and cosine; it is summed over scales,
times frequencies, in float64.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba.extending import register_jitable
from torch import Tensor

from locenc.kernels import layout, numba_single_scale
from locenc.kernels.arrays import contiguous, load_whole_vectors, make, numbers, pull_back, store_whole_vectors
from locenc.kernels.compiling import kernel
from locenc.kernels.lanes import first, total
from locenc.kernels.numba_coordinates import coordinates, reduce_longitude, to_degrees
from locenc.kernels.numba_sincos import nearest, of_product, sincos
from locenc.kernels.sinusoid_plan import plan
from locenc.kernels.vectors import LANES, convert, fma, load, splat, store, widen


@register_jitable(forceinline=True)
def _evaluate(points: Any, row: int, table: Any, phases: Any, waves: Any) -> None:
    """Sines and cosines of all phases of one point."""
    dimensions, width = points.shape[1], table.shape[1]
    lon = reduce_longitude(points[row, 0]) if dimensions == 2 else points[row, 0]
    for p in range(len(phases)):
        lane, axis = phases[p, 1], phases[p, 2]
        end = lane + phases[p, 0]
        if axis >= 0:
            x = splat(lon if axis == 0 else points[row, axis])
            while lane < end:
                rounded, rest = of_product(load(table, axis * width + lane), x)
                sine, cosine = sincos(rest, rounded, waves)
                store(waves, lane, sine)
                store(waves, width + lane, cosine)
                lane += LANES
        else:
            x, y, z = splat(lon), splat(points[row, 1]), splat(points[row, dimensions - 1])
            while lane < end:
                turns = fma(load(table, width + lane), y, load(table, lane) * x)
                if dimensions == 3:
                    turns = fma(load(table, 2 * width + lane), z, turns)
                if len(table) > dimensions:
                    turns = turns + load(table, dimensions * width + lane)
                rounded, half_turns = nearest(turns)
                sine, cosine = sincos(turns - half_turns, rounded, waves)
                store(waves, lane, sine)
                store(waves, width + lane, cosine)
                lane += LANES


@register_jitable(forceinline=True)
def _write(waves: Any, width: int, blocks: Any, out: Any, start: int) -> None:
    """All columns of one point, from an index of ``out`` on; up to 15 numbers behind them are overwritten."""
    ones = 2 * width
    amplitude = load(waves, ones + LANES)
    for k in range(len(blocks)):
        column = start + blocks[k, 0]
        end, outer = column + blocks[k, 1], blocks[k, 2]
        a, step_a, b, step_b = blocks[k, 3], blocks[k, 4], blocks[k, 5], blocks[k, 6]
        if b == ones:
            while column < end:
                store(out, column, load(waves, a) * amplitude)
                a += LANES
                column += LANES
        elif outer == 0:
            while column < end:
                store(out, column, load(waves, a) * load(waves, b) * amplitude)
                a += step_a
                b += step_b
                column += LANES
        else:
            length = blocks[k, 1] // outer
            for i in range(outer):
                factor = splat(waves[a + i]) * amplitude
                row, lane = column + i * length, b
                row_end = row + length
                while row < row_end:
                    store(out, row, factor * load(waves, lane))
                    lane += step_b
                    row += LANES


@kernel
def _forward(points: Any, table: Any, phases: Any, blocks: Any, columns: int, waves: Any, out: Any) -> None:
    for row in range(len(points)):
        _evaluate(points, row, table, phases, waves)
        _write(waves, table.shape[1], blocks, out, row * columns)


@register_jitable(forceinline=True)
def _collect(waves: Any, slopes: Any, width: int, blocks: Any, gradient: Any, start: int) -> None:
    """Add to the gradients by sines and cosines what the columns of one point, from an index on, give."""
    ones = 2 * width
    amplitude = load(waves, ones + LANES)
    for k in range(len(blocks)):
        column = start + blocks[k, 0]
        end, outer = column + blocks[k, 1], blocks[k, 2]
        a, step_a, b, step_b = blocks[k, 3], blocks[k, 4], blocks[k, 5], blocks[k, 6]
        if b == ones:
            while column < end:
                g = load(gradient, column)
                if end - column < LANES:
                    g = first(g, end - column)
                store(slopes, a, fma(g, amplitude, load(slopes, a)))
                a += LANES
                column += LANES
        elif outer == 0:
            while column < end:
                g = load(gradient, column)
                if end - column < LANES:
                    g = first(g, end - column)
                g = g * amplitude
                store(slopes, a, fma(g, load(waves, b), load(slopes, a)))
                store(slopes, b, fma(g, load(waves, a), load(slopes, b)))
                a += step_a
                b += step_b
                column += LANES
        else:
            length = blocks[k, 1] // outer
            for i in range(outer):
                factor = splat(waves[a + i])
                row, lane = column + i * length, b
                row_end = row + length
                along = convert(splat(0.0), waves)
                while row < row_end:
                    g = load(gradient, row)
                    if row_end - row < LANES:
                        g = first(g, row_end - row)
                    g = g * amplitude
                    along = fma(g, load(waves, lane), along)
                    store(slopes, lane, fma(g, factor, load(slopes, lane)))
                    lane += step_b
                    row += LANES
                slopes[a + i] += total(along)


@register_jitable(forceinline=True)
def _contract(waves: Any, slopes: Any, table: Any, phases: Any, out: Any, row: int) -> None:
    """Gradient by the coordinates of one point: sum over scales, in float64."""
    dimensions, width = out.shape[1], table.shape[1]
    for k in range(dimensions):
        out[row, k] = 0.0
    for p in range(len(phases)):
        for k in range(dimensions):
            lane, axis = phases[p, 1], phases[p, 2]
            end = lane + phases[p, 0]
            if axis in (k, layout.OBLIQUE):
                slope = splat(0.0)
                while lane < end:
                    sine, cosine = load(waves, lane), load(waves, width + lane)
                    by_phase = load(slopes, lane) * cosine - load(slopes, width + lane) * sine
                    slope = fma(load(table, k * width + lane), widen(by_phase), slope)
                    lane += LANES
                out[row, k] += np.pi * total(slope)


@kernel
def _backward(
    gradient: Any, points: Any, table: Any, phases: Any, blocks: Any, columns: int, waves: Any, slopes: Any, out: Any
) -> None:
    for row in range(len(points)):
        _evaluate(points, row, table, phases, waves)
        for lane in range(len(slopes)):
            slopes[lane] = 0.0
        _collect(waves, slopes, table.shape[1], blocks, gradient, row * columns)
        _contract(waves, slopes, table, phases, out, row)


def forward(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    dtype: torch.dtype,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """As `locenc.kernels.reference.sinusoids`, on the CPU; ``out``, contiguous and of that dtype, is filled."""
    spec = plan(tuple(fields))
    places, table = numbers(lonlat), spec.table(frequencies)

    def work(part: slice, own: Any) -> None:
        points = coordinates(spec.kind, contiguous(places[part]))
        waves = spec.waves(amplitude, own.dtype)
        if spec.single_scale:
            numba_single_scale.forward(
                points, table, spec.phases, spec.blocks, waves, np.zeros(3 * LANES), np.empty(LANES, own.dtype), own
            )
            return

        def rows(part: slice, flat: Any) -> None:
            _forward(points[part], table, spec.phases, spec.blocks, spec.columns, waves, flat)

        store_whole_vectors(own, rows)

    return make(len(places), spec.columns, dtype, out, work)


def backward(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, dtype: torch.dtype
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    spec = plan(tuple(fields))
    places, table = numbers(lonlat), spec.table(frequencies)

    def work(part: slice, own: Any, result: Any) -> None:
        degrees = contiguous(places[part])
        points = coordinates(spec.kind, degrees)
        waves = spec.waves(amplitude, own.dtype)
        slopes, by_point = np.empty_like(waves[:-LANES]), np.empty(points.shape)
        if spec.single_scale:
            space = waves, slopes, np.zeros(3 * LANES), np.zeros(LANES, own.dtype)
            numba_single_scale.backward(own, points, table, spec.phases, spec.blocks, *space, by_point)
            to_degrees(spec.kind, degrees, by_point, result)
            return

        def rows(part: slice, flat: Any) -> None:
            layout = spec.phases, spec.blocks, spec.columns
            _backward(flat, points[part], table, *layout, waves, slopes, by_point[part])

        load_whole_vectors(own, rows)
        to_degrees(spec.kind, degrees, by_point, result)

    return pull_back(gradient, lonlat, dtype, work)
