"""What kernels of sinusoids are given: coordinates and frequencies as they load them, and what is made of these."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from locenc.kernels.triton_coordinates import coordinates, split
from locenc.kernels.triton_plan import Plan, plan


class Operands(NamedTuple):
    """Features to be made.

    Attributes
    ----------
    planes, table : Tensor
        Of coordinates and frequencies, by `locenc.kernels.triton_coordinates`.
    frequencies : Tensor
        As they are.
    spec : Plan
        What is made of them,
    amplitude : float
        times this.
    """

    planes: Tensor
    table: Tensor
    frequencies: Tensor
    spec: Plan
    amplitude: float

    def constants(self) -> dict[str, Any]:
        """Compile-time parameters of what evaluates phases."""
        return self.spec.constants(self.frequencies)


def operands(
    lonlat: Tensor, frequencies: Tensor, fields: Sequence[int], amplitude: float, *, paired: bool = False
) -> Operands:
    """Prepare them, of an operator's arguments; paired: two float32 numbers stand in 8 bytes."""
    spec = plan(tuple(fields))
    planes = coordinates(lonlat, spec.kind, spec.wide, paired=paired)
    return Operands(planes, split(frequencies, spec.wide, paired=paired), frequencies, spec, amplitude)
