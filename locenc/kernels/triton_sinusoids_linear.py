"""Sinusoidal features and the first layer behind them on CUDA: the features never exist in memory.

    out[n, h] = activation(b[h] + Σ_f φ[n, f] W[h, f]).

A program has a tile of points and of the layer's columns. It makes sines and cosines of some scales at a time, and
multiplies each block's features, in registers and in the weight's dtype, by the block's part of the weight; sums are
float32. A weight that is small enough stays in shared memory while a program takes one tile of points after another.

For gradients features are made again: `locenc.kernels.triton_sinusoids_weights`, `triton_sinusoids_slopes`. Before an
activation the gradient is multiplied by its slope, which the same kernel does with sums made again.
"""

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes, triton_sinusoids_slopes, triton_sinusoids_weights
from locenc.kernels.activations import NONE, SINE
from locenc.kernels.triton_activation import activate, slope
from locenc.kernels.triton_coordinates import coordinates, split, to_degrees
from locenc.kernels.triton_groups import by_last_phase, outer_constants, several, single
from locenc.kernels.triton_launch import blocks, empty, input_precision, launch
from locenc.kernels.triton_plan import Plan, plan
from locenc.kernels.triton_products import features, load_weight, packed_columns, packed_features
from locenc.kernels.triton_waves import evaluate, evaluate_all, load_points
from locenc.kernels.triton_weights import bias_gradient


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
                    own = load_weight(
                        *(weight, rows, BLOCKS[b][0] + lanes, lanes),
                        *(BLOCKS[b][1], HIDDEN, FEATURES, COLUMNS, SCALES),
                    )
                    total = tl.dot(value, own, total, input_precision=PRECISION)
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
    own = load_weight(
        *(weight, rows, packed_columns(SINGLES, lanes), lanes),
        *(len(SINGLES), HIDDEN, FEATURES, COLUMNS, LANES),
    )
    return tl.dot(value, own, total, input_precision=PRECISION)


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
                    own = load_weight(
                        *(here, rows, BLOCKS[b][0] + lanes, lanes),
                        *(BLOCKS[b][1], HIDDEN, FEATURES, COLUMNS, SCALES),
                    )
                    total = tl.dot(value, own, total, input_precision=PRECISION)
    return total


@triton.jit
def linear_kernel(
    planes,
    table,
    weight,
    bias,
    gradient,
    out,
    n,
    width,
    steps,
    amplitude,
    parameter,
    PHASES: tl.constexpr,
    BLOCKS: tl.constexpr,
    LARGEST: tl.constexpr,
    SINGLES: tl.constexpr,
    OUTER_PHASES: tl.constexpr,
    OUTER_COUNTS: tl.constexpr,
    OUTER_BLOCKS: tl.constexpr,
    DIMENSIONS: tl.constexpr,
    SHIFTED: tl.constexpr,
    WIDE: tl.constexpr,
    SCALED: tl.constexpr,
    HIDDEN: tl.constexpr,
    FEATURES: tl.constexpr,
    BIASED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    SLOPE: tl.constexpr,
    PRECISION: tl.constexpr,
    RESIDENT: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCALES: tl.constexpr,
    LANES: tl.constexpr,
):
    """The layer's columns at some tiles of points; or, with SLOPE, the gradient times the activation's slope there."""
    rows = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    loaded = ()
    if RESIDENT:
        loaded = load_all(weight, rows, BLOCKS, LARGEST, HIDDEN, FEATURES, COLUMNS, SCALES)
    for step in range(steps):
        own = (tl.program_id(0).to(tl.int64) * steps + step) * POINTS + tl.arange(0, POINTS)
        points = load_points(planes, n, own, DIMENSIONS, WIDE)
        total = tl.zeros((POINTS, COLUMNS), tl.float32)
        if RESIDENT:
            for chunk in tl.static_range((LARGEST + SCALES - 1) // SCALES):
                total = add_scales(
                    *(total, weight, loaded, chunk * SCALES, chunk, rows, points, table, width, amplitude),
                    *(PHASES, BLOCKS, SHIFTED, WIDE, SCALED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                )
        else:
            for begin in range(0, LARGEST, SCALES):
                total = add_scales(
                    *(total, weight, loaded, begin, -1, rows, points, table, width, amplitude),
                    *(PHASES, BLOCKS, SHIFTED, WIDE, SCALED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
                )
        if len(SINGLES) > 0:
            total = add_packed(
                *(total, weight, rows, points, table, width, amplitude),
                *(PHASES, SINGLES, SHIFTED, WIDE, SCALED, HIDDEN, FEATURES, PRECISION, COLUMNS, LANES),
            )
        for g in tl.static_range(len(OUTER_COUNTS)):
            total = add_outer(
                *(total, weight, rows, points, table, width, amplitude, g, OUTER_PHASES, OUTER_COUNTS, OUTER_BLOCKS),
                *(SHIFTED, WIDE, SCALED, HIDDEN, FEATURES, PRECISION, COLUMNS, SCALES),
            )
        if BIASED:
            total += tl.load(bias + rows, mask=rows < HIDDEN, other=0.0).to(tl.float32)[None, :]
        here = (own < n)[:, None]
        if HIDDEN % COLUMNS != 0:
            here = here & (rows < HIDDEN)[None, :]
        place = own[:, None] * HIDDEN + rows[None, :]
        if SLOPE:
            given = tl.load(gradient + place, mask=here, other=0.0)
            total = given.to(tl.float32) * slope(total, parameter, ACTIVATION)
        else:
            total = activate(total, parameter, ACTIVATION)
        tl.store(out + place, total.to(out.dtype.element_ty), mask=here)


def forward(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    dtype: torch.dtype,
    *,
    out: Tensor | None = None,
) -> Tensor:
    """As `locenc.kernels.reference.sinusoids`, `linear` and an activation: float32, or tf32, bfloat16, float16."""
    out = empty((len(lonlat), len(weight)), lonlat, dtype) if out is None else out
    _launch(lonlat, frequencies, fields, amplitude, weight, bias, activation, parameter, out=out)
    return out


def backward(
    gradient: Tensor,
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    dtype: torch.dtype,
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    layer = weight, bias, activation, parameter
    gradient = _before_activation(gradient, lonlat, frequencies, fields, amplitude, *layer)
    spec = plan(tuple(fields))
    planes, table = _tables(lonlat, frequencies, spec)
    slopes = triton_sinusoids_slopes.slopes(gradient, planes, table, frequencies, spec, amplitude, weight)
    return to_degrees(lonlat, spec.kind, slopes)


def backward_arguments(
    gradient: Tensor,
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    dtype: torch.dtype,
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias."""
    layer = weight, bias, activation, parameter
    gradient = _before_activation(gradient, lonlat, frequencies, fields, amplitude, *layer)
    spec = plan(tuple(fields))
    planes, table = _tables(lonlat, frequencies, spec)
    found = [triton_sinusoids_weights.gradient(gradient, planes, table, frequencies, spec, amplitude, weight)]
    return found if bias is None else [*found, bias_gradient(gradient)]


def _tables(lonlat: Tensor, frequencies: Tensor, spec: Plan) -> tuple[Tensor, Tensor]:
    """Coordinates and frequencies as the kernels load them: 8 bytes for each."""
    planes = coordinates(lonlat, spec.kind, spec.wide, paired=True)
    return planes, split(frequencies, spec.wide, paired=True)


def _before_activation(gradient: Tensor, lonlat: Tensor, *arguments: Any) -> Tensor:
    """Gradient of what the activation is applied to."""
    *_, activation, _ = arguments
    if activation == NONE:
        return gradient
    out = empty(tuple(gradient.shape), gradient, gradient.dtype)
    _launch(lonlat, *arguments, gradient=gradient, out=out)
    return out


def _launch(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    weight: Tensor,
    bias: Tensor | None,
    activation: int,
    parameter: float,
    *,
    out: Tensor,
    gradient: Tensor | None = None,
) -> None:
    """Fill ``out`` with the layer's columns, or with the gradient before the activation, of the one behind it."""
    spec = plan(tuple(fields))
    planes, table = _tables(lonlat, frequencies, spec)
    own, singles = several(spec), single(spec)
    largest = max((columns for _, columns, *_ in own), default=0)
    hidden, features = weight.shape
    precision = input_precision(weight.dtype)
    scales = max([largest, *(outer.second[1] for outer in spec.outers), 1])
    together = max([len(own), *(len(outer.blocks) for outer in spec.outers)])
    tile = triton_shapes.linear(
        *(lonlat.device, weight.dtype, precision, hidden, scales, together),
        hold=bool(own) and not spec.outers,
        plain=gradient is None and activation != SINE,
    )
    across = blocks(hidden, tile.columns)
    tiles = blocks(len(lonlat), tile.points)
    steps = blocks(tiles * across, tile.programs) if tile.programs else 1
    launch(
        linear_kernel,
        (blocks(tiles, max(1, steps)), across),
        *(planes, table, weight.contiguous(), weight if bias is None else bias.contiguous()),
        *(out if gradient is None else gradient.contiguous(), out, len(lonlat), len(frequencies)),
        *(steps, amplitude, parameter),
        PHASES=spec.phases,
        BLOCKS=by_last_phase(own),
        LARGEST=largest,
        SINGLES=singles,
        **outer_constants(spec),
        **spec.constants(frequencies),
        SCALED=amplitude != 1,
        HIDDEN=hidden,
        FEATURES=features,
        BIASED=bias is not None,
        ACTIVATION=activation,
        SLOPE=gradient is not None,
        PRECISION=precision,
        RESIDENT=tile.programs > 0,
        POINTS=tile.points,
        COLUMNS=tile.columns,
        SCALES=tile.scales,
        LANES=max(16, triton.next_power_of_2(len(singles))),
        warps=tile.warps,
        stages=tile.stages,
        registers=triton_shapes.registers(lonlat.device, many=precision == "ieee" and bool(spec.outers)),
    )
