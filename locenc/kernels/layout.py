"""What the integers of a sinusoid layout mean: coordinates, reach, number of phases, the phases, then the blocks.

Coordinates are what phases are linear forms of: longitude and latitude in degrees (`LONLAT`), the point on the unit
sphere (`XYZ`), or the Equal Earth projection in radii of the sphere (`EQUAL_EARTH`).

The reach says how far phases go: `NEAR`, at most 2^20 half turns (and a few), or `FAR`, more or unknown. Kernels with
little float64 at hand make use of it.

The fields of a phase are its length, which is the number of its frequencies, and its axis: the one coordinate that it
depends on, without a shift, or `OBLIQUE`.

The fields of a block are combine (`ELEMENTWISE`, `OUTER`), phase a, function a, phase b, function b. A function is
`SIN`, `COS`, or `ONE` for b where the block is a single sinusoid.
"""

from typing import NamedTuple

LONLAT, XYZ, EQUAL_EARTH = 0, 1, 2
DIMENSIONS = {LONLAT: 2, XYZ: 3, EQUAL_EARTH: 2}
NEAR, FAR = 0, 1
OBLIQUE = -1
SIN, COS, ONE = 0, 1, 2
ELEMENTWISE, OUTER = 0, 1
HEAD, PHASE_FIELDS, BLOCK_FIELDS = 3, 2, 5


class Block(NamedTuple):
    """Columns of one block: the fields, then how many columns there are."""

    combine: int
    phase_a: int
    function_a: int
    phase_b: int
    function_b: int
    columns: int


def phases(layout: tuple[int, ...]) -> list[tuple[int, int]]:
    """Length and axis of each phase."""
    fields = layout[HEAD : HEAD + PHASE_FIELDS * layout[HEAD - 1]]
    return [(fields[i], fields[i + 1]) for i in range(0, len(fields), PHASE_FIELDS)]


def blocks(layout: tuple[int, ...]) -> list[Block]:
    """The blocks in order."""
    lengths = [length for length, _ in phases(layout)]
    found = []
    for start in range(HEAD + PHASE_FIELDS * layout[HEAD - 1], len(layout), BLOCK_FIELDS):
        combine, a, function_a, b, function_b = layout[start : start + BLOCK_FIELDS]
        if function_b == ONE:
            columns = lengths[a]
        elif combine == OUTER:
            columns = lengths[a] * lengths[b]
        else:
            columns = max(lengths[a], lengths[b])
        found.append(Block(combine, a, function_a, b, function_b, columns))
    return found


def columns(layout: tuple[int, ...]) -> int:
    """Number of columns of all blocks."""
    return sum(block.columns for block in blocks(layout))
