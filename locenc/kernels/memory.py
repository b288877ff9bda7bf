"""Memory for results."""

import math

import numpy as np
import torch
from torch import Tensor

#: From this size on, numpy asks the system for huge pages: first writes cost a fifth.
HUGE = 2**22
LINE = 64  # bytes of a cache line, and of the widest vector


def check_out(out: Tensor, shape: tuple[int, ...], dtype: torch.dtype, lonlat: Tensor) -> None:
    """Check memory that a caller offers for a result.

    Raises
    ------
    TypeError
        If it is no tensor, or of another dtype.
    ValueError
        If its shape or device is another, it is not contiguous, or gradients are wanted.
    """
    if not isinstance(out, Tensor):
        raise TypeError(
            f"out must be a tensor, got {type(out).__name__}; torch.from_numpy wraps arrays and memory maps"
        )
    if out.dtype != dtype:
        raise TypeError(f"out must have the result's dtype {dtype}, got {out.dtype}")
    if tuple(out.shape) != shape:
        raise ValueError(f"out must have the result's shape {shape}, got {tuple(out.shape)}")
    if out.device != lonlat.device:
        raise ValueError(f"out must be on the coordinates' device {lonlat.device}, got {out.device}")
    if not out.is_contiguous():
        raise ValueError("out must be contiguous; give a contiguous tensor and copy from it")
    if torch.is_grad_enabled() and (lonlat.requires_grad or out.requires_grad):
        raise ValueError("out= keeps no gradients, but the coordinates or out require them: use torch.no_grad()")


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Uninitialised CPU tensor; large ones lie in huge pages, at the start of a cache line."""
    size = math.prod(shape) * dtype.itemsize
    if size < HUGE:
        return torch.empty(shape, dtype=dtype, device="cpu")
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    storage = torch.from_numpy(memory[start : start + size]).untyped_storage()
    # No view, so that it may be changed in place where a gradient flows.
    return torch.empty(0, dtype=dtype, device="cpu").set_(storage).resize_(shape)
