"""Sinusoidal features on CUDA: written at the memory's rate.

A program makes a tile of points and scales: the sine and cosine of each phase once, then all blocks of columns from
them. Blocks of every scale with every other (dfs) have a kernel of their own: `locenc.kernels.triton_outer`.
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import reference, triton_outer, triton_shapes
from locenc.kernels.triton_coordinates import coordinates, split, to_degrees
from locenc.kernels.triton_frequencies import by_frequencies
from locenc.kernels.triton_launch import blocks, empty, launch
from locenc.kernels.triton_plan import plan
from locenc.kernels.triton_waves import (
    along_coordinate,
    evaluate_all,
    load_gradients,
    load_points,
    product,
    slope,
    store_slopes,
)


@triton.jit
def encode_kernel(
    planes,
    table,
    out,
    n,
    width,
    stride,
    amplitude,
    PHASES: tl.constexpr,
    BLOCKS: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    SCALED: tl.constexpr,
    POINTS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Columns of a tile of points and scales."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    lanes = tl.program_id(1) * SCALES + tl.arange(0, SCALES)
    points = load_points(planes, n, rows, DIMENSIONS, WIDE)
    waves = evaluate_all(PHASES, SHIFTED, WIDE, table, width, points, lanes)
    start = out + rows[:, None] * stride + lanes[None, :]
    here = (rows < n)[:, None]
    for b in tl.static_range(len(BLOCKS)):
        value = product(BLOCKS, b, waves)
        if SCALED:
            value *= amplitude
        if BLOCKS[b][1] == 1:
            value = tl.broadcast_to(value, (POINTS, SCALES))
        tl.store(start + BLOCKS[b][0], value.to(out.dtype.element_ty), mask=here & (lanes < BLOCKS[b][1])[None, :])


@triton.jit
def pull_back_kernel(
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
    BLOCKS: tl.constexpr,
    LARGEST: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    POINTS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Gradients by the coordinates of a tile of points."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    points = load_points(planes, n, rows, DIMENSIONS, WIDE)
    here = (rows < n)[:, None]
    x = tl.zeros((POINTS,), tl.float32)
    y = tl.zeros((POINTS,), tl.float32)
    z = tl.zeros((POINTS,), tl.float32)
    for start in range(0, LARGEST, SCALES):
        lanes = start + tl.arange(0, SCALES)
        waves = evaluate_all(PHASES, SHIFTED, WIDE, table, width, points, lanes)
        given = gradient + rows[:, None] * along + lanes[None, :] * across
        gradients = load_gradients(BLOCKS, given, across, here, lanes)
        for p in tl.static_range(len(PHASES)):
            by_phase = slope(PHASES, p, BLOCKS, gradients, waves)
            x += along_coordinate(by_phase, 0, PHASES, p, DIMENSIONS, WIDE, table, width, lanes)
            y += along_coordinate(by_phase, 1, PHASES, p, DIMENSIONS, WIDE, table, width, lanes)
            z += along_coordinate(by_phase, 2, PHASES, p, DIMENSIONS, WIDE, table, width, lanes)
    store_slopes(out, rows, n, DIMENSIONS, x * amplitude, y * amplitude, z * amplitude)


def forward(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    dtype: torch.dtype,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """As `locenc.kernels.reference.sinusoids`, for float32, bfloat16 and float16 features."""
    spec = plan(tuple(fields))
    out = empty((len(lonlat), spec.columns), lonlat, dtype) if out is None else out
    planes, table = coordinates(lonlat, spec.kind, spec.wide), split(frequencies, spec.wide)
    if spec.blocks:
        tile = triton_shapes.encode(lonlat.device, spec.scales)
        launch(
            encode_kernel,
            (blocks(len(lonlat), tile.points), blocks(spec.scales, tile.scales)),
            *(planes, table, out, len(lonlat), len(frequencies), spec.columns, amplitude),
            PHASES=spec.phases,
            BLOCKS=spec.blocks,
            **spec.constants(frequencies),
            SCALED=amplitude != 1,
            POINTS=tile.points,
            SCALES=tile.scales,
            warps=tile.warps,
        )
    for outer in spec.outers:
        triton_outer.forward(planes, table, frequencies, outer, spec, amplitude, out)
    return out


def backward(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, dtype: torch.dtype
) -> Tensor:
    """Gradient of the coordinates, in their dtype; sums over scales are float32."""
    spec = plan(tuple(fields))
    planes, table = coordinates(lonlat, spec.kind, spec.wide), split(frequencies, spec.wide)
    slopes = torch.zeros((len(lonlat), len(planes) // (1 if spec.wide else 2)), device=lonlat.device)
    if spec.blocks:
        tile = triton_shapes.pull_back(lonlat.device, spec.scales)
        launch(
            pull_back_kernel,
            (blocks(len(lonlat), tile.points),),
            *(gradient, planes, table, slopes, len(lonlat), len(frequencies), *gradient.stride(), amplitude),
            PHASES=spec.phases,
            BLOCKS=spec.blocks,
            LARGEST=spec.scales,
            **spec.constants(frequencies),
            POINTS=tile.points,
            SCALES=tile.scales,
            warps=tile.warps,
        )
    for outer in spec.outers:
        triton_outer.backward(gradient, planes, table, frequencies, outer, spec, amplitude, slopes)
    return to_degrees(lonlat, spec.kind, slopes)


def backward_arguments(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, dtype: torch.dtype
) -> list[Tensor]:
    """Gradient of the frequencies; where every scale meets every other (dfs), by the reference."""
    spec = plan(tuple(fields))
    if spec.outers:
        with torch.enable_grad():
            learned = frequencies.detach().requires_grad_()
            features = reference.sinusoids(lonlat.detach(), learned, fields, amplitude, dtype)
        return list(torch.autograd.grad(features, learned, gradient))
    planes, table = coordinates(lonlat, spec.kind, spec.wide), split(frequencies, spec.wide)
    return [by_frequencies(gradient, planes, table, frequencies, spec, amplitude)]
