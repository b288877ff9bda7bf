"""The first layer fused: one operator makes hidden numbers of coordinates, and the features never exist in memory.

    hidden = activation(features(lonlat) Wᵀ + b),    embedding = network.after_first(hidden)

It is for devices that have kernels for both at once (CUDA), in inference and in training, compiled too. On the CPU
tiles do as much: `locenc.tiled`, `locenc.first_layer`.
"""

from collections.abc import Callable
from itertools import chain
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from locenc.first_layer import check_unchanged, known, noted
from locenc.kernels.choice import chosen, forced
from locenc.position import Layer, PositionEncoder
from locenc.tiled import bare, says


def can(position: nn.Module, network: nn.Module, lonlat: Tensor) -> TypeGuard[PositionEncoder]:
    """Whether there are kernels, nobody looks on (hooks), and the modules' classes say which layer is the first."""
    return (
        isinstance(lonlat, Tensor)
        and (not lonlat.is_cpu or forced() == "triton")
        and isinstance(position, PositionEncoder)
        and chosen(lonlat.device.type) == "triton"
        and says(position, "linear", unless=("features",)) is not None
        and known(network)
        and bare(position, network)
    )


def passes(
    position: PositionEncoder, network: nn.Module, lonlat: Tensor, leading: torch.Size, dtype: torch.dtype | None
) -> Callable[[], Tensor] | None:
    """A function that embeds coordinates; each call is a pass of its own through what stands behind the first layer.

    Parameters
    ----------
    position, network : Module
        Of an encoder that `can`.
    lonlat : Tensor
        ``(N, 2)`` checked coordinates, float32 or float64.
    leading : Size
        Axes of the result before the last; N in all.
    dtype : torch.dtype, optional
        Of the features.

    Returns
    -------
    callable or None
        None where the features must be made by themselves after all: kernels do not take what is asked for.
    """
    found = _hidden(position, network, lonlat, dtype)
    if found is None:
        return None
    hidden, options = found
    version = noted(hidden)
    hidden = hidden.reshape(*leading, hidden.shape[1])

    def add_features(other: Tensor) -> Tensor:
        features: Tensor = position(lonlat, dtype=dtype, check=False)
        return other + features.reshape(other.shape)

    def embed() -> Tensor:
        check_unchanged(hidden, version)
        embedding: Tensor = network.after_first(hidden, add_features, **options)  # type: ignore[operator]
        return embedding

    return embed


def _hidden(
    position: PositionEncoder, network: Any, lonlat: Tensor, dtype: torch.dtype | None
) -> tuple[Tensor, dict[str, bool]] | None:
    """What the first layer gives, and what else ``after_first`` must be told."""
    weight, bias = network.first_linear.weight, network.first_linear.bias
    if weight.dtype != dtype or type(weight) not in (Tensor, nn.Parameter):
        return None
    inputs = chain([lonlat, weight, *([] if bias is None else [bias])], position.buffers())
    learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
    activation = None if learns else _activation(network)
    kind = lonlat.device.type
    if torch.is_autocast_enabled(kind) and dtype != torch.float64:
        lower = torch.get_autocast_dtype(kind)
        weight, bias = weight.to(lower), None if bias is None else bias.to(lower)
    hidden = position.linear(lonlat, Layer(weight, bias, *(activation or ())))
    return None if hidden is None else (hidden, {"activated": True} if activation else {})


def _activation(network: Any) -> tuple[int, float] | None:
    """What follows the first layer at once, where the network says so and its ``after_first`` can do without it."""
    if says(network, "first_activation", unless=("forward", "after_first")) is None:
        return None
    found: tuple[int, float] | None = network.first_activation
    return found
