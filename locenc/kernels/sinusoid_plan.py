"""A layout of sinusoids as the CPU kernels read it: lanes of a point's sines and cosines, and blocks of columns."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from locenc.kernels import layout
from locenc.kernels.arrays import contiguous, numbers
from locenc.kernels.vectors import LANES


class Plan(NamedTuple):
    """A layout as the kernels read it.

    Attributes
    ----------
    kind : int
        Of coordinates.
    columns : int
        Number of features F.
    gather : ndarray
        Row of the frequencies for each lane: phases are padded to whole vectors with their last one.
    phases : ndarray
        ``(P, 3)``: length, first lane, axis.
    blocks : ndarray
        ``(B, 7)``: first column, columns, outer rows, lane a, step a, lane b, step b.
    single_scale : bool
        Whether every phase has one scale: lanes then run over points.
    """

    kind: int
    columns: int
    gather: Any
    phases: Any
    blocks: Any
    single_scale: bool

    def table(self, frequencies: Tensor) -> Any:
        """Frequencies of all lanes by coordinate, then shifts if there are any: ``(D, width)`` or a row more."""
        return contiguous(numbers(frequencies).T.take(self.gather, 1))

    def waves(self, amplitude: float, dtype: Any) -> Any:
        """Memory for the sines and the cosines of a point, then a vector of ones and one of the amplitude."""
        waves = np.empty(2 * len(self.gather) + 2 * LANES, dtype)
        waves[-2 * LANES :] = 1
        waves[-LANES:] = amplitude
        return waves


@cache
def plan(fields: tuple[int, ...]) -> Plan:
    """Lower a layout; see `locenc.kernels.layout`."""
    rows: list[tuple[int, int, int]] = []
    gather: list[int] = []
    frequency = 0
    for length, axis in layout.phases(fields):
        rows.append((length, len(gather), axis))
        lanes = -(-length // LANES) * LANES
        gather += [frequency + min(k, length - 1) for k in range(lanes)]
        frequency += length
    width = len(gather)
    found, column = [], 0
    for block in layout.blocks(fields):
        outer = block.combine == layout.OUTER and block.function_b != layout.ONE
        factors = []
        for phase, function in ((block.phase_a, block.function_a), (block.phase_b, block.function_b)):
            length, lane, _ = rows[phase]
            if function == layout.ONE:
                factors += [2 * width, 0]
            else:
                factors += [lane + (width if function == layout.COS else 0), 0 if length == 1 else LANES]
        found.append((column, block.columns, rows[block.phase_a][0] if outer else 0, *factors))
        column += block.columns
    single = all(length == 1 for length, _, _ in rows)
    return Plan(fields[0], column, np.array(gather), np.array(rows, np.int64), np.array(found, np.int64), single)
