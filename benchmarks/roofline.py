"""What compiled code could reach at most, counted from instructions: a bound, not a measurement.

Every scheduler starts an instruction of 32 lanes a cycle; units of fewer lanes are busy for longer. How many numbers a
multiprocessor works on in a cycle is from the table of throughputs in the CUDA C++ Programming Guide; clocks and
bandwidths are from the cards' data sheets. Latencies, caches and shared memory are not in it.
"""

from collections import Counter
from typing import NamedTuple

from benchmarks.machine_code import UNITS, Code, count


class Chip(NamedTuple):
    """A card.

    Attributes
    ----------
    name : str
        As it is sold.
    multiprocessors : int
        How many there are.
    clock, bandwidth : float
        Cycles and bytes a second.
    lanes : dict
        Numbers that a multiprocessor works on in a cycle, by `benchmarks.machine_code.UNITS`.
    """

    name: str
    multiprocessors: int
    clock: float
    bandwidth: float
    lanes: dict[str, int]


_LANES = {"product": 64, "integer": 64, "special": 16}
CHIPS = {
    80: Chip("A100 SXM 80 GB", 108, 1.41e9, 2.039e12, {**_LANES, "float32": 64, "float64": 32}),
    90: Chip("H100 SXM", 132, 1.755e9, 3.35e12, {**_LANES, "float32": 128, "float64": 64}),
}
#: Numbers of instructions that schedulers of a multiprocessor start in a cycle.
STARTED = 128


def cycles(instructions: Counter[str], chip: Chip) -> float:
    """Cycles that a multiprocessor needs for a thread's instructions, if other threads hide all waiting."""
    busy = {unit: count(instructions, pattern) / chip.lanes[unit] for unit, pattern in UNITS.items()}
    products = busy.pop("product") + busy.pop("float32")  # the same unit
    return max(instructions.total() / STARTED, products, *busy.values())


def write_share(code: Code, size: int, chip: Chip) -> float | None:
    """Share of the bandwidth at which code can write numbers of so many bytes; None if its loop writes none."""
    stored = code.stored(size)
    if not stored:
        return None
    seconds = cycles(code.body, chip) / (chip.multiprocessors * chip.clock)
    return min(1.0, stored * size / chip.bandwidth / seconds)
