"""The first layer fused: one operator makes hidden numbers of coordinates, and not all features exist at once.

    hidden = features(lonlat) Wᵀ + b,    embedding = network.after_first(hidden)

It is for devices that have such an operator (CUDA), in inference and in training, compiled too. On the CPU tiles do as
much: `locenc.tiled`, `locenc.first_layer`.
"""

from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from locenc.first_layer import check_unchanged, known, noted
from locenc.kernels.choice import chosen, exporting, forced
from locenc.kernels.triton_linear import BYTES
from locenc.position import Layer, PositionEncoder
from locenc.tiled import bare, says


def can(position: nn.Module, network: nn.Module, lonlat: Tensor) -> TypeGuard[PositionEncoder]:
    """Whether there are kernels, nobody looks on (hooks), and the modules' classes say which layer is the first."""
    return (
        isinstance(lonlat, Tensor)
        and (not lonlat.is_cpu or forced() == "triton")
        and isinstance(position, PositionEncoder)
        and chosen(lonlat.device.type) == "triton"
        and not exporting()
        and says(position, "linear", unless=("features",)) is not None
        and known(network)
        and bare(position, network)
    )


def pays(position: PositionEncoder, lonlat: Tensor, dtype: torch.dtype) -> bool:
    """Whether features are more than would be made at once: to keep fewer is quicker than to make them again."""
    many = lonlat.numel() // 2 * position.out_dim * dtype.itemsize > BYTES
    if not torch.compiler.is_compiling():
        return many
    from torch.fx.experimental.symbolic_shapes import guard_or_true  # loaded by the compiler

    return bool(guard_or_true(many))  # a size that nobody knows may be any


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
    version = noted(found)
    hidden = found.reshape(*leading, found.shape[1])

    def add_features(other: Tensor) -> Tensor:
        features: Tensor = position(lonlat, dtype=dtype, check=False)
        return other + features.reshape(other.shape)

    def embed() -> Tensor:
        check_unchanged(hidden, version)
        embedding: Tensor = network.after_first(hidden, add_features)  # type: ignore[operator]
        return embedding

    return embed


def _hidden(position: PositionEncoder, network: Any, lonlat: Tensor, dtype: torch.dtype | None) -> Tensor | None:
    """What the first layer gives."""
    weight, bias = network.first_linear.weight, network.first_linear.bias
    if weight.dtype != dtype or type(weight) not in (Tensor, nn.Parameter):
        return None
    kind = lonlat.device.type
    if torch.is_autocast_enabled(kind) and dtype != torch.float64:
        lower = torch.get_autocast_dtype(kind)
        weight, bias = weight.to(lower), None if bias is None else bias.to(lower)
    return position.linear(lonlat, Layer(weight, bias))
