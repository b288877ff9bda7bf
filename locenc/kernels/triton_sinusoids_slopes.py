"""Gradient of coordinates through a layer on sinusoidal features that are made again, on CUDA.

    dφ[n, f] = Σ_h g[n, h] W[h, f],

a tile of points and scales at a time, one product for each block of a group (`locenc.kernels.triton_groups`); then, in
registers, the gradients by phases and coordinates of `locenc.kernels.triton_waves`.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.triton_groups import groups
from locenc.kernels.triton_launch import blocks, input_precision, launch
from locenc.kernels.triton_operands import Operands
from locenc.kernels.triton_products import evaluate_group, load_weight, packed_columns
from locenc.kernels.triton_waves import along_coordinate, load_points, slope, store_slopes


@triton.jit
def add_block(
    total,
    given,
    weight,
    rows,
    lanes,
    B: tl.constexpr,
    BLOCKS: tl.constexpr,
    PACKED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """What some of the layer's columns add to the gradient by block B, if there is one: [points, scales]."""
    if len(BLOCKS) > B and not PACKED:
        own = load_weight(weight, rows, BLOCKS[B][0] + lanes, lanes, BLOCKS[B][1], HIDDEN, FEATURES, ROWS, SCALES)
        return tl.dot(given, tl.trans(own), total, input_precision=PRECISION)
    else:
        return total


@triton.jit
def gradients_of(a, b, c, d, lanes, BLOCKS: tl.constexpr, PACKED: tl.constexpr):
    """Gradients by each block."""
    if PACKED:
        found = ()
        for block in tl.static_range(len(BLOCKS)):
            found = found + (tl.where((lanes == block)[None, :], a, 0.0),)
        return found
    else:
        return (a, b, c, d)


@triton.jit
def slopes_kernel(
    gradient,
    weight,
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
    LANES: tl.constexpr,
    PACKED: tl.constexpr,
    COUNT: tl.constexpr,
    STEP: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Gradients by the coordinates of a tile of points."""
    own = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    points = load_points(planes, n, own, DIMENSIONS, WIDE)
    x = tl.zeros((POINTS,), tl.float32)
    y = tl.zeros((POINTS,), tl.float32)
    z = tl.zeros((POINTS,), tl.float32)
    for start in range(0, LANES, SCALES):
        lanes = start + tl.arange(0, SCALES)
        for i in range(COUNT):
            here = weight + i * STEP
            a = tl.zeros((POINTS, SCALES), tl.float32)
            b = tl.zeros((POINTS, SCALES), tl.float32)
            c = tl.zeros((POINTS, SCALES), tl.float32)
            d = tl.zeros((POINTS, SCALES), tl.float32)
            for begin in range(0, HIDDEN, COLUMNS):
                rows = begin + tl.arange(0, COLUMNS)
                mask = (own < n)[:, None]
                if HIDDEN % COLUMNS != 0:
                    mask = mask & (rows < HIDDEN)[None, :]
                given = tl.load(gradient + own[:, None] * along + rows[None, :] * across, mask=mask, other=0.0)
                if PACKED:
                    found = load_weight(
                        *(here, rows, packed_columns(BLOCKS, lanes), lanes),
                        *(LANES, HIDDEN, FEATURES, COLUMNS, SCALES),
                    )
                    a = tl.dot(given, tl.trans(found), a, input_precision=PRECISION)
                a = add_block(
                    *(a, given, here, rows, lanes),
                    *(0, BLOCKS, PACKED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                )
                b = add_block(
                    *(b, given, here, rows, lanes),
                    *(1, BLOCKS, PACKED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                )
                c = add_block(
                    *(c, given, here, rows, lanes),
                    *(2, BLOCKS, PACKED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                )
                d = add_block(
                    *(d, given, here, rows, lanes),
                    *(3, BLOCKS, PACKED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                )
            gradients = gradients_of(a, b, c, d, lanes, BLOCKS, PACKED)
            waves = evaluate_group(PHASES, COUNT, SHIFTED, WIDE, table, i, width, points, lanes)
            for p in tl.static_range(len(PHASES)):
                frequencies = table
                if COUNT > 1 and p == 0:
                    frequencies = table + i
                by_phase = slope(PHASES, p, BLOCKS, gradients, waves)
                x += along_coordinate(by_phase, 0, PHASES, p, DIMENSIONS, WIDE, frequencies, width, lanes)
                y += along_coordinate(by_phase, 1, PHASES, p, DIMENSIONS, WIDE, frequencies, width, lanes)
                z += along_coordinate(by_phase, 2, PHASES, p, DIMENSIONS, WIDE, frequencies, width, lanes)
    store_slopes(out, own, n, DIMENSIONS, x * amplitude, y * amplitude, z * amplitude)


def slopes(gradient: Tensor, given: Operands, weight: Tensor) -> Tensor:
    """Gradients ``(N, D)`` float32 by the coordinates of phases, from that of what features are multiplied to."""
    weight, precision = weight.contiguous(), input_precision(weight.dtype)
    n, device, constants = len(gradient), gradient.device, given.constants()
    found = torch.zeros((n, constants["DIMENSIONS"]), device=device)
    for group in groups(given.spec):
        tile = triton_shapes.linear_slopes(device, weight.dtype, precision, len(weight), group.lanes, group.products)
        launch(
            slopes_kernel,
            (blocks(n, tile.points),),
            *(gradient, weight, given.planes, given.table, found),
            *(n, len(given.frequencies), *gradient.stride(), given.amplitude),
            **group.constants(),
            **constants,
            HIDDEN=len(weight),
            FEATURES=given.spec.columns,
            PRECISION=precision,
            **tile.constants(),
            registers=triton_shapes.registers(device, many=precision == "ieee"),
        )
    return found
