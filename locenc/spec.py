"""A sinusoidal encoder as data: named phases, and products of at most two sinusoids of them.

A spec reads like the paper's equation::

    Spec(sin(lats), cos(lats) * cos(lon), cos(lons) * cos(lat), cos(lats) * sin(lon), sin(lons) * cos(lat))

It lowers to a table of frequencies and a layout of integers: all that an implementation is given.
Frequencies are exact decimals until the table rounds them to float64, once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import NamedTuple

import torch
from torch import Tensor

from locenc.kernels.layout import (
    BLOCK_FIELDS,
    COS,
    DIMENSIONS,
    ELEMENTWISE,
    FAR,
    LONLAT,
    NEAR,
    OBLIQUE,
    ONE,
    OUTER,
    SIN,
    XYZ,
)

#: Forty digits: every frequency is computed with these and rounded once.
DIGITS = Context(prec=40)
PI = Decimal("3.141592653589793238462643383279502884197")

_AXES = {"lon": (1, 0), "lat": (0, 1), "x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
#: The largest coordinates, and the phase in half turns up to which a layout is `NEAR`.
_ENDS = {LONLAT: (180, 90), XYZ: (1, 1, 1)}
_NEAR = 2**21
_RADIANS = (DIGITS.divide(Decimal(1), Decimal(180)),)


@dataclass(frozen=True)
class Phase:
    """S linear forms of D coordinates, in half turns per unit: ``coefficients`` is (S, D)."""

    coefficients: tuple[tuple[Decimal, ...], ...]

    def __len__(self) -> int:
        return len(self.coefficients)

    @property
    def axis(self) -> int:
        """The one coordinate that all its forms depend on; `OBLIQUE` if there are several."""
        used = {axis for row in self.coefficients for axis, weight in enumerate(row) if weight}
        return used.pop() if len(used) == 1 else OBLIQUE


@dataclass(frozen=True)
class Block:
    """One sinusoid, or the product of two; ``combine`` is elementwise (one scale broadcasts) or outer."""

    factors: tuple[tuple[Phase, int], ...]
    combine: int = ELEMENTWISE

    def __mul__(self, other: "Block") -> "Block":
        return _product(self, other, ELEMENTWISE)

    def __len__(self) -> int:
        lengths = [len(phase) for phase, _ in self.factors]
        if self.combine == OUTER:
            return lengths[0] * lengths[1]
        return max(lengths)


class Table(NamedTuple):
    """What an implementation needs of a spec.

    Attributes
    ----------
    frequencies : Tensor
        ``(K, D)`` float64, half turns per unit of each coordinate; the rows of all phases in turn.
    layout : tuple of int
        Which columns to make of them, as `locenc.kernels.layout` says.
    """

    frequencies: Tensor
    layout: tuple[int, ...]


def phase(direction: str | Sequence[Decimal], scales: Sequence[Decimal] = _RADIANS) -> Phase:
    """A phase along an axis or a direction, at one or several scales.

    Parameters
    ----------
    direction : str or sequence of Decimal
        ``"lon"`` or ``"lat"`` in degrees; ``"x"``, ``"y"`` or ``"z"`` on the unit sphere; or the weights of all
        coordinates.
    scales : sequence of Decimal
        Frequencies in half turns per unit. The default is for degrees, the angle itself: one radian of phase for one
        radian of longitude or latitude.
    """
    weights = [Decimal(weight) for weight in (_AXES[direction] if isinstance(direction, str) else direction)]
    return Phase(tuple(tuple(DIGITS.multiply(weight, scale) for weight in weights) for scale in scales))


def sin(of: Phase) -> Block:
    """The sine of a phase."""
    return Block(((of, SIN),))


def cos(of: Phase) -> Block:
    """The cosine of a phase."""
    return Block(((of, COS),))


def outer(first: Block, second: Block) -> Block:
    """Every scale of the first times every scale of the second; the first is the slow index."""
    return _product(first, second, OUTER)


def _product(first: Block, second: Block, combine: int) -> Block:
    if len(first.factors) != 1 or len(second.factors) != 1:
        raise ValueError("a block is a product of at most two sinusoids")
    if combine == ELEMENTWISE and 1 not in (len(first), len(second)) and len(first) != len(second):
        raise ValueError(f"cannot multiply {len(first)} scales with {len(second)} scales; use outer()")
    return Block(first.factors + second.factors, combine)


class Spec:
    """Blocks of feature columns, in order; all scales of a block stand together.

    Parameters
    ----------
    *blocks : Block
        Sinusoids and products of two.
    """

    def __init__(self, *blocks: Block) -> None:
        self.blocks = blocks

    def __len__(self) -> int:
        """Number of feature columns."""
        return sum(len(block) for block in self.blocks)

    def table(self) -> Table:
        """Lower to frequencies and layout; equal phases are stored once."""
        phases = list(dict.fromkeys(of for block in self.blocks for of, _ in block.factors))
        rows = [row for of in phases for row in of.coefficients]
        dimensions = {len(row) for row in rows}
        kind = XYZ if dimensions == {DIMENSIONS[XYZ]} else LONLAT
        reach = max(sum(abs(value) * end for value, end in zip(row, _ENDS[kind], strict=True)) for row in rows)
        layout = [kind, NEAR if reach <= _NEAR else FAR, len(phases)]
        layout += [field for of in phases for field in (len(of), of.axis)]
        for block in self.blocks:
            factors = [field for of, function in block.factors for field in (phases.index(of), function)]
            layout += [block.combine, *[*factors, 0, ONE][: BLOCK_FIELDS - 1]]
        table = [[float(value) for value in row] for row in rows]
        return Table(torch.tensor(table, dtype=torch.float64, device="cpu"), tuple(layout))
