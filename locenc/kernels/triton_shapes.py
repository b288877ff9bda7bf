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


#: Points of the parts whose sums are added to a weight's gradient: any tile's are a divisor.
PART = 128


class Layer(NamedTuple):
    """Points, columns of the layer and scales of a program that multiplies, its warps and stages.

    ``programs``, if not 0: so many fill the card, and the weight stays in shared memory while each takes tile by tile.
    """

    points: int
    columns: int
    scales: int
    warps: int
    stages: int
    programs: int = 0


def _lanes(scales: int, most: int) -> int:
    """Scales at a time: at least 16, a power of 2, with few beyond the last one."""
    return most if most <= 16 or -(-scales // 16) % 2 == 0 else 16


def linear(device: torch.device, dtype: torch.dtype, precision: str, hidden: int, scales: int, blocks: int) -> Layer:
    """Of features with a layer of so many columns; ``blocks`` of ``scales`` columns each, 0 if they are too many."""
    columns = max(16, min(128, triton.next_power_of_2(hidden)))
    if dtype == torch.float32 and precision == "ieee":
        return Layer(64, columns, 16, 8, 1)
    lanes = _lanes(scales, 32 if dtype.itemsize == 2 else 16)
    return Layer(128, columns, lanes, 8, 2, 264 if 0 < blocks * scales <= 192 else 0)


def linear_weights(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, scales: int, blocks: int
) -> Layer:
    """Of gradients by a layer's weight, ``blocks`` of ``scales`` columns together."""
    return Layer(32, max(16, min(64, triton.next_power_of_2(hidden))), _lanes(scales, 32), 4, 2)


def linear_slopes(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, scales: int, blocks: int
) -> Layer:
    """Of gradients by coordinates through a layer, ``blocks`` of ``scales`` columns together."""
    return Layer(64, max(16, min(64, triton.next_power_of_2(hidden))), _lanes(scales, 32), 4, 2)


def harmonics(device: torch.device, degrees: int) -> Tile:
    """Of kernels that write spherical harmonics: two blocks of orders hold all, up to 512; counted, all cards alike."""
    lanes = min(256, max(8, triton.next_power_of_2(degrees) // 2))
    return Tile((512 if lanes < 32 else 1024) // lanes, lanes, 4)


def harmonics_pull_back(device: torch.device, degrees: int) -> Tile:
    """Of their gradients: narrow blocks idle less, wide ones read whole sectors; counted, all cards alike."""
    lanes = 8 if degrees <= 12 else 16 if degrees <= 64 else 32
    return Tile(512 // lanes, lanes, 4)


def harmonics_linear(device: torch.device, dtype: torch.dtype, precision: str, hidden: int, degrees: int) -> Layer:
    """Of spherical harmonics with a layer; ``scales`` are the orders of a block; counted."""
    orders = 16 if degrees <= 64 else 32
    if precision == "ieee" and dtype == torch.float32:
        return Layer(64, max(16, min(128, triton.next_power_of_2(hidden))), 16, 8, 1)
    return Layer(128, max(16, min(128, triton.next_power_of_2(hidden))), orders, 8, 2)


def harmonics_linear_slopes(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, degrees: int
) -> Layer:
    """Of their gradients by coordinates; counted."""
    return Layer(64, max(16, min(64, triton.next_power_of_2(hidden))), 16, 4, 2)
