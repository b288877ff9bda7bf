"""Sizes of tiles by architecture: counted from compiled code, until somebody measures them on a card.

A card takes the table of the nearest architecture at or below its own. Shared memory for a program: 163 kB on 8.0,
99 kB on 8.6, 8.9 and 12, 227 kB on 9.0 and 10. What counts: no spills, 16-byte stores, tensor cores in use; see
docs/gpu.md, and `python -m benchmarks.compiled`, which prints registers, spills and instructions of every shape here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import NamedTuple

import torch
import triton

from locenc.kernels.choice import interpreted

_forced: tuple[int, int] | None = None


class Tile(NamedTuple):
    """Points and scales (lanes) of a program, and its warps."""

    points: int
    scales: int
    warps: int


@contextmanager
def architecture(capability: tuple[int, int]) -> Iterator[None]:
    """Choose shapes as for a card of this compute capability: for compiling without one. In one thread."""
    global _forced
    _forced = capability
    try:
        yield
    finally:
        _forced = None


def capability(device: torch.device) -> tuple[int, int]:
    """Compute capability of a card; the interpreter counts as 8.0."""
    if _forced is not None:
        return _forced
    return (8, 0) if interpreted() and device.type == "cpu" else _of(device.index)


@cache
def _of(index: int | None) -> tuple[int, int]:
    return torch.cuda.get_device_capability(index)


def encode(device: torch.device, scales: int) -> Tile:
    """Of kernels that write features; counted, all architectures alike: 80 registers, 16-byte stores."""
    lanes = min(64, triton.next_power_of_2(scales))
    return Tile(2048 // lanes if lanes >= 16 else 128, lanes, 4)


def pull_back(device: torch.device, scales: int) -> Tile:
    """Of gradients by coordinates: a program sums over all scales."""
    lanes = min(32, triton.next_power_of_2(scales))
    return Tile(1024 // lanes if lanes >= 16 else 128, lanes, 4)


def radial_basis(device: torch.device, anchors: int) -> Tile:
    """Of radial basis functions: as `encode`, with few lanes beyond the last anchor."""
    lanes = min((64, 32, 16), key=lambda lanes: -(-anchors // lanes) * lanes)
    return Tile(2048 // lanes, lanes, 4)


def radial_basis_pull_back(device: torch.device, anchors: int) -> Tile:
    """Of their gradients; twice the points spill 8 bytes on 8.6."""
    return Tile(16, 32, 4)


def harmonics(device: torch.device, degrees: int) -> Tile:
    """Of kernels that write spherical harmonics: two blocks of orders hold all, up to 512; counted."""
    lanes = min(256, max(8, triton.next_power_of_2(degrees) // 2))
    return Tile(max(4, 1024 // lanes), lanes, 4)


def harmonics_pull_back(device: torch.device, degrees: int) -> Tile:
    """Of their gradients; counted."""
    lanes = min((32, 16, 8), key=lambda lanes: -(-degrees // lanes) * lanes)
    return Tile(1024 // lanes, lanes, 4)
