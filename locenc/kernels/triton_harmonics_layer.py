"""The kernel of a layer on spherical harmonics: the columns never exist in memory.

A program has a tile of points and of the layer's columns. Lanes are a block of orders that steps from degree to degree;
at each, its cosines and sines, in the weight's dtype and in turns, are multiplied by their part of the weight, which is
packed before: `locenc.kernels.triton_harmonics_pack`.
"""

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels import triton_legendre, triton_shapes
from locenc.kernels.triton_harmonics_pack import pack
from locenc.kernels.triton_launch import blocks, input_precision, launch
from locenc.kernels.triton_layer import Linear, finish
from locenc.kernels.triton_legendre import load_degree, load_latitude, longitude_waves, next_degree, powers


@triton.jit
def linear_kernel(
    points,
    table,
    packed,
    bias,
    gradient,
    out,
    n,
    parameter,
    DEGREES: tl.constexpr,
    PITCH: tl.constexpr,
    WIDE: tl.constexpr,
    HIDDEN: tl.constexpr,
    PADDED: tl.constexpr,
    BIASED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    SLOPE: tl.constexpr,
    PRECISION: tl.constexpr,
    POINTS: tl.constexpr,
    COLUMNS: tl.constexpr,
    ORDERS: tl.constexpr,
):
    """The layer's columns at a tile of points; or, with SLOPE, the gradient times the activation's slope there."""
    rows = tl.program_id(0).to(tl.int64) * POINTS + tl.arange(0, POINTS)
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    w, part = load_latitude(points, rows, n)
    own = packed + columns[None, :] * (2 * ORDERS) + tl.arange(0, 2 * ORDERS)[:, None]
    total = tl.zeros((POINTS, COLUMNS), tl.float32)
    for first in range(0, DEGREES, ORDERS):
        orders = first + tl.arange(0, ORDERS)
        sine, cosine = longitude_waves(points, rows, n, orders)
        start = powers(points, table, rows, n, orders, orders, DEGREES, PITCH, WIDE)
        g, d, lost = tl.zeros_like(start), tl.zeros_like(start), tl.zeros_like(start)
        r, factor = load_degree(table, first, orders, DEGREES, PITCH)
        for degree in range(first, DEGREES):
            g, d, lost, value = next_degree(degree, orders, start, g, d, lost, r, factor, w, part, True)
            r, factor = load_degree(table, degree + 1, orders, DEGREES, PITCH)
            both = tl.reshape(tl.join(value * cosine, value * sine), (POINTS, 2 * ORDERS))
            total = tl.dot(both.to(packed.dtype.element_ty), tl.load(own), total, input_precision=PRECISION)
            own += PADDED * (2 * ORDERS)
    finish(
        *(total, bias, gradient, out, rows, columns, n, parameter),
        *(HIDDEN, BIASED, ACTIVATION, SLOPE, COLUMNS),
    )


def fill(out: Tensor, lonlat: Tensor, scale: Tensor, layer: Linear, gradient: Tensor | None = None) -> None:
    """Write the layer's columns ``(N, H)``, or, of the gradient behind the activation, contiguous, that before it."""
    weight, bias, degrees = layer.weight, layer.bias, len(scale)
    precision = input_precision(weight.dtype)
    tile = triton_shapes.harmonics_linear(
        lonlat.device, weight.dtype, precision, len(weight), degrees, slope=gradient is not None
    )
    packed, padded = pack(weight, degrees, tile.scales, tile.columns)
    table = triton_legendre.tables(scale)
    launch(
        linear_kernel,
        (blocks(len(lonlat), tile.points), padded // tile.columns),
        *(triton_legendre.points(lonlat), table, packed, packed if bias is None else bias.contiguous()),
        *(out if gradient is None else gradient, out, len(lonlat), layer.parameter),
        **constants(table, padded, degrees, precision, tile),
        **layer.constants(slope=gradient is not None),
    )


def constants(table: Tensor, padded: int, degrees: int, precision: str, tile: triton_shapes.Layer) -> dict[str, Any]:
    """What launches with a packed weight have in common."""
    return {
        "DEGREES": degrees,
        "PITCH": table.shape[1],
        "WIDE": table.dtype == torch.float64,
        "PADDED": padded,
        "PRECISION": precision,
        "POINTS": tile.points,
        "COLUMNS": tile.columns,
        "ORDERS": tile.scales,
        "warps": tile.warps,
        "stages": tile.stages,
    }
