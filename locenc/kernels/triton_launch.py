"""How Triton kernels are started: on the device of their tensors, with arithmetic as it is written."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Launch(NamedTuple):
    """What a kernel was asked for, enough to compile it.

    Attributes
    ----------
    kernel : JITFunction
        Defined by ``@triton.jit``.
    arguments : tuple
        Tensors and numbers, in the order of the parameters.
    constants : dict
        Compile-time parameters.
    warps, stages : int
        Warps of a program, and stages of its pipelined loops.
    registers : int, optional
        A thread's, at most. The assembler else spills a few so that one more program fits.
    """

    kernel: Any
    arguments: tuple[Any, ...]
    constants: dict[str, Any]
    warps: int
    stages: int
    registers: int | None = None


_recorded: list[Launch] | None = None


@contextmanager
def recording() -> Iterator[list[Launch]]:
    """Collect launches instead of running them: results hold what their memory held. For tests, in one thread."""
    global _recorded
    _recorded = []
    try:
        yield _recorded
    finally:
        _recorded = None


def launch(
    kernel: Any,
    grid: tuple[int, ...],
    *arguments: Any,
    warps: int = 4,
    stages: int = 1,
    registers: Any = None,
    **constants: Any,
) -> None:
    """Start a kernel, unless its grid is empty.

    Parameters
    ----------
    kernel : JITFunction
        Defined by ``@triton.jit``.
    grid : tuple of int
        Number of programs along up to three axes.
    *arguments : Tensor, int or float
        In the order of the parameters; the first is a tensor, on whose device and current stream the kernel runs.
    warps, stages, registers : int
        As in `Launch`.
    **constants
        Compile-time parameters.

    Notes
    -----
    A multiplication and an addition are fused where the source says ``fma`` and nowhere else, whatever Triton does by
    default: the reduction of phases must not depend on it, though it is written to be right either way.
    """
    if _recorded is not None:
        _recorded.append(Launch(kernel, arguments, constants, warps, stages, registers))
        return
    if 0 in grid:
        return
    device = arguments[0].device
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        options = {"num_warps": warps, "num_stages": stages, "maxnreg": registers, "enable_fp_fusion": False}
        kernel[grid](*arguments, **constants, **options)


def empty(shape: tuple[int, ...], like: Tensor, dtype: torch.dtype) -> Tensor:
    """New memory on a tensor's device."""
    return torch.empty(shape, dtype=dtype, device=like.device)


def blocks(count: int, size: int) -> int:
    """How many blocks of a size hold so many."""
    return -(-count // size)


def input_precision(dtype: torch.dtype) -> str:
    """How ``tl.dot`` multiplies numbers of a dtype: float32 exactly, or as tf32 where torch's products may be."""
    matmul = torch.backends.cuda.matmul
    new = hasattr(matmul, "fp32_precision")  # from torch 2.9 on, where the older spelling may raise
    allowed = matmul.fp32_precision == "tf32" if new else matmul.allow_tf32
    return "tf32" if allowed and dtype == torch.float32 else "ieee"
