"""Parts of a fused layer in registers: features in the weight's dtype, and tiles of the weight.

A weight is (HIDDEN, FEATURES), contiguous. Lanes of a tile beyond a block's last column meet zeros of the weight.
"""

import triton
import triton.language as tl

from locenc.kernels.triton_waves import evaluate, product


@triton.jit
def features(BLOCKS: tl.constexpr, B: tl.constexpr, waves, amplitude, SCALED: tl.constexpr, dtype: tl.constexpr):
    """Columns of block B: [points, scales]."""
    value = product(BLOCKS, B, waves)
    if SCALED:
        value *= amplitude
    return value.to(dtype)


@triton.jit
def packed_features(BLOCKS: tl.constexpr, waves, lanes, amplitude, SCALED: tl.constexpr, dtype: tl.constexpr):
    """Blocks of one column side by side: [points, lanes]."""
    value = tl.zeros((1, 1), tl.float32)
    for b in tl.static_range(len(BLOCKS)):
        value = tl.where((lanes == b)[None, :], product(BLOCKS, b, waves), value)
    if SCALED:
        value *= amplitude
    return value.to(dtype)


@triton.jit
def packed_columns(BLOCKS: tl.constexpr, lanes):
    """Where these are."""
    column = tl.zeros_like(lanes)
    for b in tl.static_range(len(BLOCKS)):
        column = tl.where(lanes == b, BLOCKS[b][0], column)
    return column


@triton.jit
def evaluate_group(
    PHASES: tl.constexpr,
    COUNT: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    table,
    i,
    width,
    points,
    lanes,
):
    """(sine, cosine) of each phase of a group; the first is the i-th scale of COUNT ones, if these are several."""
    first = table
    if COUNT > 1:
        first = table + i
    found = (evaluate(PHASES, 0, SHIFTED, WIDE, first, width, points, lanes),)
    for p in tl.static_range(1, len(PHASES)):
        found = found + (evaluate(PHASES, p, SHIFTED, WIDE, table, width, points, lanes),)
    return found


@triton.jit
def load_weight(
    weight,
    rows,
    columns,
    lanes,
    LIMIT: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    ROWS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """The weight at columns and rows, [columns, rows]: 0 beyond the last row, and where lanes are LIMIT or more."""
    start = weight + rows[None, :] * FEATURES + columns[:, None]
    if LIMIT % SCALES == 0 and HIDDEN % ROWS == 0:
        return tl.load(start)
    else:
        return tl.load(start, mask=(lanes < LIMIT)[:, None] & (rows < HIDDEN)[None, :], other=0.0)


@triton.jit
def add_product(
    total,
    value,
    weight,
    rows,
    columns,
    lanes,
    LIMIT: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    ROWS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """Sums [points, rows] with those of features [points, columns] times their part of the weight, as `load_weight`."""
    own = load_weight(weight, rows, columns, lanes, LIMIT, HIDDEN, FEATURES, ROWS, SCALES)
    return tl.dot(value, own, total, input_precision=PRECISION)
