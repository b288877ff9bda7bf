"""What compiled code could reach at most, counted from instructions: a bound, not a measurement.

Every scheduler starts an instruction of 32 lanes a cycle; units of fewer lanes are busy for longer. How many numbers a
multiprocessor works on in a cycle is from the table of throughputs in the CUDA C++ Programming Guide; clocks and
bandwidths are from the cards' data sheets. Latencies, caches and shared memory are not in it.
"""

import re
from collections import Counter
from typing import NamedTuple

from benchmarks.machine_code import UNITS, Code, count

TENSOR = "HMMA|HGMMA"


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
    products : int
        Products of 16-bit numbers that its tensor cores add up in a cycle; half as many of TF32.
    """

    name: str
    multiprocessors: int
    clock: float
    bandwidth: float
    lanes: dict[str, int]
    products: int


_LANES = {"product": 64, "integer": 64, "special": 16}
CHIPS = {
    80: Chip("A100 SXM 80 GB", 108, 1.41e9, 2.039e12, {**_LANES, "float32": 64, "float64": 32}, 1024),
    90: Chip("H100 SXM", 132, 1.755e9, 3.35e12, {**_LANES, "float32": 128, "float64": 64}, 2048),
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


def product_share(code: Code, chip: Chip) -> float:
    """Share of the peak of matrix products that a loop can reach: of the tensor cores, or of float32 multiply-adds.

    The multiply-adds of features count as products; they are few.
    """
    busy = sum(number * _products(name) for name, number in code.body.items()) / chip.products
    if not busy:
        busy = count(code.body, "FFMA") / chip.lanes["float32"]
    return busy / max(busy, cycles(code.body, chip))


def _products(name: str) -> float:
    """Products a thread that a tensor instruction adds up, TF32's counted twice: 0 for other instructions."""
    if not re.match(TENSOR, name):
        return 0.0
    twice = 2 if "TF32" in name else 1
    if found := re.match(r"HGMMA\.(\d+)x(\d+)x(\d+)", name):  # of 4 warps
        rows, columns, depth = map(int, found.groups())
        return twice * rows * columns * depth / 128
    shape = {"16816": 16 * 8 * 16, "1688": 16 * 8 * 8, "1684": 16 * 8 * 4}[name.split(".")[1]]
    return twice * shape / 32
