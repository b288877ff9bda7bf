"""Inference by tiles of points: features, then the whole network, in memory that stays in the cache.

The features of all points together never exist. It is for networks whose rows do not depend on one another, and leaves
alone what somebody watches or changes: hooks, traces, transforms, modes of torch.
"""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from locenc.kernels import chunks, memory
from locenc.kernels.choice import forced
from locenc.kernels.memory import check_out
from locenc.kernels.operator import concrete
from locenc.position import PositionEncoder

#: Rows of a tile: matrix products are at full speed, and what lies between the layers stays in the cache.
TILE = 512

#: Layers of torch's that act on rows.
ROWWISE = (
    *(nn.Linear, nn.Identity, nn.Sequential, nn.ModuleList, nn.Dropout, nn.LayerNorm),
    *(nn.ReLU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.GELU, nn.SiLU, nn.ELU, nn.Softplus),
)

#: Makes rows of embeddings from checked coordinates, up to `TILE` at a time.
Encode = Callable[[Tensor], Tensor]


def undisturbed(position: nn.Module, network: nn.Module, lonlat: Tensor) -> TypeGuard[PositionEncoder]:
    """Whether calling both modules piece by piece, or in other threads, is all the same to whoever looks on."""
    return (
        concrete(lonlat)
        and lonlat.is_cpu
        and forced() in (None, "numba")
        and forward_ad._current_level < 0
        and not torch._C._len_torch_function_stack()
        and bare(position, network)
    )


def bare(position: nn.Module, network: nn.Module) -> TypeGuard[PositionEncoder]:
    """Whether nothing runs when the modules are called but what their classes say."""
    return (
        isinstance(position, PositionEncoder)
        and type(position).forward is PositionEncoder.forward
        and not nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]
        and not any(map(hooked, chain(position.modules(), network.modules())))
    )


def hooked(module: nn.Module) -> bool:
    """Whether more than its class's forward runs when a module is called."""
    return bool(
        "forward" in vars(module)
        or module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def gradients(position: nn.Module, network: nn.Module, lonlat: Tensor) -> bool:
    """Whether a result would have a gradient."""
    tensors = chain(
        [lonlat], *(part for module in (position, network) for part in (module.parameters(), module.buffers()))
    )
    return torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)


def acts_on_rows(position: nn.Module, network: nn.Module) -> bool:
    """Whether rows of the embedding do not depend on one another, now."""
    return not any(module.training for module in chain(position.modules(), network.modules())) and all(
        _of_torch(module) or _declares_rowwise(module) for module in network.modules()
    )


def _of_torch(module: nn.Module) -> bool:
    return type(module) in ROWWISE and (not isinstance(module, nn.LayerNorm) or len(module.normalized_shape) == 1)


def _declares_rowwise(module: nn.Module) -> bool:
    own = vars(module).get("rowwise")
    return bool(own if own is not None else says(module, "rowwise"))


def says(module: nn.Module, name: str, *, unless: tuple[str, ...] = ("forward",)) -> object:
    """A class's attribute; None if a class below it, which may not know of it, has one of ``unless`` of its own."""
    for kind in type(module).__mro__:
        if name in vars(kind):
            return vars(kind)[name]
        if any(other in vars(kind) for other in unless):
            break
    return None


def infer(
    position: PositionEncoder,
    network: nn.Module,
    lonlat: Tensor,
    dtype: torch.dtype | None,
    leading: torch.Size,
    out: Tensor | None,
) -> Tensor:
    """Embeddings of checked coordinates; the modules are `undisturbed` and `acts_on_rows`.

    Parameters
    ----------
    position, network : Module
        Of the encoder.
    lonlat : Tensor
        ``(N, 2)``, float32 or float64.
    dtype : torch.dtype, optional
        Of the features.
    leading : torch.Size
        Axes of the result before the last; N in all.
    out : Tensor, optional
        Memory for the result.
    """

    def make() -> Encode:
        return tile(position, network, dtype)

    none = make()(lonlat[:0])
    shape = (*leading, none.shape[-1])
    if out is None:
        out = memory.empty(shape, none.dtype)
    else:
        check_out(out, shape, none.dtype, lonlat)
    fill(lonlat, out.view(-1, shape[-1]), make)
    return out


def tile(position: PositionEncoder, network: nn.Module, dtype: torch.dtype | None) -> Encode:
    """Both modules with a buffer for the features between them; the result may lie there until the next call."""
    dtype = position.dtype if dtype is None else dtype
    buffer = torch.empty((TILE, position.out_dim), dtype=dtype, device="cpu")

    def encode(lonlat: Tensor) -> Tensor:
        features = position(lonlat, dtype=dtype, check=False, out=buffer[: len(lonlat)])
        embedding: Tensor = network(features)
        return embedding

    return encode


def fill(
    lonlat: Tensor, out: Tensor, make: Callable[[], Encode], *, padded: bool = False, threads: int | None = None
) -> None:
    """Fill the rows of a result by tiles, several at once.

    Parameters
    ----------
    lonlat : Tensor
        ``(N, 2)`` coordinates.
    out : Tensor
        ``(N, dim)``.
    make : callable
        Called once in each thread: the function that makes the rows of a tile.
    padded : bool
        Whether a tile always has `TILE` rows, zeros behind the last. Matrix products of so many rows round a row in
        one way wherever it stands, others do not.
    threads : int, optional
        As in `locenc.kernels.chunks.spread`.
    """

    def worker(parts: Iterator[slice]) -> None:
        encode = make()
        for part in parts:
            rows, count = lonlat[part], part.stop - part.start
            if padded and count < TILE:
                rows = torch.cat([rows, rows.new_zeros(TILE - count, 2)])
            out[part] = encode(rows)[:count]

    chunks.spread(worker, chunks.slices(len(lonlat), TILE), threads=threads)
