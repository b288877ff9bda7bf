"""Gradients of sinusoids by their frequencies and shifts, on CUDA, for encoders that learn them.

By a frequency u[k, d] it is the sum over points of the gradient by phase k times coordinate d, by a shift that of the
gradient by the phase alone. Features are made again, a tile at a time. Each split of the points writes sums of its own,
which are then added in their order: the same bytes every time.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.triton_launch import blocks, launch
from locenc.kernels.triton_plan import Plan
from locenc.kernels.triton_waves import evaluate_all, load_gradients, load_points, slope

#: Points are split between so many programs at most.
SPLITS = 64


@triton.jit
def frequencies_kernel(
    gradient,
    planes,
    table,
    out,
    n,
    width,
    along,
    across,
    tiles,
    PHASES: tl.constexpr,
    P: tl.constexpr,
    BLOCKS: tl.constexpr,
    LANE_TILES: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    POINTS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Sums of one split of the points, for a tile of scales of phase P; if it has one scale, for all columns."""
    first = tl.program_id(0) * SCALES
    split = tl.program_id(1)
    x = tl.zeros((SCALES,), tl.float32)
    y = tl.zeros((SCALES,), tl.float32)
    z = tl.zeros((SCALES,), tl.float32)
    shift = tl.zeros((SCALES,), tl.float32)
    for tile in range(tiles):
        rows = (split.to(tl.int64) * tiles + tile) * POINTS + tl.arange(0, POINTS)
        points = load_points(planes, n, rows, DIMENSIONS, WIDE)
        here = (rows < n)[:, None]
        for part in range(LANE_TILES):
            lanes = first + part * SCALES + tl.arange(0, SCALES)
            waves = evaluate_all(PHASES, SHIFTED, WIDE, table, width, points, lanes)
            gradients = load_gradients(
                BLOCKS, gradient + rows[:, None] * along + lanes[None, :] * across, across, here, lanes
            )
            by_phase = slope(PHASES, P, BLOCKS, gradients, waves)
            x += tl.sum(by_phase * coordinate(points, 0, DIMENSIONS, WIDE), 0)
            y += tl.sum(by_phase * coordinate(points, 1, DIMENSIONS, WIDE), 0)
            z += tl.sum(by_phase * coordinate(points, 2, DIMENSIONS, WIDE), 0)
            shift += tl.sum(by_phase, 0)
    lanes = first + tl.arange(0, SCALES)
    start = out + split.to(tl.int64) * (DIMENSIONS + SHIFTED) * width + PHASES[P][0] + lanes
    own = lanes < PHASES[P][1]
    tl.store(start, x, mask=own)
    tl.store(start + width, y, mask=own)
    if DIMENSIONS == 3:
        tl.store(start + 2 * width, z, mask=own)
    if SHIFTED:
        tl.store(start + DIMENSIONS * width, shift, mask=own)


@triton.jit
def coordinate(points, AXIS: tl.constexpr, DIMENSIONS: tl.constexpr, WIDE: tl.constexpr):
    """One coordinate of a column of points, to float32's digits; 0 where there is none."""
    if AXIS < DIMENSIONS:
        return points[AXIS if WIDE else 2 * AXIS].to(tl.float32)
    else:
        return 0.0


def by_frequencies(
    gradient: Tensor, planes: Tensor, table: Tensor, frequencies: Tensor, spec: Plan, amplitude: float
) -> Tensor:
    """Gradient of the frequencies ``(K, D)`` float64 (or one column more) of a plan without outer blocks."""
    count, n = len(frequencies), len(gradient)
    tile = triton_shapes.pull_back(gradient.device, spec.scales)
    splits = max(1, min(SPLITS, blocks(n, tile.points)))
    sums = torch.zeros((splits, frequencies.shape[1], count), device=gradient.device)
    for p, (_, length, _) in enumerate(spec.phases):
        lane_tiles = blocks(spec.scales, tile.scales) if length == 1 else 1
        launch(
            frequencies_kernel,
            (blocks(length, tile.scales), splits),
            *(gradient, planes, table, sums, n, count, *gradient.stride(), blocks(n, tile.points * splits)),
            PHASES=spec.phases,
            P=p,
            BLOCKS=spec.blocks,
            LANE_TILES=lane_tiles,
            **spec.constants(frequencies),
            POINTS=tile.points,
            SCALES=tile.scales,
            warps=tile.warps,
            registers=triton_shapes.registers(gradient.device),
        )
    return amplitude * sums.sum(0, dtype=torch.float64).T.contiguous()
