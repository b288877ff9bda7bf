"""Sinusoidal features and the first layer behind them on CUDA: the features never exist in memory.

    out[n, h] = activation(b[h] + Σ_f φ[n, f] W[h, f]).

Kernels: `locenc.kernels.triton_sinusoids_layer` and, for gradients, which make features again,
`locenc.kernels.triton_sinusoids_slopes` and `locenc.kernels.triton_sinusoids_weights`. Before an activation the
gradient is multiplied by its slope, which the kernel of the layer does with sums made again.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from locenc.kernels import triton_sinusoids_slopes, triton_sinusoids_weights
from locenc.kernels.triton_coordinates import to_degrees
from locenc.kernels.triton_launch import empty
from locenc.kernels.triton_layer import Linear, before_activation
from locenc.kernels.triton_operands import Operands, operands
from locenc.kernels.triton_sinusoids_layer import fill
from locenc.kernels.triton_weights import bias_gradient


def forward(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    *layer: Any,
    out: Tensor | None = None,
) -> Tensor:
    """As `locenc.kernels.reference.sinusoids`, `linear` and an activation: float32, or tf32, bfloat16, float16.

    ``layer`` are the fields of a `locenc.kernels.triton_layer.Linear`.
    """
    given, own = operands(lonlat, frequencies, fields, amplitude, paired=True), Linear(*layer)
    own.check(given.spec.columns)
    out = empty((len(lonlat), len(own.weight)), lonlat, own.dtype) if out is None else out
    fill(out, given, own)
    return out


def backward(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, *layer: Any
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    given, own = operands(lonlat, frequencies, fields, amplitude, paired=True), Linear(*layer)
    slopes = triton_sinusoids_slopes.slopes(_before(gradient, given, own), given, own.weight)
    return to_degrees(lonlat, given.spec.kind, slopes)


def backward_arguments(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, *layer: Any
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias."""
    given, own = operands(lonlat, frequencies, fields, amplitude, paired=True), Linear(*layer)
    gradient = _before(gradient, given, own)
    found = [triton_sinusoids_weights.gradient(gradient, given, own.weight)]
    return found if own.bias is None else [*found, bias_gradient(gradient)]


def _before(gradient: Tensor, given: Operands, layer: Linear) -> Tensor:
    return before_activation(gradient, layer, lambda out, behind: fill(out, given, layer, behind))
