"""Blocks of sinusoids in groups that one program of a fused layer's gradients makes together.

Each block of a group has an accumulator of its own, so there are few; blocks of the same phases stand together, that no
phase is evaluated more often than need be. Blocks of one column, of phases of one scale, are packed side by side into
one tile. Where every scale of one phase meets every scale of another, a group stands for one scale of the first.
"""

from functools import cache
from typing import Any, NamedTuple

from locenc.kernels.triton_plan import NONE, Block, Phase, Plan

#: Accumulators of a program.
TOGETHER = 4
#: Blocks of one column in a tile.
PACKED = 16


class Group(NamedTuple):
    """Phases and blocks, as in `locenc.kernels.triton_plan`.

    Attributes
    ----------
    phases, blocks : tuple
        Block's phases are places in these phases.
    lanes : int
        Largest number of columns of a block; where they are packed, number of blocks.
    packed : bool
        Whether each block has one column.
    firsts, step : int
        Scales of the first phase, and columns between one and the next; 1 and 0 where the first phase is like others.
    """

    phases: tuple[Phase, ...]
    blocks: tuple[Block, ...]
    lanes: int
    packed: bool
    firsts: int
    step: int

    @property
    def products(self) -> int:
        """How many a program makes of each tile of points and scales."""
        return 1 if self.packed else len(self.blocks)

    def constants(self) -> dict[str, Any]:
        """Compile-time parameters."""
        return {
            "PHASES": self.phases,
            "BLOCKS": self.blocks,
            "LANES": self.lanes,
            "PACKED": self.packed,
            "COUNT": self.firsts,
            "STEP": self.step,
        }


def several(plan: Plan) -> tuple[Block, ...]:
    """Blocks of a plan that have more than one column."""
    return tuple(block for block in plan.blocks if block[1] > 1)


def by_last_phase(blocks: tuple[Block, ...]) -> tuple[tuple[int, ...], ...]:
    """Blocks with the last of their phases behind, by which they are sorted."""
    return tuple(sorted(((*block, max(block[2], block[4])) for block in blocks), key=lambda block: block[-1]))


def single(plan: Plan) -> tuple[Block, ...]:
    """Blocks of a plan that have one column."""
    return tuple(block for block in plan.blocks if block[1] == 1)


def outer_constants(plan: Plan) -> dict[str, Any]:
    """Compile-time parameters of all blocks whose scales all meet, together.

    Phases stand in pairs, the first for one of its scales; blocks are as in a plan, with the number of their pair
    behind.
    """
    phases: list[Phase] = []
    blocks = []
    for number, ((start, _, axis), second, own) in enumerate(plan.outers):
        phases += [(start, 1, axis), second]
        blocks += [(first, second[1], 0, a, 1, b, number) for first, a, b in own]
    counts = tuple((outer.first[1],) for outer in plan.outers)
    return {"OUTER_PHASES": tuple(phases), "OUTER_COUNTS": counts, "OUTER_BLOCKS": tuple(blocks)}


@cache
def groups(plan: Plan) -> tuple[Group, ...]:
    """All blocks of a plan."""
    found = []
    alike = sorted(several(plan), key=lambda block: (block[2], block[4]))
    for blocks, together in ((alike, TOGETHER), (single(plan), PACKED)):
        for start in range(0, len(blocks), together):
            found.append(_group(plan, blocks[start : start + together]))
    for outer in plan.outers:
        (start, count, axis), second = outer.first, outer.second
        columns = second[1]
        for begin in range(0, len(outer.blocks), TOGETHER):
            own = tuple((first, columns, 0, a, 1, b) for first, a, b in outer.blocks[begin : begin + TOGETHER])
            found.append(Group(((start, 1, axis), second), own, columns, False, count, columns))
    return tuple(found)


def _group(plan: Plan, blocks: tuple[Block, ...] | list[Block]) -> Group:
    used = sorted({place for block in blocks for place in (block[2], block[4]) if place != NONE})
    place = {NONE: NONE} | {phase: number for number, phase in enumerate(used)}
    own = tuple((first, columns, place[a], f, place[b], g) for first, columns, a, f, b, g in blocks)
    packed = own[0][1] == 1
    lanes = len(own) if packed else max(columns for _, columns, *_ in own)
    return Group(tuple(plan.phases[phase] for phase in used), own, lanes, packed, 1, 0)
