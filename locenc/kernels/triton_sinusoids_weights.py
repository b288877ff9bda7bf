"""Gradient of a layer's weight by sinusoidal features that are made again, on CUDA.

    dW[h, f] = Σ_n g[n, h] φ[n, f].

A program has a tile of the layer's columns, some scales of a group of blocks (`locenc.kernels.triton_groups`), and one
part of the points: see `locenc.kernels.triton_weights`.
"""

import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.triton_groups import groups
from locenc.kernels.triton_launch import blocks, input_precision, launch
from locenc.kernels.triton_operands import Operands
from locenc.kernels.triton_products import evaluate_group, features, packed_columns, packed_features
from locenc.kernels.triton_waves import load_points
from locenc.kernels.triton_weights import partial, reduce, split


@triton.jit
def once(value):
    """A tile as it is, that the compiler does not make anew in each of the warps that multiply it: a sum of one."""
    return tl.sum(value[:, :, None], 2).to(value.dtype)


@triton.jit
def add_block(
    total,
    given,
    B: tl.constexpr,
    waves,
    amplitude,
    BLOCKS: tl.constexpr,
    PACKED: tl.constexpr,
    SCALED: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """What a tile of points adds to the gradient by the weight of block B, if there is one: [rows, scales]."""
    if len(BLOCKS) > B and not PACKED:
        value = once(features(BLOCKS, B, waves, amplitude, SCALED, given.dtype))
        return tl.dot(given, value, total, input_precision=PRECISION)
    else:
        return total


@triton.jit
def store_block(
    start,
    B: tl.constexpr,
    total,
    rows,
    lanes,
    BLOCKS: tl.constexpr,
    PACKED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
):
    """Write the gradient by the weight of block B."""
    if len(BLOCKS) > B and not PACKED:
        mask = (rows < HIDDEN)[:, None] & (lanes < BLOCKS[B][1])[None, :]
        tl.store(start + rows[:, None] * FEATURES + (BLOCKS[B][0] + lanes)[None, :], total, mask=mask)


@triton.jit
def weights_kernel(
    gradient,
    planes,
    table,
    out,
    n,
    width,
    along,
    across,
    part,
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
    SCALED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """One partial sum of a tile of the weight's gradient."""
    tile = tl.program_id(0)
    rows = (tile // COUNT) * COLUMNS + tl.arange(0, COLUMNS)
    i = tile % COUNT
    lanes = tl.program_id(1) * SCALES + tl.arange(0, SCALES)
    which = tl.program_id(2).to(tl.int64)
    a = tl.zeros((COLUMNS, SCALES), tl.float32)
    b = tl.zeros((COLUMNS, SCALES), tl.float32)
    c = tl.zeros((COLUMNS, SCALES), tl.float32)
    d = tl.zeros((COLUMNS, SCALES), tl.float32)
    for begin in range(0, part, POINTS):
        own = which * part + begin + tl.arange(0, POINTS)
        points = load_points(planes, n, own, DIMENSIONS, WIDE)
        waves = evaluate_group(PHASES, COUNT, SHIFTED, WIDE, table, i, width, points, lanes)
        mask = (own < n)[None, :]
        if HIDDEN % COLUMNS != 0:
            mask = mask & (rows < HIDDEN)[:, None]
        given = tl.load(gradient + own[None, :] * along + rows[:, None] * across, mask=mask, other=0.0)
        if PACKED:
            value = once(packed_features(BLOCKS, waves, lanes, amplitude, SCALED, given.dtype))
            a = tl.dot(given, value, a, input_precision=PRECISION)
        a = add_block(a, given, 0, waves, amplitude, BLOCKS, PACKED, SCALED, PRECISION)
        b = add_block(b, given, 1, waves, amplitude, BLOCKS, PACKED, SCALED, PRECISION)
        c = add_block(c, given, 2, waves, amplitude, BLOCKS, PACKED, SCALED, PRECISION)
        d = add_block(d, given, 3, waves, amplitude, BLOCKS, PACKED, SCALED, PRECISION)
    start = out + which * (HIDDEN * FEATURES) + i * STEP
    if PACKED:
        mask = (rows < HIDDEN)[:, None] & (lanes < LANES)[None, :]
        tl.store(start + rows[:, None] * FEATURES + packed_columns(BLOCKS, lanes)[None, :], a, mask=mask)
    store_block(start, 0, a, rows, lanes, BLOCKS, PACKED, HIDDEN, FEATURES)
    store_block(start, 1, b, rows, lanes, BLOCKS, PACKED, HIDDEN, FEATURES)
    store_block(start, 2, c, rows, lanes, BLOCKS, PACKED, HIDDEN, FEATURES)
    store_block(start, 3, d, rows, lanes, BLOCKS, PACKED, HIDDEN, FEATURES)


def gradient(behind: Tensor, given: Operands, weight: Tensor) -> Tensor:
    """Gradient by the weight, in its dtype, from that ``behind``, ``(N, H)``, of what features are multiplied to."""
    precision = input_precision(weight.dtype)
    count, part = split(len(behind), triton_shapes.PART, weight.numel())
    sums = partial(count, weight)
    for group in groups(given.spec):
        tile = triton_shapes.linear_weights(
            behind.device, weight.dtype, precision, len(weight), group.lanes, group.products
        )
        launch(
            weights_kernel,
            (blocks(len(weight), tile.columns) * group.firsts, blocks(group.lanes, tile.scales), count),
            *(behind, given.planes, given.table, sums),
            *(len(behind), len(given.frequencies), *behind.stride(), part, given.amplitude),
            **group.constants(),
            **given.constants(),
            SCALED=given.amplitude != 1,
            HIDDEN=len(weight),
            FEATURES=given.spec.columns,
            PRECISION=precision,
            **tile.constants(),
        )
    return reduce(sums, weight.dtype)
