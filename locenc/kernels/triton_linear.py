"""A linear layer behind features on CUDA, a chunk of points at a time: not all features exist at once.

    out[n, h] = b[h] + Σ_f φ[n, f] W[h, f].

A chunk's features are written to memory that those of the next chunk take again, and torch multiplies them (cuBLAS).
Gradients make features again in the same way. To make them in registers and multiply them there, in one kernel, was
tried, up to commit c338ee3: it took 1.2 to 3.5 times as long for 10⁶ points on an H200.
"""

from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from locenc.kernels.triton_launch import empty

#: Bytes of a chunk's features: so many that the host is ahead of the card,
BYTES = 2**28
#: unless that is fewer points than these.
POINTS = 2048


class Linear(NamedTuple):
    """The last arguments of an operator with a layer: all numbers of one dtype, that of features and result."""

    weight: Tensor
    bias: Tensor | None
    dtype: torch.dtype

    def check(self, features: int) -> None:
        """Check shapes and dtypes, in the words of who gave them."""
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

    @property
    def chunk(self) -> int:
        """Points whose features are made at once."""
        return max(POINTS, BYTES // (max(1, self.weight.shape[1]) * self.dtype.itemsize) // 16 * 16)


def forward(
    kernels: ModuleType, lonlat: Tensor, arguments: tuple[Any, ...], layer: Linear, out: Tensor | None
) -> Tensor:
    """The layer's columns ``(N, H)``; ``kernels.forward(lonlat, *arguments, dtype, out=)`` makes features."""
    out = empty((len(lonlat), len(layer.weight)), lonlat, layer.dtype) if out is None else out
    across = layer.weight.T
    for part, features in _chunks(kernels, lonlat, arguments, layer):
        if layer.bias is None:
            torch.mm(features, across, out=out[part])
        else:
            torch.addmm(layer.bias, features, across, out=out[part])
    return out


def backward(
    kernels: ModuleType, gradient: Tensor, lonlat: Tensor, arguments: tuple[Any, ...], layer: Linear
) -> Tensor:
    """Gradient of the coordinates, in their dtype, by ``kernels.backward``."""
    out = torch.empty_like(lonlat, memory_format=torch.contiguous_format)
    for part in _parts(len(lonlat), layer.chunk):
        by_features = gradient[part].to(layer.dtype) @ layer.weight
        out[part] = kernels.backward(by_features, lonlat[part], *arguments, layer.dtype)
    return out


def backward_arguments(
    kernels: ModuleType, gradient: Tensor, lonlat: Tensor, arguments: tuple[Any, ...], layer: Linear
) -> list[Tensor]:
    """Gradients of weight and, if there is one, bias; chunks are added in float32, in the order of the points."""
    total = torch.zeros(layer.weight.shape, dtype=torch.float32, device=layer.weight.device)
    for part, features in _chunks(kernels, lonlat, arguments, layer):
        given = gradient[part].to(layer.dtype).T
        if layer.dtype == torch.float32:
            total.addmm_(given, features)
        else:
            total += given @ features
    found = [total.to(layer.dtype)]
    return found if layer.bias is None else [*found, gradient.sum(0)]


def _chunks(
    kernels: ModuleType, lonlat: Tensor, arguments: tuple[Any, ...], layer: Linear
) -> Iterator[tuple[slice, Tensor]]:
    """Points and their features, chunk by chunk."""
    memory = empty((min(layer.chunk, len(lonlat)), layer.weight.shape[1]), lonlat, layer.dtype)
    for part in _parts(len(lonlat), layer.chunk):
        features = memory[: part.stop - part.start]
        yield part, kernels.forward(lonlat[part], *arguments, layer.dtype, out=features)


def _parts(count: int, size: int) -> Iterator[slice]:
    for begin in range(0, count, size):
        yield slice(begin, min(begin + size, count))
