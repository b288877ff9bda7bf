"""Sums over points in a fixed order: no atomics, and the same bytes every time.

Points are split over programs. Each writes the sum over its own, float32, to a buffer of partial sums, which are then
added in order.
"""

import torch
from torch import Tensor

from locenc.kernels.triton_launch import blocks, empty

#: Sums over points are made of at most so many partial sums,
SPLITS = 32
#: which take at most so many bytes, unless one alone takes more.
BYTES = 2**26


def split(points: int, size: int, numbers: int) -> tuple[int, int]:
    """How many partial sums of so many numbers, at least one, and the points of each, a multiple of ``size``."""
    most = max(1, min(SPLITS, BYTES // (4 * max(1, numbers))))
    own = max(1, blocks(blocks(points, size), most)) * size
    return max(1, blocks(points, own)), own


def partial(count: int, like: Tensor) -> Tensor:
    """Memory for partial sums in the shape of their sum ``(R, C)``: ``(count, R, C)`` float32."""
    return empty((count, *like.shape), like, torch.float32)


def reduce(partial: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum of partial sums ``(count, R, C)``, in a dtype."""
    return (partial[0] if len(partial) == 1 else partial.sum(0)).to(dtype)
