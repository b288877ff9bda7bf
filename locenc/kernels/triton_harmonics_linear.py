"""Spherical harmonics and the first layer behind them on CUDA; see `locenc.kernels.triton_linear`."""

from typing import Any

from torch import Tensor

from locenc.kernels import triton_harmonics, triton_linear
from locenc.kernels.triton_linear import Linear


def forward(lonlat: Tensor, recurrence: Tensor, scale: Tensor, *layer: Any, out: Tensor | None = None) -> Tensor:
    """As `triton_harmonics.forward` and `linear`: float32, or tf32, bfloat16, float16.

    ``layer`` are the fields of a `locenc.kernels.triton_linear.Linear`.
    """
    own = Linear(*layer)
    own.check(len(scale) ** 2)
    return triton_linear.forward(triton_harmonics, lonlat, (recurrence, scale), own, out)


def backward(gradient: Tensor, lonlat: Tensor, recurrence: Tensor, scale: Tensor, *layer: Any) -> Tensor:
    """Gradient of the coordinates, in their dtype."""
    return triton_linear.backward(triton_harmonics, gradient, lonlat, (recurrence, scale), Linear(*layer))


def backward_arguments(
    gradient: Tensor, lonlat: Tensor, recurrence: Tensor, scale: Tensor, *layer: Any
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias."""
    return triton_linear.backward_arguments(triton_harmonics, gradient, lonlat, (recurrence, scale), Linear(*layer))
