"""Memory for results."""

import math

import numpy as np
import torch
from torch import Tensor

#: From this size on, numpy asks the system for huge pages: first writes cost a fifth.
HUGE = 2**22
LINE = 64  # bytes of a cache line, and of the widest vector


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Uninitialised CPU tensor; large ones lie in huge pages, at the start of a cache line."""
    size = math.prod(shape) * dtype.itemsize
    if size < HUGE:
        return torch.empty(shape, dtype=dtype, device="cpu")
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return torch.from_numpy(memory[start : start + size]).view(dtype).view(shape)
