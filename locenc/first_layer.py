"""Training with the first layer fused: coordinates are kept for the gradients, their features made again by tiles.

    hidden = features(lonlat) Wᵀ + b,    dW = Gᵀ features(lonlat),    db = Gᵀ 1,    dlonlat = (G W) · dfeatures,

G being the gradient of hidden. All but hidden is made tile after tile. Sums over points are in a fixed order. The
backward pass reads the coordinates again: autograd notices if torch changed them in between, not if others did.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from locenc.kernels import chunks, memory
from locenc.kernels.operator import watched
from locenc.position import PositionEncoder
from locenc.tiled import TILE, says

#: Bytes of features up to which they are kept: memory that the process has at hand is cheaper than to make them again.
KEPT = 2**25
#: Features of a tile: few calls, and what they take is little beside the features of all points.
NUMBERS = 2**21
#: Sums over points are made of at most so many partial sums, each by one thread.
PARTIAL_SUMS = 16


def fits(position: PositionEncoder, network: nn.Module, lonlat: Tensor, dtype: torch.dtype | None) -> bool:
    """Whether encoder and network, both `locenc.tiled.undisturbed`, can be trained so, and the features are many.

    The position encoder must have no parameters, and the first layer be `known`.
    """
    layer: Any = getattr(network, "first_linear", None)
    return (
        known(network)
        and dtype in (torch.float32, torch.float64)
        and layer.weight.dtype == dtype
        and layer.weight.is_cpu
        and lonlat.numel() // 2 * position.out_dim * dtype.itemsize > KEPT
        and next(position.parameters(), None) is None
        and not any(buffer.requires_grad for buffer in position.buffers())
        and not torch.is_autocast_enabled("cpu")
    )


def known(network: nn.Module) -> bool:
    """Whether the network has ``first_linear``, a linear layer, and ``after_first``."""
    layer = getattr(network, "first_linear", None)
    return (
        isinstance(layer, nn.Linear)
        and type(layer).forward is nn.Linear.forward
        and says(network, "after_first") is not None
        and all(part._compiled_call_impl is None for part in (network, layer))
    )


def passes(position: PositionEncoder, network: Any, lonlat: Tensor) -> Callable[[], Tensor]:
    """A function that embeds ``(N, 2)`` checked coordinates, float32 or float64: ``(N, dim)``; the modules must fit.

    Each call is a pass of its own through what stands behind the first layer, under its own dropout masks.
    """
    layer = network.first_linear
    source = _Source.of(position, layer.weight.dtype)
    hidden = _applied(_FirstLayer, lonlat, layer.weight, layer.bias, source)
    version = noted(hidden)

    def embed() -> Tensor:
        check_unchanged(hidden, version)
        embedding: Tensor = network.after_first(hidden, lambda other: _applied(_AddFeatures, lonlat, other, source))
        return embedding

    return embed


def noted(hidden: Tensor) -> int | None:
    """Version of what the first layer gave; None where torch counts none."""
    return None if watched() or hidden.is_inference() else hidden._version


def check_unchanged(hidden: Tensor, version: int | None) -> None:
    """Raise if a pass has changed what the first layer gave, which the next one needs."""
    if version is not None and hidden._version != version:
        raise RuntimeError("after_first must leave hidden as it is, since several passes share it; see locenc.networks")


def _applied(function: Any, *inputs: Any) -> Tensor:
    result: Tensor = function.apply(*inputs)
    return result


def embed(position: PositionEncoder, network: Any, lonlat: Tensor) -> Tensor:
    """One pass of `passes`."""
    return passes(position, network, lonlat)()


class _Source(NamedTuple):
    """Where features come from, and the versions of the tensors that they depend on."""

    position: PositionEncoder
    dtype: torch.dtype
    versions: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, position: PositionEncoder, dtype: torch.dtype) -> "_Source":
        """Note the versions as they are."""
        return cls(position, dtype, _versions(position))

    def check(self) -> None:
        """Raise if features made now would be others than those of the forward pass."""
        if _versions(self.position) != self.versions:
            raise RuntimeError(
                "the position encoder's tensors were changed between forward and backward, which makes features again "
                "from the coordinates; call backward first"
            )

    def tiles(self, part: slice) -> list[slice]:
        """Some points by tiles."""
        return chunks.slices(part.stop, self.rows, start=part.start)

    @property
    def rows(self) -> int:
        """Points of a tile."""
        return max(1, NUMBERS // (self.position.out_dim * TILE)) * TILE

    def buffer(self) -> Tensor:
        """Memory for the features of a tile."""
        return torch.empty((self.rows, self.position.out_dim), dtype=self.dtype, device="cpu")

    def fill(self, buffer: Tensor, lonlat: Tensor) -> Tensor:
        """Features of the points of a tile, in a buffer."""
        features: Tensor = self.position(lonlat, dtype=self.dtype, check=False, out=buffer[: len(lonlat)])
        return features

    def make(self, lonlat: Tensor) -> Tensor:
        """Features that know where they come from, if the coordinates require gradients."""
        return self.position.features(lonlat, self.dtype)

    def pull_back(self, lonlat: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """Features, and the gradient of the coordinates from theirs."""
        with torch.enable_grad():
            points = lonlat.detach().requires_grad_()
            features = self.make(points)
        (of_lonlat,) = torch.autograd.grad(features, points, gradient)
        return features.detach(), of_lonlat


def _versions(position: nn.Module) -> tuple[tuple[int, int], ...]:
    return tuple((id(buffer), 0 if buffer.is_inference() else buffer._version) for buffer in position.buffers())


class _FirstLayer(torch.autograd.Function):
    """Coordinates (N, 2), weight (H, F) and bias (H,) to the layer's output (N, H)."""

    @staticmethod
    def forward(ctx: Any, lonlat: Tensor, weight: Tensor, bias: Tensor | None, source: _Source) -> Tensor:
        ctx.save_for_backward(lonlat, weight, bias)
        ctx.source = source
        hidden = memory.empty((len(lonlat), len(weight)), source.dtype)

        def worker(tiles: Iterator[slice]) -> None:
            buffer = source.buffer()
            for tile in tiles:
                features = source.fill(buffer, lonlat[tile])
                if bias is None:
                    torch.mm(features, weight.T, out=hidden[tile])
                else:
                    torch.addmm(bias, features, weight.T, out=hidden[tile])

        chunks.spread(worker, source.tiles(slice(0, len(lonlat))))
        return hidden

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, source = ctx.saved_tensors, ctx.source
        source.check()
        lonlat, weight, bias = inputs
        if torch.is_grad_enabled():
            return (*_with_graph(ctx, inputs, linear(source.make(lonlat), weight, bias), gradient), None)
        to_lonlat, to_weight, to_bias, _ = ctx.needs_input_grad
        of_lonlat = torch.empty_like(lonlat) if to_lonlat else None
        parts = chunks.slices(len(lonlat), max(1, -(-len(lonlat) // (TILE * PARTIAL_SUMS))) * TILE)
        sums: dict[int, tuple[Tensor, Tensor]] = {}

        def worker(own: Iterator[slice]) -> None:
            buffer = source.buffer()
            for part in own:
                of_weight, of_bias = torch.zeros_like(weight), weight.new_zeros(len(weight))
                for tile in source.tiles(part):
                    points, slopes = lonlat[tile], gradient[tile]
                    if of_lonlat is not None:
                        features, of_lonlat[tile] = source.pull_back(points, slopes @ weight)
                    else:
                        features = source.fill(buffer, points)
                    of_weight.addmm_(slopes.T, features)
                    of_bias += slopes.sum(0)
                sums[part.start] = of_weight, of_bias

        with torch.autocast("cpu", enabled=False):  # as the forward pass
            chunks.spread(worker, parts)
        of_weight, of_bias = sums[0]
        for part in parts[1:]:
            of_weight += sums[part.start][0]
            of_bias += sums[part.start][1]
        return of_lonlat, of_weight if to_weight else None, of_bias if to_bias else None, None


class _AddFeatures(torch.autograd.Function):
    """Coordinates (N, 2) and other numbers (N, F) to these plus the features."""

    @staticmethod
    def forward(ctx: Any, lonlat: Tensor, other: Tensor, source: _Source) -> Tensor:
        ctx.save_for_backward(lonlat)
        ctx.source = source
        result = memory.empty(tuple(other.shape), source.dtype)

        def worker(tiles: Iterator[slice]) -> None:
            buffer = source.buffer()
            for tile in tiles:
                torch.add(other[tile], source.fill(buffer, lonlat[tile]), out=result[tile])

        chunks.spread(worker, source.tiles(slice(0, len(lonlat))))
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (lonlat,), source = ctx.saved_tensors, ctx.source
        if not ctx.needs_input_grad[0]:
            return None, gradient, None
        source.check()
        if torch.is_grad_enabled():
            return (*_with_graph(ctx, (lonlat,), source.make(lonlat), gradient), gradient, None)
        of_lonlat = torch.empty_like(lonlat)

        def worker(tiles: Iterator[slice]) -> None:
            for tile in tiles:
                _, of_lonlat[tile] = source.pull_back(lonlat[tile], gradient[tile])

        chunks.spread(worker, source.tiles(slice(0, len(lonlat))))
        return of_lonlat, gradient, None


def _with_graph(
    ctx: Any, inputs: tuple[Tensor | None, ...], output: Tensor, gradient: Tensor
) -> tuple[Tensor | None, ...]:
    """Gradients that have a graph themselves, of the output made in the plain way."""
    needed = ctx.needs_input_grad[: len(inputs)]
    wanted = [value for value, need in zip(inputs, needed, strict=True) if value is not None and need]
    found = iter(torch.autograd.grad(output, wanted, gradient, create_graph=True))
    return tuple(next(found) if need else None for need in needed)
