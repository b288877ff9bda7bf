"""The kernel of a layer on sinusoidal features: the features never exist in memory.

A program has a tile of points and of the layer's columns: see `locenc.kernels.triton_sinusoids_sums`. A weight that is
small enough stays in shared memory while a program takes one tile of points after another.
"""

import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_shapes
from locenc.kernels.activations import SINE
from locenc.kernels.triton_groups import by_last_phase, outer_constants, several, single
from locenc.kernels.triton_launch import blocks, input_precision, launch
from locenc.kernels.triton_layer import Linear, finish
from locenc.kernels.triton_operands import Operands
from locenc.kernels.triton_sinusoids_sums import add_outer, add_packed, add_scales, load_all
from locenc.kernels.triton_waves import load_points


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
        finish(
            *(total, bias, gradient, out, own, rows, n, parameter),
            *(HIDDEN, BIASED, ACTIVATION, SLOPE, COLUMNS),
        )


def fill(out: Tensor, given: Operands, layer: Linear, gradient: Tensor | None = None) -> None:
    """Write the layer's columns ``(N, H)``, or, of the gradient behind the activation, contiguous, that before it."""
    spec, weight, bias = given.spec, layer.weight, layer.bias
    own, singles = several(spec), single(spec)
    largest = max((columns for _, columns, *_ in own), default=0)
    precision = input_precision(weight.dtype)
    scales = max([largest, *(outer.second[1] for outer in spec.outers), 1])
    together = max([len(own), *(len(outer.blocks) for outer in spec.outers)])
    tile = triton_shapes.linear(
        *(out.device, weight.dtype, precision, len(weight), scales, together),
        hold=bool(own) and not spec.outers,
        plain=gradient is None and layer.activation != SINE,
    )
    across = blocks(len(weight), tile.columns)
    tiles = blocks(len(out), tile.points)
    steps = blocks(tiles * across, tile.programs) if tile.programs else 1
    launch(
        linear_kernel,
        (blocks(tiles, max(1, steps)), across),
        *(given.planes, given.table, weight.contiguous(), weight if bias is None else bias.contiguous()),
        *(out if gradient is None else gradient, out, len(out), len(given.frequencies)),
        *(steps, given.amplitude, layer.parameter),
        PHASES=spec.phases,
        BLOCKS=by_last_phase(own),
        LARGEST=largest,
        SINGLES=singles,
        **outer_constants(spec),
        **given.constants(),
        SCALED=given.amplitude != 1,
        **layer.constants(slope=gradient is not None),
        FEATURES=spec.columns,
        PRECISION=precision,
        RESIDENT=tile.programs > 0,
        LANES=max(16, triton.next_power_of_2(len(singles))),
        **tile.constants(),
        registers=triton_shapes.registers(out.device, many=precision == "ieee" and bool(spec.outers)),
    )
