"""Sinusoidal features and the first layer behind them on CUDA; see `locenc.kernels.triton_linear`."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from locenc.kernels import layout, triton_linear, triton_sinusoids
from locenc.kernels.triton_linear import Linear


def forward(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Sequence[int],
    amplitude: float,
    *layer: Any,
    out: Tensor | None = None,
) -> Tensor:
    """As `locenc.kernels.reference.sinusoids` and `linear`: float32, or tf32, bfloat16, float16.

    ``layer`` are the fields of a `locenc.kernels.triton_linear.Linear`.
    """
    own = Linear(*layer)
    own.check(layout.columns(tuple(fields)))
    return triton_linear.forward(triton_sinusoids, lonlat, (frequencies, fields, amplitude), own, out)


def backward(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, *layer: Any
) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    arguments = frequencies, fields, amplitude
    return triton_linear.backward(triton_sinusoids, gradient, lonlat, arguments, Linear(*layer))


def backward_arguments(
    gradient: Tensor, lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, *layer: Any
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias."""
    arguments = frequencies, fields, amplitude
    return triton_linear.backward_arguments(triton_sinusoids, gradient, lonlat, arguments, Linear(*layer))
