"""Blocks of every scale of one phase with every scale of another, on CUDA.

    f[i, j] = a_i b_j,    by a_i: Σ_j g[i, j] b_j,    by b_j: Σ_i g[i, j] a_i,

a and b each a sine or a cosine. A tile is points by scales of the second phase; its sines and cosines stay in registers
while the first phase's scales go by, one at a time: PHASES are one scale of the first, and the second.
"""

import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.triton_launch import blocks, launch
from locenc.kernels.triton_plan import Outer, Plan
from locenc.kernels.triton_waves import PI, SIN, along_coordinate, evaluate, load_points, store_slopes


@triton.jit
def outer_kernel(
    planes,
    table,
    out,
    n,
    width,
    stride,
    amplitude,
    PHASES: tl.constexpr,
    COUNT: tl.constexpr,
    BLOCKS: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    SCALED: tl.constexpr,
    POINTS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Columns of a tile of points and scales of the second phase, for all scales of the first."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    lanes = tl.program_id(1) * SCALES + tl.arange(0, SCALES)
    points = load_points(planes, n, rows, DIMENSIONS, WIDE)
    second = evaluate(PHASES, 1, SHIFTED, WIDE, table, width, points, lanes)
    here = (rows < n)[:, None] & (lanes < PHASES[1][1])[None, :]
    start = out + rows[:, None] * stride + lanes[None, :]
    for i in range(COUNT):
        first = evaluate(PHASES, 0, SHIFTED, WIDE, table + i, width, points, lanes)
        for b in tl.static_range(len(BLOCKS)):
            factor = first[BLOCKS[b][1]]
            if SCALED:
                factor *= amplitude
            value = factor * second[BLOCKS[b][2]]
            tl.store(start + (BLOCKS[b][0] + i * PHASES[1][1]), value.to(out.dtype.element_ty), mask=here)


@triton.jit
def outer_pull_back_kernel(
    gradient,
    planes,
    table,
    out,
    n,
    width,
    along,
    across,
    amplitude,
    PHASES: tl.constexpr,
    COUNT: tl.constexpr,
    BLOCKS: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    POINTS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Gradients by the coordinates of a tile of points."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    points = load_points(planes, n, rows, DIMENSIONS, WIDE)
    x = tl.zeros((POINTS,), tl.float32)
    y = tl.zeros((POINTS,), tl.float32)
    z = tl.zeros((POINTS,), tl.float32)
    for begin in range(0, PHASES[1][1], SCALES):
        lanes = begin + tl.arange(0, SCALES)
        here = (rows < n)[:, None] & (lanes < PHASES[1][1])[None, :]
        second = evaluate(PHASES, 1, SHIFTED, WIDE, table, width, points, lanes)
        start = gradient + rows[:, None] * along + lanes[None, :] * across
        by_sine = tl.zeros((POINTS, SCALES), tl.float32)
        by_cosine = tl.zeros((POINTS, SCALES), tl.float32)
        for i in range(COUNT):
            first = evaluate(PHASES, 0, SHIFTED, WIDE, table + i, width, points, lanes)
            of_first = tl.zeros((POINTS, SCALES), tl.float32)
            for b in tl.static_range(len(BLOCKS)):
                g = tl.load(start + (BLOCKS[b][0] + i * PHASES[1][1]) * across, mask=here, other=0.0).to(tl.float32)
                if BLOCKS[b][1] == SIN:
                    of_first += g * second[BLOCKS[b][2]] * first[1]
                else:
                    of_first -= g * second[BLOCKS[b][2]] * first[0]
                if BLOCKS[b][2] == SIN:
                    by_sine += g * first[BLOCKS[b][1]]
                else:
                    by_cosine += g * first[BLOCKS[b][1]]
            by_first = PI * tl.sum(of_first, 1)[:, None]
            x += along_coordinate(by_first, 0, PHASES, 0, DIMENSIONS, WIDE, table + i, width, lanes)
            y += along_coordinate(by_first, 1, PHASES, 0, DIMENSIONS, WIDE, table + i, width, lanes)
            z += along_coordinate(by_first, 2, PHASES, 0, DIMENSIONS, WIDE, table + i, width, lanes)
        by_second = PI * (by_sine * second[1] - by_cosine * second[0])
        x += along_coordinate(by_second, 0, PHASES, 1, DIMENSIONS, WIDE, table, width, lanes)
        y += along_coordinate(by_second, 1, PHASES, 1, DIMENSIONS, WIDE, table, width, lanes)
        z += along_coordinate(by_second, 2, PHASES, 1, DIMENSIONS, WIDE, table, width, lanes)
    store_slopes(out, rows, n, DIMENSIONS, x * amplitude, y * amplitude, z * amplitude)


def forward(
    planes: Tensor, table: Tensor, frequencies: Tensor, outer: Outer, spec: Plan, amplitude: float, out: Tensor
) -> None:
    """Write the columns of a group of blocks to ``out``, all features ``(N, F)``."""
    tile = triton_shapes.encode(out.device, outer.second[1])
    launch(
        outer_kernel,
        (blocks(len(out), tile.points), blocks(outer.second[1], tile.scales)),
        *(planes, table, out, len(out), len(frequencies), spec.columns, amplitude),
        **outer.constants(),
        **spec.constants(frequencies),
        SCALED=amplitude != 1,
        POINTS=tile.points,
        SCALES=tile.scales,
        warps=tile.warps,
    )


def backward(
    gradient: Tensor,
    planes: Tensor,
    table: Tensor,
    frequencies: Tensor,
    outer: Outer,
    spec: Plan,
    amplitude: float,
    slopes: Tensor,
) -> None:
    """Add the gradients by coordinates to ``slopes`` (N, D)."""
    tile = triton_shapes.pull_back(slopes.device, outer.second[1])
    launch(
        outer_pull_back_kernel,
        (blocks(len(slopes), tile.points),),
        *(gradient, planes, table, slopes, len(slopes), len(frequencies), *gradient.stride(), amplitude),
        **outer.constants(),
        **spec.constants(frequencies),
        POINTS=tile.points,
        SCALES=tile.scales,
        warps=tile.warps,
    )
