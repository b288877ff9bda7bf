"""Results and gradients by chunks, as arrays that the kernels take."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from locenc.kernels import chunks, memory
from locenc.kernels.vectors import LANES

#: What kernels compute in; features of other dtypes are float32 ones, rounded.
DTYPES = (torch.float32, torch.float64)


def contiguous(array: Any) -> Any:
    """The array, or a copy, as float64 in C order."""
    return np.ascontiguousarray(array, np.float64)


def numbers(tensor: Tensor) -> Any:
    """The tensor's memory, without its gradient."""
    return tensor.detach().numpy() if tensor.requires_grad else tensor.numpy()


def make(
    count: int, columns: int, dtype: torch.dtype, out: Tensor | None, work: Callable[[slice, Any], None]
) -> Tensor:
    """Features ``(count, columns)``, in ``out`` if there is one: ``work`` fills rows of a chunk, float32 or float64."""
    features = memory.empty((count, columns), dtype) if out is None else out
    if dtype in DTYPES:
        target = features.numpy()
        if count * columns <= chunks.CHUNK:
            work(slice(0, count), target)
        else:
            chunks.run(lambda part: work(part, target[part]), count, columns)
        return features

    def chunk(part: slice) -> None:
        own = np.empty((part.stop - part.start, columns), np.float32)
        work(part, own)
        features[part] = torch.from_numpy(own)

    chunks.run(chunk, count, columns)
    return features


def pull_back(gradient: Tensor, lonlat: Tensor, dtype: torch.dtype, work: Callable[[slice, Any, Any], None]) -> Tensor:
    """Gradient of the coordinates, in their dtype: ``work`` takes a chunk, gradients of features, and memory."""
    given = gradient.detach()
    source = given.numpy() if dtype in DTYPES else None
    result = np.empty(lonlat.shape)

    def chunk(part: slice) -> None:
        own = given[part].float().numpy() if source is None else source[part]
        work(part, np.ascontiguousarray(own), result[part])

    chunks.run(chunk, len(lonlat), gradient.shape[1])
    return torch.from_numpy(result).to(lonlat.dtype)


def store_whole_vectors(own: Any, kernel: Callable[[slice, Any], None]) -> None:
    """Let a kernel fill rows, of which it stores whole vectors, one row after the other: so up to 15 numbers too many.

    They are overwritten by the next row; the last rows are made in memory that has room for them. ``kernel`` takes a
    slice of the rows and flat memory that begins with the first of them.
    """
    whole = _rows_before_the_last(own)
    if whole:
        kernel(slice(0, whole), own.reshape(-1))
    last = _with_room(own, whole)
    kernel(slice(whole, len(own)), last.reshape(-1))
    own[whole:] = last[: len(own) - whole]


def load_whole_vectors(own: Any, kernel: Callable[[slice, Any], None]) -> None:
    """Let a kernel read rows, of which it loads whole vectors; as `store_whole_vectors`."""
    whole = _rows_before_the_last(own)
    if whole:
        kernel(slice(0, whole), own.reshape(-1))
    last = _with_room(own, whole)
    last[: len(own) - whole] = own[whole:]
    last[len(own) - whole :] = 0
    kernel(slice(whole, len(own)), last.reshape(-1))


def _spare(columns: int) -> int:
    """Rows that hold what a vector reaches beyond a row at most."""
    return -(-(LANES - 1) // max(columns, 1))


def _rows_before_the_last(own: Any) -> int:
    return max(0, len(own) - _spare(own.shape[1]))


def _with_room(own: Any, whole: int) -> Any:
    return np.empty((len(own) - whole + _spare(own.shape[1]), own.shape[1]), own.dtype)
