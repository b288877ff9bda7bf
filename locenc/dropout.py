"""Dropout whose random numbers cost little on the CPU, and whose masks may be those of some rows of a larger batch."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from types import EllipsisType

import torch
from torch import Tensor, nn
from torch.nn import functional

from locenc.kernels.operator import concrete

_BITS = 16
_part: tuple[slice, int] | None = None


@contextmanager
def part_of_batch(rows: slice, total: int) -> Iterator[None]:
    """Let each `Dropout` take its input for some rows of a batch: it draws the whole batch's mask and takes theirs.

    Parts of a batch that are computed apart, each from the same state of torch's generator, then have the masks of the
    whole one.

    Parameters
    ----------
    rows : slice
        Which rows, start and stop, of the first axis.
    total : int
        Rows of the whole batch.
    """
    global _part
    before, _part = _part, (rows, total)
    try:
        yield
    finally:
        _part = before


class Dropout(nn.Dropout):
    """`torch.nn.Dropout`; on the CPU about ten times as fast.

    There torch draws a random number of 53 bits for each entry; this draws 16, four entries from one number of its
    generator. The share that is dropped is rounded to a multiple of 2⁻¹⁶, and what is kept is scaled by that.
    Other devices, compiled and transformed calls take torch's own.

    Notes
    -----
    Masks are those of torch's generator after `torch.manual_seed`, but other ones than torch's own dropout makes of it.
    Within `part_of_batch` they are some rows of a larger batch's.
    """

    rowwise = True

    def forward(self, input: Tensor) -> Tensor:
        """Drop entries of any shape in training; otherwise the input itself.

        Raises
        ------
        RuntimeError
            Within `part_of_batch`, if there are not as many rows as the part has.
        """
        if _part is not None and self.training:
            return self._of_part(input, *_part)
        return input * self._mask(input, input.shape) if self._is_cheap(input) else super().forward(input)

    def _of_part(self, input: Tensor, rows: slice, total: int) -> Tensor:
        if len(input) != rows.stop - rows.start:
            raise RuntimeError(
                f"dropout of rows {rows.start} to {rows.stop} of a batch was given {len(input)} rows: its input must "
                "have one row for each"
            )
        whole = (total, *input.shape[1:])
        if self._is_cheap(input):
            return input * self._mask(input, whole, rows)
        return input * functional.dropout(input.new_ones(whole), self.p)[rows]

    def _is_cheap(self, input: Tensor) -> bool:
        return self.training and not self.inplace and 0 < self._dropped < 2**_BITS and _plain(input)

    def _mask(self, input: Tensor, shape: tuple[int, ...], rows: slice | EllipsisType = ...) -> Tensor:
        """Some rows of a mask of a shape; all unless given."""
        drawn = _random(math.prod(shape)).view(shape)[rows]
        mask = drawn.to(torch.promote_types(input.dtype, torch.float32))
        mask.ge_(self._dropped - 2 ** (_BITS - 1)).mul_(2**_BITS / (2**_BITS - self._dropped))
        return mask.to(input.dtype)

    @property
    def _dropped(self) -> int:
        dropped: int = round(self.p * 2**_BITS)
        return dropped


def _plain(input: Tensor) -> bool:
    return input.is_cpu and input.is_floating_point() and concrete(input)


def _random(count: int) -> Tensor:
    """So many int16, all values equally likely."""
    drawn = torch.empty(-(-count // 4), dtype=torch.int64, device="cpu").random_(-(2**63), None)
    return drawn.view(torch.int16)[:count]
