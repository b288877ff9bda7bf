"""A linear layer behind features that kernels make: what it is given as, and what follows a tile's sums.

These are bias and activation; or, ahead of the gradients, the activation's slope at sums that are made again, times the
gradient.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels.activations import NONE
from locenc.kernels.triton_activation import activate, slope
from locenc.kernels.triton_launch import empty


class Linear(NamedTuple):
    """The last arguments of an operator with a layer: all numbers of one dtype, that of features and result."""

    weight: Tensor
    bias: Tensor | None
    activation: int
    parameter: float
    dtype: torch.dtype

    def check(self, features: int) -> None:
        """Check shapes, of which kernels would read past the end, and dtypes, which they would round without a word."""
        if self.weight.dim() != 2 or self.weight.shape[1] != features:
            raise ValueError(
                f"the weight of a fused layer has the shape {tuple(self.weight.shape)}, but there are {features} "
                f"features: expected (H, {features})"
            )
        if self.bias is not None and self.bias.shape != self.weight.shape[:1]:
            raise ValueError(
                f"the bias of a fused layer has the shape {tuple(self.bias.shape)}: expected ({len(self.weight)},), a "
                "number for each row of its weight"
            )
        for name, value in (("weight", self.weight), ("bias", self.bias)):
            if value is not None and value.dtype != self.dtype:
                raise TypeError(
                    f"features and result of a fused layer are {self.dtype}, but its {name} is {value.dtype}: convert "
                    f"it, {name}.to({self.dtype})"
                )

    def constants(self, *, slope: bool) -> dict[str, Any]:
        """Compile-time parameters of `finish`."""
        return {
            "HIDDEN": len(self.weight),
            "BIASED": self.bias is not None,
            "ACTIVATION": self.activation,
            "SLOPE": slope,
        }


@triton.jit
def finish(
    total,
    bias,
    gradient,
    out,
    rows,
    columns,
    n,
    parameter,
    HIDDEN: tl.constexpr,
    BIASED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    SLOPE: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Write a tile of the layer; or, with SLOPE, of the gradient (contiguous) times the activation's slope there."""
    if BIASED:
        total += tl.load(bias + columns, mask=columns < HIDDEN, other=0.0).to(tl.float32)[None, :]
    here = (rows < n)[:, None]
    if HIDDEN % COLUMNS != 0:
        here = here & (columns < HIDDEN)[None, :]
    place = rows[:, None] * HIDDEN + columns[None, :]
    if SLOPE:
        given = tl.load(gradient + place, mask=here, other=0.0)
        total = given.to(tl.float32) * slope(total, parameter, ACTIVATION)
    else:
        total = activate(total, parameter, ACTIVATION)
    tl.store(out + place, total.to(out.dtype.element_ty), mask=here)


def before_activation(gradient: Tensor, layer: Linear, fill: Callable[[Tensor, Tensor], None]) -> Tensor:
    """Gradient of what the activation is applied to; ``fill(out, gradient)`` writes it, of contiguous ones."""
    if layer.activation == NONE:
        return gradient
    out = empty(tuple(gradient.shape), gradient, gradient.dtype)
    fill(out, gradient.contiguous())
    return out
