"""Spherical harmonics and the first layer behind them on CUDA: the columns never exist in memory.

    out[n, h] = activation(b[h] + Σ_c Y[n, c] W[h, c]).

Kernels: `locenc.kernels.triton_harmonics_layer` and, for the gradient of the coordinates,
`locenc.kernels.triton_harmonics_slopes`. That of the weight wants all points for one column, where the recurrence
makes all columns of a point: columns of some points at a time are written, and torch multiplies them; sums are in the
order of the points.
"""

from typing import Any

import torch
from torch import Tensor

from locenc.kernels import triton_harmonics_slopes, triton_legendre
from locenc.kernels.triton_harmonics import encode
from locenc.kernels.triton_harmonics_layer import fill
from locenc.kernels.triton_launch import empty
from locenc.kernels.triton_layer import Linear, before_activation
from locenc.kernels.triton_weights import bias_gradient

#: Columns that are written at a time for the gradient of the weight: so many numbers,
NUMBERS = 2**23
#: or those of so many points, if that is more: a product of fewer is slow.
POINTS = 2048


def forward(lonlat: Tensor, recurrence: Tensor, scale: Tensor, *layer: Any, out: Tensor | None = None) -> Tensor:
    """As `triton_harmonics.forward`, `linear` and an activation: float32, or tf32, bfloat16, float16.

    ``layer`` are the fields of a `locenc.kernels.triton_layer.Linear`.
    """
    own = Linear(*layer)
    own.check(len(scale) ** 2)
    out = empty((len(lonlat), len(own.weight)), lonlat, own.dtype) if out is None else out
    fill(out, lonlat, scale, own)
    return out


def backward(gradient: Tensor, lonlat: Tensor, recurrence: Tensor, scale: Tensor, *layer: Any) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    own = Linear(*layer)
    return triton_harmonics_slopes.slopes(_before(gradient, lonlat, scale, own), lonlat, scale, own.weight)


def backward_arguments(
    gradient: Tensor, lonlat: Tensor, recurrence: Tensor, scale: Tensor, *layer: Any
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias."""
    own = Linear(*layer)
    weight, width = own.weight, own.weight.shape[1]
    gradient = _before(gradient, lonlat, scale, own).to(weight.dtype)
    points, table = triton_legendre.points(lonlat), triton_legendre.tables(scale)
    rows = max(POINTS, NUMBERS // width)
    columns = empty((min(rows, len(points)), width), weight, weight.dtype)
    total = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
    for begin in range(0, len(points), rows):
        part = points[begin : begin + rows]
        some = columns[: len(part)]
        encode(part, table, len(scale), some)
        given = gradient[begin : begin + rows].T
        if weight.dtype == torch.float32:
            total.addmm_(given, some)
        else:
            total += given @ some
    found = [total.to(weight.dtype)]
    return found if own.bias is None else [*found, bias_gradient(gradient)]


def _before(gradient: Tensor, lonlat: Tensor, scale: Tensor, layer: Linear) -> Tensor:
    return before_activation(gradient, layer, lambda out, behind: fill(out, lonlat, scale, layer, behind))
