"""Sizes of tiles by architecture: counted from compiled code, until somebody measures them on a card.

A card takes the table of the nearest architecture at or below its own. Shared memory for a program: 163 kB on 8.0,
99 kB on 8.6, 8.9 and 12, 227 kB on 9.0 and 10. What counts: no spills, 16-byte stores, tensor cores in use; see
docs/gpu.md, and `python -m benchmarks.compiled`, which prints registers, spills and instructions of every shape here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import torch
import triton

from locenc.kernels.choice import interpreted

_forced: tuple[int, int] | None = None


class Tile(NamedTuple):
    """Points and scales (lanes) of a program, and its warps."""

    points: int
    scales: int
    warps: int

    def constants(self) -> dict[str, int]:
        """What a launch of sinusoids takes."""
        return {"POINTS": self.points, "SCALES": self.scales, "warps": self.warps}


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


def registers(device: torch.device) -> int | None:
    """Of a thread that sums by frequencies, at most: before 9.0, ptxas else spills some to fit one more program."""
    return None if capability(device)[0] in (9, 10, 11) else 255


def _power(count: int, most: int) -> int:
    """A power of 2 from 16 to ``most``, not far above a count."""
    return max(16, min(most, int(triton.next_power_of_2(count))))


def harmonics(device: torch.device, degrees: int) -> Tile:
    """Of kernels that write spherical harmonics: two blocks of orders hold all, up to 512; counted, all cards alike."""
    lanes = min(256, max(8, triton.next_power_of_2(degrees) // 2))
    return Tile((512 if lanes < 32 else 1024) // lanes, lanes, 4)


def harmonics_pull_back(device: torch.device, degrees: int) -> Tile:
    """Of their gradients: narrow blocks idle less, wide ones read whole sectors; counted, all cards alike."""
    lanes = 8 if degrees <= 12 else 16 if degrees <= 64 else 32
    return Tile((512 if degrees <= 256 else 256) // lanes, lanes, 4)


class Attention(NamedTuple):
    """Points, sites and columns of a program that attends, its warps and stages. Sites divide 64; counted."""

    points: int
    sites: int
    columns: int
    warps: int
    stages: int

    def constants(self, precision: str) -> dict[str, Any]:
        """What a launch takes, with how products are made."""
        sizes = {"POINTS": self.points, "SITES": self.sites, "COLUMNS": self.columns}
        return {**sizes, "PRECISION": precision, "warps": self.warps, "stages": self.stages, "registers": 255}


def largest_score(device: torch.device) -> Tile:
    """Of the largest scores of sites."""
    return Tile(64, 16, 4)


def attend(device: torch.device, width: int, precision: str) -> Attention:
    """Of means of embeddings of so many columns; with more sites or points a thread has too many points."""
    columns = _power(width, 128)
    return Attention(32, 16, columns, 4, 2) if precision == "ieee" else Attention(128, 16, columns, 8, 2)


def attend_slopes(device: torch.device, precision: str) -> Attention:
    """Of their gradients by places and keys."""
    return Attention(64, 64, 32, 8, 1 if precision == "ieee" else 2)


def attend_embeddings(device: torch.device, width: int, precision: str) -> Attention:
    """Of their gradients by embeddings; with two stages, tf32 of 9.0 copies 4 bytes at a time."""
    return Attention(32, 64, _power(width, 128), 8, 1)
