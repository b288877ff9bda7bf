"""Processes that train one model together, the ranks: each computes some rows of a batch, all take the same step.

All ranks draw the same batches, random locations and dropout masks, those of one process. Each embeds its own rows; the
embeddings are gathered, each compares its own rows with all others, and the parts of the loss and of its gradients are
added. So loss and gradients by embeddings are the same everywhere, and are those of one process, up to rounding.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, distributed

__all__ = ["ALONE", "Ranks", "at_work", "sharing_losses"]


@dataclass(frozen=True)
class Ranks:
    """Which of the processes this is, and what they do together: each method is called on all of them at once.

    The processes talk by `torch.distributed`, whose default group there must be if there is more than one.

    Parameters
    ----------
    rank : int
        Number of this process, from 0.
    size : int
        How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes, prints and validates."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """Return which of some rows are this process's: one run of rows each, as many as the others' or one more."""
        return self._part(count, self.rank)

    def gather(self, rows: Tensor, count: int) -> Tensor:
        """Put together what the ranks have computed.

        The gradient by a process's own rows is that of all, times the number of processes: each must have the same loss
        of what is gathered, and gradients by parameters be averaged (`average_gradients`), not added.

        Parameters
        ----------
        rows : Tensor (n, ...)
            For ``part(count)``.
        count : int
            Rows in all.

        Returns
        -------
        Tensor (count, ...)
        """
        if self.size == 1:
            return rows
        gathered: Tensor = _Gather.apply(rows, count, self)  # type: ignore[no-untyped-call]
        return gathered

    def add(self, *tensors: Tensor) -> None:
        """Make tensors, of one dtype and device, the sum over all processes of theirs: the same bits on each."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _lost():
            distributed.all_reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def average_gradients(self, parameters: Iterable[Tensor]) -> None:
        """Make the gradients of parameters the mean over all processes of theirs."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        for dtype in dict.fromkeys(gradient.dtype for gradient in gradients):
            alike = [gradient for gradient in gradients if gradient.dtype == dtype]
            self.add(*alike)
            torch._foreach_div_(alike, self.size)

    def from_first(self, value: Any) -> Any:
        """Return the first process's value, which can be pickled; that of the others is not looked at."""
        if self.size == 1:
            return value
        box = [value]
        with _lost():
            distributed.broadcast_object_list(box, src=0)
        return box[0]

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.from_first(None)

    def _part(self, count: int, rank: int) -> slice:
        return slice(count * rank // self.size, count * (rank + 1) // self.size)

    def _gathered(self, rows: Tensor, count: int) -> Tensor:
        parts = [self._part(count, rank) for rank in range(self.size)]
        sizes = [part.stop - part.start for part in parts]
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        found = [torch.empty_like(padded) for _ in parts]
        with _lost():
            distributed.all_gather(found, padded)
        return torch.cat([part[:size] for part, size in zip(found, sizes, strict=True)])


ALONE = Ranks()
"""One process."""

_at_work = ALONE


def at_work() -> Ranks:
    """Return the ranks that share losses now: `ALONE` outside of `sharing_losses`."""
    return _at_work


@contextmanager
def sharing_losses(ranks: Ranks) -> Iterator[None]:
    """Let losses of all pairs of rows be computed by all ranks, each some rows of them.

    Within, each process must call the same losses of the same embeddings, in the same order.
    """
    global _at_work
    before, _at_work = _at_work, ranks
    try:
        yield
    finally:
        _at_work = before


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, count: int, ranks: Ranks) -> Tensor:
        ctx.part, ctx.size = ranks.part(count), ranks.size
        return ranks._gathered(rows, count)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return gradient[ctx.part] * ctx.size, None, None


@contextmanager
def _lost() -> Iterator[None]:
    """Say what it means that processes cannot talk any more."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0][:200]
        raise ConnectionError(f"another process of this run has ended, or cannot be reached ({reason})") from error
