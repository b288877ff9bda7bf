"""Which implementation runs: the fastest that can, unless one is asked for."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TypeVar

import torch

_F = TypeVar("_F", bound=Callable[..., str | None])

BACKENDS = ("reference", "numba", "triton")


class _Forced(threading.local):  # not a ContextVar, which torch.compile cannot trace
    name: str | None = None


_forced = _Forced()


def _constant(function: _F) -> _F:
    """Let the compiler take what a function gives for a constant.

    As `torch.compiler.assume_constant_result`, which imports the compiler: a second.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


@contextmanager
def backend(name: str) -> Iterator[None]:
    """Ask for one implementation within a ``with`` block, in this thread.

    Parameters
    ----------
    name : str
        ``"reference"`` (plain torch: any device, any order of gradients), ``"numba"`` (CPU) or ``"triton"`` (CUDA).

    Raises
    ------
    ValueError
        For another name.
    RuntimeError
        If that implementation cannot run here; the message says why. Calls within the block raise it too, for
        coordinates on a device that it has no kernels for.

    Notes
    -----
    A function that `torch.compile` has compiled keeps the implementation that it was compiled with. Where only the
    reference has a meaning it runs whatever is asked for: in exported programs, under functional transforms and
    forward-mode differentiation, for derivatives of higher order, and for gradients of other tensors than coordinates.

    Examples
    --------
    >>> encoder = locenc.position_encoder("xyz")
    >>> with backend("reference"):
    ...     encoder(torch.tensor([[0.0, 0.0]]))
    tensor([[1., 0., 0.]])
    """
    if not isinstance(name, str) or name not in BACKENDS:
        raise ValueError(f"unknown backend {name!r}; there are {', '.join(map(repr, BACKENDS))}")
    if reason := missing(name):
        raise RuntimeError(f"the {name} backend cannot run here: {reason}")
    before, _forced.name = _forced.name, name
    try:
        yield
    finally:
        _forced.name = before


@_constant
def forced() -> str | None:
    """The implementation that this thread asks for, or None."""
    return _forced.name


@_constant
def chosen(device: str) -> str:
    """Name of the implementation that runs for tensors of a device type."""
    name = _forced.name
    if name is None:
        return default(device)
    if name == "numba" and device != "cpu":
        raise RuntimeError(f"the numba backend is for the CPU, but the coordinates are on {device}")
    if name == "triton" and device != ("cpu" if interpreted() else "cuda"):
        raise RuntimeError(
            f"the triton backend is for {'the CPU, by its interpreter' if interpreted() else 'CUDA'}, but the "
            f"coordinates are on {device}"
        )
    return name


@_constant
def default(device: str) -> str:
    """The implementation for a device type where none is asked for."""
    fastest = {"cpu": "numba", "cuda": "triton"}.get(device)
    return fastest if fastest and missing(fastest) is None and not (device == "cuda" and interpreted()) else "reference"


def interpreted() -> bool:
    """Whether Triton's interpreter is asked for, which runs its kernels on the CPU: for tests, it is slow."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def exporting() -> bool:
    """Whether `torch.export` traces. `torch.compiler.is_exporting` says so of `torch.compile` too, until torch 2.11."""
    return torch.compiler._is_exporting_flag


@cache
def missing(name: str) -> str | None:
    """Why an implementation cannot run on this machine, or None."""
    return {"numba": _numba_missing, "triton": _triton_missing}[name]() if name in ("numba", "triton") else None


def _numba_missing() -> str | None:
    try:
        numba = import_module("numba")
    except ImportError as error:
        return f"numba cannot be imported ({error})"
    except Exception as error:  # a broken installation raises anything: AttributeError, SystemError, OSError
        return f"numba fails to import ({type(error).__name__}: {error})"
    if numba.config.DISABLE_JIT:
        return "NUMBA_DISABLE_JIT is set"
    from locenc.kernels.processor import processor

    try:
        cpu = processor()
    except Exception as error:  # what LLVM makes of code that it does not know
        return f"numba {numba.__version__} cannot compile the kernels ({type(error).__name__}: {error!s:.80})"
    if not cpu.fuses:
        return f"the CPU that numba compiles for ({cpu.name}) has no fused multiply-add, which exact kernels need"
    return None


def _triton_missing() -> str | None:
    if not interpreted():
        if torch.version.hip is not None:
            return "torch was built for ROCm, and the kernels are for NVIDIA cards"
        if not torch.cuda.is_available():
            return "torch finds no CUDA device"
        for index in range(torch.cuda.device_count()):
            major, minor = torch.cuda.get_device_capability(index)
            if major < 8:
                name = torch.cuda.get_device_name(index)
                return f"the kernels are for compute capability 8.0 and newer, but {name} has {major}.{minor}"
    try:
        import_module("triton.language")
    except ImportError as error:
        return f"triton cannot be imported ({error}){'' if sys.platform == 'linux' else '; it is for Linux'}"
    except Exception as error:  # a broken installation
        return f"triton fails to import ({type(error).__name__}: {error})"
    return None
