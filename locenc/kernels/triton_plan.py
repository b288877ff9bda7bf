"""A layout of sinusoids as the Triton kernels read it: tuples of integers, known when a kernel is compiled.

A phase is (first frequency, length, axis). A block that multiplies scale by scale is (first column, columns, phase a,
function a, phase b, function b), with `NONE` for phase b where it is a single sinusoid: lanes run over scales, and each
phase is evaluated once. Blocks of two phases of which every scale meets every other are grouped by these phases. Tuples
hold nothing but integers: more, older Tritons do not take.
"""

from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from locenc.kernels import layout

Phase = tuple[int, int, int]
Block = tuple[int, int, int, int, int, int]
NONE = -1


class Outer(NamedTuple):
    """Blocks ``(first column, function of the first, function of the second)`` of two phases, the first slow."""

    first: Phase
    second: Phase
    blocks: tuple[tuple[int, int, int], ...]

    def constants(self) -> dict[str, Any]:
        """Compile-time parameters: the first phase stands for one of its scales, of which there are COUNT."""
        start, count, axis = self.first
        return {"PHASES": ((start, 1, axis), self.second), "COUNT": count, "BLOCKS": self.blocks}


class Plan(NamedTuple):
    """A layout in the kernels' terms.

    Attributes
    ----------
    kind : int
        Of coordinates.
    wide : bool
        Whether phases are float64.
    columns : int
        Number of features F.
    phases, blocks : tuple
        Of what is multiplied scale by scale.
    scales : int
        Largest length of these phases, 0 where there are none.
    outers : tuple of Outer
        The rest.
    """

    kind: int
    wide: bool
    columns: int
    phases: tuple[Phase, ...]
    blocks: tuple[Block, ...]
    scales: int
    outers: tuple[Outer, ...]

    def constants(self, frequencies: Tensor) -> dict[str, Any]:
        """Compile-time parameters of what evaluates phases: see `locenc.kernels.triton_waves`."""
        dimensions = layout.DIMENSIONS[self.kind]
        return {"DIMENSIONS": dimensions, "SHIFTED": frequencies.shape[1] > dimensions, "WIDE": self.wide}


@cache
def plan(fields: tuple[int, ...]) -> Plan:
    """Lower a layout; see `locenc.kernels.layout`."""
    phases: list[Phase] = []
    frequency = 0
    for length, axis in layout.phases(fields):
        phases.append((frequency, length, axis))
        frequency += length
    used: list[Phase] = []
    blocks: list[Block] = []
    outers: dict[tuple[int, int], list[tuple[int, int, int]]] = {}
    column = 0
    for block in layout.blocks(fields):
        a, b = block.phase_a, block.phase_b
        single = block.function_b == layout.ONE
        if block.combine == layout.OUTER and not single and 1 not in (phases[a][1], phases[b][1]):
            outers.setdefault((a, b), []).append((column, block.function_a, block.function_b))
        else:
            for phase in [a] if single else [a, b]:
                if phases[phase] not in used:
                    used.append(phases[phase])
            second = NONE if single else used.index(phases[b])
            blocks.append((column, block.columns, used.index(phases[a]), block.function_a, second, block.function_b))
        column += block.columns
    scales = max((columns for _, columns, *_ in blocks), default=0)
    grouped = tuple(Outer(phases[a], phases[b], tuple(found)) for (a, b), found in outers.items())
    return Plan(fields[0], fields[1] == layout.FAR, column, tuple(used), tuple(blocks), scales, grouped)
