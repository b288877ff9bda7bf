"""Sinusoidal features and their gradients on the CPU.

Each phase's sine and cosine are evaluated once for a point, into a buffer that stays in the first-level cache; every
block of columns is then a product of two rows of it. Lanes run over scales. A phase of one scale fills all lanes alike,
and a row of ones stands for the second factor of a single sinusoid, so that every block is the same loop: a += step,
b += step, column += 16.

Blocks are stored in whole vectors, in the order of the columns: what is too much of one is overwritten by the next.
Only the last rows, where too much would lie behind the result, go through a row of their own.

The gradient by a phase is pi (ds cos - dc sin), ds and dc being those by its sine and cosine; it is summed over scales,
times frequencies, in float64.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numba.extending import register_jitable
from torch import Tensor

from locenc.kernels import chunks, layout, memory, numba_coordinates
from locenc.kernels.compiling import kernel
from locenc.kernels.numba_coordinates import BLOCK, POINT
from locenc.kernels.numba_sincos import ROUNDING, nearest, sincos
from locenc.kernels.vectors import LANES, first, fma, load, splat, store, total, widen


class Plan(NamedTuple):
    """A layout as the kernels read it.

    Attributes
    ----------
    kind : int
        Of coordinates.
    width : int
        Lanes of all phases, each padded to whole vectors.
    phases : ndarray
        ``(P, 4)``: length, first row of the frequencies, first lane, axis.
    blocks : ndarray
        ``(B, 7)``: first column, columns, outer rows, lane a, step a, lane b, step b.
    columns : int
        Number of features F.
    """

    kind: int
    width: int
    phases: Any
    blocks: Any
    columns: int


@cache
def plan(fields: tuple[int, ...]) -> Plan:
    """Lower a layout; see `locenc.kernels.layout`."""
    rows, frequency, width = [], 0, 0
    for length, axis in layout.phases(fields):
        rows.append((length, frequency, width, axis))
        frequency, width = frequency + length, width + -(-length // LANES) * LANES
    ones = 2 * width
    found, column = [], 0
    for block in layout.blocks(fields):
        outer = block.combine == layout.OUTER and block.function_b != layout.ONE
        factors = []
        for phase, function in ((block.phase_a, block.function_a), (block.phase_b, block.function_b)):
            length, _, lane, _ = rows[phase]
            lane = ones if function == layout.ONE else lane + (width if function == layout.COS else 0)
            factors += [lane, 0 if function == layout.ONE or length == 1 else LANES]
        outer_rows = rows[block.phase_a][0] if outer else 0
        found.append((column, block.columns, outer_rows, *factors))
        column += block.columns
    return Plan(fields[0], width, np.array(rows, np.int64), np.array(found, np.int64), column)


@register_jitable
def _table(frequencies: Any, dimensions: int, phases: Any, width: int) -> Any:
    """Frequencies by coordinate, then shifts: ``(4, width)``, phases padded with zeros or, if of one scale, with it."""
    table = np.zeros((4, width))
    for p in range(len(phases)):
        length, frequency, lane = phases[p, 0], phases[p, 1], phases[p, 2]
        for k in range(LANES if length == 1 else length):
            row = frequency if length == 1 else frequency + k
            for axis in range(dimensions):
                table[axis, lane + k] = frequencies[row, axis]
            if frequencies.shape[1] > dimensions:
                table[3, lane + k] = frequencies[row, dimensions]
    return table


@register_jitable
def _waves(width: int, amplitude: float, dtype: Any) -> Any:
    """Memory for sines, cosines, a vector of ones and one of the amplitude."""
    waves = np.ones(2 * width + 2 * LANES, dtype)
    waves[2 * width + LANES :] = amplitude
    return waves


@register_jitable
def _evaluate(table: Any, width: int, phases: Any, space: Any, i: int, waves: Any) -> None:
    """Sines and cosines of all phases of one point."""
    for p in range(len(phases)):
        lane, axis = phases[p, 2], phases[p, 3]
        end = lane + phases[p, 0]
        if axis >= 0:
            x = splat(space[POINT + axis, i])
            while lane < end:
                u = load(table, axis * width + lane)
                rounded = fma(u, x, splat(ROUNDING))
                rest = fma(u, x, -(rounded - splat(ROUNDING)))
                sine, cosine = sincos(rest, rounded, waves)
                store(waves, lane, sine)
                store(waves, width + lane, cosine)
                lane += LANES
        else:
            x, y, z = splat(space[POINT, i]), splat(space[POINT + 1, i]), splat(space[POINT + 2, i])
            while lane < end:
                turns = fma(load(table, lane), x, load(table, 3 * width + lane))
                turns = fma(load(table, width + lane), y, turns)
                turns = fma(load(table, 2 * width + lane), z, turns)
                rounded, half_turns = nearest(turns)
                sine, cosine = sincos(turns - half_turns, rounded, waves)
                store(waves, lane, sine)
                store(waves, width + lane, cosine)
                lane += LANES


@register_jitable
def _write(waves: Any, width: int, blocks: Any, out: Any, start: int) -> None:
    """All columns of one point, from an index of ``out`` on; up to 15 numbers behind them are overwritten."""
    amplitude = load(waves, 2 * width + LANES)
    for k in range(len(blocks)):
        column = start + blocks[k, 0]
        end, outer = column + blocks[k, 1], blocks[k, 2]
        a, step_a, b, step_b = blocks[k, 3], blocks[k, 4], blocks[k, 5], blocks[k, 6]
        if outer == 0:
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
def _forward(
    lonlat: Any,
    frequencies: Any,
    kind: int,
    width: int,
    phases: Any,
    blocks: Any,
    columns: int,
    amplitude: float,
    out: Any,
) -> None:
    points = len(lonlat)
    table = _table(frequencies, 3 if kind == layout.XYZ else 2, phases, width)
    waves = _waves(width, amplitude, out.dtype)
    space = numba_coordinates.workspace()
    spare = np.empty(columns + LANES, out.dtype)
    for start in range(0, points, BLOCK):
        count = min(BLOCK, points - start)
        numba_coordinates.fill(kind, lonlat, start, count, space)
        for i in range(count):
            _evaluate(table, width, phases, space, i, waves)
            row = start + i
            if (points - 1 - row) * columns >= LANES - 1:
                _write(waves, width, blocks, out, row * columns)
            else:
                _write(waves, width, blocks, spare, 0)
                for column in range(columns):
                    out[row * columns + column] = spare[column]


@register_jitable
def _collect(waves: Any, slopes: Any, width: int, blocks: Any, gradient: Any, start: int) -> None:
    """Add to the gradients by sines and cosines what the columns of one point, from an index on, give."""
    amplitude = load(waves, 2 * width + LANES)
    for k in range(len(blocks)):
        column = start + blocks[k, 0]
        end, outer = column + blocks[k, 1], blocks[k, 2]
        a, step_a, b, step_b = blocks[k, 3], blocks[k, 4], blocks[k, 5], blocks[k, 6]
        if outer == 0:
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
                along = load(waves, b) - load(waves, b)
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


@register_jitable
def _contract(waves: Any, slopes: Any, table: Any, width: int, phases: Any, point: Any) -> None:
    """Gradient by the coordinates of one point: sum over scales, in float64."""
    point[:] = 0.0
    for p in range(len(phases)):
        lane, axis = phases[p, 2], phases[p, 3]
        end = lane + phases[p, 0]
        x = y = z = splat(0.0)
        while lane < end:
            by_phase = load(slopes, lane) * load(waves, width + lane) - load(slopes, width + lane) * load(waves, lane)
            slope = widen(by_phase)
            if axis >= 0:
                x = fma(load(table, axis * width + lane), slope, x)
            else:
                x = fma(load(table, lane), slope, x)
                y = fma(load(table, width + lane), slope, y)
                z = fma(load(table, 2 * width + lane), slope, z)
            lane += LANES
        if axis >= 0:
            point[axis] += np.pi * total(x)
        else:
            point[0] += np.pi * total(x)
            point[1] += np.pi * total(y)
            point[2] += np.pi * total(z)


@kernel
def _backward(
    gradient: Any,
    lonlat: Any,
    frequencies: Any,
    kind: int,
    width: int,
    phases: Any,
    blocks: Any,
    columns: int,
    amplitude: float,
    out: Any,
) -> None:
    points = len(lonlat)
    table = _table(frequencies, 3 if kind == layout.XYZ else 2, phases, width)
    waves = _waves(width, amplitude, gradient.dtype)
    slopes = np.empty(2 * width + LANES, gradient.dtype)
    space = numba_coordinates.workspace()
    spare = np.empty(columns + LANES, gradient.dtype)
    point = np.empty(3)
    for start in range(0, points, BLOCK):
        count = min(BLOCK, points - start)
        numba_coordinates.fill(kind, lonlat, start, count, space)
        for i in range(count):
            _evaluate(table, width, phases, space, i, waves)
            row = start + i
            slopes[:] = 0
            if (points - 1 - row) * columns >= LANES - 1:
                _collect(waves, slopes, width, blocks, gradient, row * columns)
            else:
                for column in range(columns):
                    spare[column] = gradient[row * columns + column]
                _collect(waves, slopes, width, blocks, spare, 0)
            _contract(waves, slopes, table, width, phases, point)
            numba_coordinates.pull_back(kind, space, i, point, out, row)


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
    points, table = lonlat.detach().numpy(), contiguous(frequencies.detach().numpy())
    features = memory.empty((len(points), spec.columns), dtype) if out is None else out
    working = dtype if dtype == torch.float64 else torch.float32

    def work(part: slice) -> None:
        own = features[part]
        if dtype != working:
            own = torch.empty(own.shape, dtype=working)
        _forward(contiguous(points[part]), table, *spec, amplitude, own.numpy().reshape(-1))
        if dtype != working:
            features[part] = own

    chunks.run(work, len(points), spec.columns)
    return features


def backward(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, dtype: torch.dtype
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    spec = plan(tuple(fields))
    points, table = lonlat.detach().numpy(), contiguous(frequencies.detach().numpy())
    working = torch.float64 if dtype == torch.float64 else torch.float32
    result = torch.empty(lonlat.shape, dtype=torch.float64)
    slopes = result.numpy()

    def work(part: slice) -> None:
        own = gradient[part].detach().to(working).contiguous().numpy().reshape(-1)
        _backward(own, contiguous(points[part]), table, *spec, amplitude, slopes[part])

    chunks.run(work, len(points), spec.columns)
    return result.to(lonlat.dtype)


def contiguous(array: Any) -> Any:
    """The array, or a copy, as the kernels take it."""
    return np.ascontiguousarray(array, np.float64)
