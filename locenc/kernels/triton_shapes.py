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


#: Points of the parts whose sums are added to a weight's gradient: those of any tile divide it.
PART = 128
#: Multiprocessors of a card that is not there.
MULTIPROCESSORS = {(8, 0): 108, (8, 6): 84, (9, 0): 132}


class Layer(NamedTuple):
    """Points, columns of a layer and scales of a program that multiplies; its warps and stages.

    ``programs``, if not 0: so many fill the card, and the weight stays in shared memory while each takes tile by tile.
    """

    points: int
    columns: int
    scales: int
    warps: int
    stages: int
    programs: int = 0

    def constants(self) -> dict[str, int]:
        """What a launch of sinusoids takes."""
        sizes = {"POINTS": self.points, "COLUMNS": self.columns, "SCALES": self.scales}
        return {**sizes, "warps": self.warps, "stages": self.stages}


def shared(device: torch.device) -> int:
    """Bytes of shared memory that one program may have."""
    major, minor = capability(device)
    if major in (9, 10, 11):
        return 227 * 1024
    return (163 if (major, minor) in ((8, 0), (8, 7)) else 99) * 1024


def multiprocessors(device: torch.device) -> int:
    """How many a card has; the interpreter counts as one."""
    if _forced is not None:
        return MULTIPROCESSORS.get(_forced, 128)
    return _multiprocessors(device.index) if device.type == "cuda" else 1


@cache
def _multiprocessors(index: int | None) -> int:
    return int(torch.cuda.get_device_properties(index).multi_processor_count)


def hopper(device: torch.device) -> bool:
    """Whether products take a weight from shared memory, without its being copied to registers."""
    return capability(device)[0] in (9, 10, 11)


def registers(device: torch.device, *, many: bool = False) -> int | None:
    """Registers of a thread, at most, where ptxas spills some to fit one more program; None: as it likes.

    Before 9.0 it does so in several kernels, on 9.0 in those alone of which it is known that they want ``many``.
    """
    return 255 if many or not hopper(device) else None


def _lanes(scales: int, most: int) -> int:
    """Scales at a time: 16 or 32, the less beyond the last one."""
    return most if most <= 16 or -(-scales // 16) % 2 == 0 else 16


def _power(count: int, most: int) -> int:
    """A power of 2 from 16 to ``most``, not far above a count."""
    return max(16, min(most, int(triton.next_power_of_2(count))))


def linear(
    device: torch.device,
    dtype: torch.dtype,
    precision: str,
    hidden: int,
    scales: int,
    blocks: int,
    *,
    hold: bool,
    plain: bool,
) -> Layer:
    """Of features with a layer of so many columns: ``blocks`` of ``scales`` columns, whose weight it may hold.

    What follows a sum is ``plain`` if it takes few registers: no sine and no other tile.
    Counted: each column block makes the features again, so they are as wide as registers allow. Before 9.0, a warp has
    all columns of its points, else several would make the same features.
    """
    size, new, limit = dtype.itemsize, hopper(device), shared(device)
    if size == 4 and precision == "ieee":
        columns = _power(hidden, 256 if hold and blocks <= 6 and blocks * 2**14 <= limit - 2**13 else 128)
        return Layer(32 if columns == 256 else 64, columns, 16, 8, 2)
    columns = _power(hidden, 256 if new and plain else 128)
    lanes = _lanes(scales, 64 // size)
    held = blocks * -(-scales // lanes) * lanes * columns * size
    if hold:
        each = (1 if new and size == 2 else size) * columns  # bytes of a point's result on its way out
        if new and held + 64 * each <= limit // 2 - 2**10:
            return Layer(64, columns, lanes, 4, 1, 2 * multiprocessors(device))
        if held + 128 * each + 2**12 <= limit:  # what is loaded ahead takes some
            return Layer(128, columns, lanes, 8, 2, (1 if new or lanes > 16 else 2) * multiprocessors(device))
    while new and 2 * blocks * lanes * columns * size > 200 * 2**10:
        lanes, columns = (lanes // 2, columns) if lanes > 16 else (lanes, columns // 2)
    return Layer(128, columns, lanes, 8, 2)


def linear_weights(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, scales: int, blocks: int
) -> Layer:
    """Of gradients by a layer's weight, ``blocks`` of ``scales`` columns together; counted.

    With two stages, tf32 of 9.0 copies 4 bytes at a time: there, several small programs hide what loads take.
    """
    if dtype.itemsize == 4 and precision == "ieee":
        return Layer(16, _power(hidden, 256), 16, 8, 2)
    new = hopper(device)
    lanes = 16 if blocks > 3 and not new else _lanes(scales, 32)
    if dtype.itemsize == 2:
        return Layer(64, _power(hidden, 256), lanes, 8, 2)
    return Layer(32, _power(hidden, 128), lanes, 4 if new else 8, 1 if new else 2)


def linear_slopes(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, scales: int, blocks: int
) -> Layer:
    """Of gradients by coordinates through a layer, ``blocks`` of ``scales`` columns together; counted."""
    lanes = _lanes(scales, 32)
    if dtype.itemsize == 2:
        return Layer(128, _power(hidden, 64 if hopper(device) else 32), lanes, 8, 2)
    if precision == "ieee":
        return Layer(64, 16, lanes, 4, 2)
    return Layer(64, 16 if blocks > 3 and not hopper(device) else 32, lanes, 4, 1)  # two stages copy by 4 bytes


def harmonics(device: torch.device, degrees: int) -> Tile:
    """Of kernels that write spherical harmonics: two blocks of orders hold all, up to 512; counted, all cards alike."""
    lanes = min(256, max(8, triton.next_power_of_2(degrees) // 2))
    return Tile((512 if lanes < 32 else 1024) // lanes, lanes, 4)


def harmonics_pull_back(device: torch.device, degrees: int) -> Tile:
    """Of their gradients: narrow blocks idle less, wide ones read whole sectors; counted, all cards alike."""
    lanes = 8 if degrees <= 12 else 16 if degrees <= 64 else 32
    return Tile((512 if degrees <= 256 else 256) // lanes, lanes, 4)


def harmonics_linear(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, degrees: int, *, slope: bool
) -> Layer:
    """Of spherical harmonics with a layer, ``scales`` orders in a block: 8, so that few lanes idle; counted.

    ``slope``: of the slopes of the activation, for which a program has a tile of gradients as well.
    """
    columns = max(16, triton.next_power_of_2(hidden))
    if degrees > 256:  # float64
        return Layer(64, min(64, columns), 8, 8, 1)
    if precision == "ieee" and dtype == torch.float32:
        return Layer(64, min(128, columns), 8, 8, 1)
    if capability(device)[0] in (9, 10):
        return Layer(128, min(128 if slope else 256, columns), 8, 8, 2)
    return Layer(64, min(128, columns), 8, 8, 2)  # with twice the points, Triton 3.6 spills


def harmonics_linear_slopes(
    device: torch.device, dtype: torch.dtype, precision: str, hidden: int, degrees: int
) -> Layer:
    """Of their gradients by coordinates, which read the layer's gradient again for each block and degree; counted."""
    columns = max(16, triton.next_power_of_2(hidden))
    orders = 8 if degrees <= 24 else 16
    if degrees > 256:  # float64
        return Layer(32, 16, 8, 4, 1) if capability(device)[0] in (9, 10) else Layer(64, 16, 8, 8, 1)
    if precision == "ieee" and dtype == torch.float32:
        return Layer(128, 16, orders, 8, 1)
    return Layer(128, min(128 // dtype.itemsize, columns), orders, 8, 3)


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
