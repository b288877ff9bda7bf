"""Sums of a layer on sinusoidal features, in registers: what blocks of features add to a tile of the layer's columns.

Features are made some scales at a time, in the weight's dtype, and multiplied by their blocks' part of the weight; sums
are float32.
"""

import triton
import triton.language as tl

from locenc.kernels.triton_products import add_product, features, load_weight, packed_columns, packed_features
from locenc.kernels.triton_waves import evaluate, evaluate_all


@triton.jit
def load_all(
    weight,
    rows,
    BLOCKS: tl.constexpr,
    LARGEST: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """The weight's parts by chunks of scales and blocks, as `add_scales` takes them."""
    found = ()
    for start in tl.static_range(0, LARGEST, SCALES):
        lanes = start + tl.arange(0, SCALES)
        for b in tl.static_range(len(BLOCKS)):
            own = load_weight(
                *(weight, rows, BLOCKS[b][0] + lanes, lanes),
                *(BLOCKS[b][1], HIDDEN, FEATURES, COLUMNS, SCALES),
            )
            found = found + (own,)
    return found


@triton.jit
def add_scales(
    total,
    weight,
    loaded,
    begin,
    CHUNK: tl.constexpr,
    rows,
    points,
    table,
    width,
    amplitude,
    PHASES: tl.constexpr,
    BLOCKS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    SCALED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """What a chunk of scales of all blocks adds; its weight is in ``loaded``, or, if CHUNK is negative, loaded here.

    A block follows the last of its phases at once: few sines and cosines are kept, and products overlap with others.
    """
    lanes = begin + tl.arange(0, SCALES)
    waves = ()
    for p in tl.static_range(len(PHASES)):
        waves = waves + (evaluate(PHASES, p, SHIFTED, WIDE, table, width, points, lanes),)
        for b in tl.static_range(len(BLOCKS)):
            if BLOCKS[b][6] == p:
                value = features(BLOCKS, b, waves, amplitude, SCALED, weight.dtype.element_ty)
                if CHUNK >= 0:
                    total = tl.dot(value, loaded[CHUNK * len(BLOCKS) + b], total, input_precision=PRECISION)
                else:
                    total = add_product(
                        *(total, value, weight, rows, BLOCKS[b][0] + lanes, lanes),
                        *(BLOCKS[b][1], HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                    )
    return total


@triton.jit
def add_packed(
    total,
    weight,
    rows,
    points,
    table,
    width,
    amplitude,
    PHASES: tl.constexpr,
    SINGLES: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    SCALED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    COLUMNS: tl.constexpr,
    LANES: tl.constexpr,
):
    """What blocks of one column add."""
    lanes = tl.arange(0, LANES)
    waves = evaluate_all(PHASES, SHIFTED, WIDE, table, width, points, lanes)
    value = packed_features(SINGLES, waves, lanes, amplitude, SCALED, weight.dtype.element_ty)
    return add_product(
        *(total, value, weight, rows, packed_columns(SINGLES, lanes), lanes),
        *(len(SINGLES), HIDDEN, FEATURES, PRECISION, COLUMNS, LANES),
    )


@triton.jit
def add_outer(
    total,
    weight,
    rows,
    points,
    table,
    width,
    amplitude,
    G: tl.constexpr,
    PHASES: tl.constexpr,
    COUNTS: tl.constexpr,
    BLOCKS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    SCALED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    PRECISION: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCALES: tl.constexpr,
):
    """What the blocks of pair G of phases add, of which every scale meets every other."""
    for begin in range(0, PHASES[2 * G + 1][1], SCALES):
        lanes = begin + tl.arange(0, SCALES)
        second = evaluate(PHASES, 2 * G + 1, SHIFTED, WIDE, table, width, points, lanes)
        for i in range(COUNTS[G][0]):
            first = evaluate(PHASES, 2 * G, SHIFTED, WIDE, table + i, width, points, lanes)
            waves = (first, second)
            here = weight + i * PHASES[2 * G + 1][1]
            for b in tl.static_range(len(BLOCKS)):
                if BLOCKS[b][6] == G:
                    value = features(BLOCKS, b, waves, amplitude, SCALED, weight.dtype.element_ty)
                    total = add_product(
                        *(total, value, here, rows, BLOCKS[b][0] + lanes, lanes),
                        *(BLOCKS[b][1], HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                    )
    return total
