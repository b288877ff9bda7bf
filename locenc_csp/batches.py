"""Which rows each step of a training takes: a function of the seed and the step alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from locenc_csp.balance import Balance
from locenc_csp.recipes import Schedule


@dataclass(frozen=True)
class Plan:
    """The batches of a training.

    Parameters
    ----------
    rows : Tensor (N,)
        int64 row numbers; they are shuffled for each epoch, and a last batch that is not full is left out.
    schedule : Schedule
        Epochs or steps, batch size, seed.
    balance : Balance, optional
        Which of the rows an epoch holds.

    Raises
    ------
    ValueError
        If there are no rows.
    """

    rows: Tensor
    schedule: Schedule
    balance: Balance | None = None

    def __post_init__(self) -> None:
        if len(self.rows) == 0:
            raise ValueError("no rows to train on: every row was left out by its split, label or location")

    @property
    def batch_size(self) -> int:
        """Rows in a batch; all of them where they are fewer than was asked for."""
        return min(self.schedule.batch_size, self._rows_per_epoch)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch."""
        return self._rows_per_epoch // self.batch_size

    @property
    def _rows_per_epoch(self) -> int:
        return len(self.rows) if self.balance is None else self.balance.num_rows

    @property
    def num_steps(self) -> int:
        """Steps in all."""
        return self.schedule.steps or self.schedule.epochs * self.steps_per_epoch

    def batches(self, start: int) -> Iterator[tuple[int, Tensor]]:
        """Yield number and rows of each step, from one on."""
        order, drawn = torch.empty(0, dtype=torch.int64), -1
        for number in range(start, self.num_steps):
            epoch, place = divmod(number, self.steps_per_epoch)
            if epoch != drawn:
                generator = torch.Generator().manual_seed(key(self.schedule.seed, 0, epoch))
                shuffled = torch.randperm(len(self.rows), generator=generator)  # on the CPU: the same for all devices
                if self.balance is not None:
                    shuffled = self.balance.keep(shuffled)
                order, drawn = self.rows[shuffled.to(self.rows.device)], epoch
            yield number, order[place * self.batch_size : (place + 1) * self.batch_size]


def key(seed: int, stream: int, number: int) -> int:
    """Make an independent 63-bit seed for each (seed, stream, number)."""
    return int(np.random.SeedSequence([seed, stream, number]).generate_state(1, np.uint64)[0] >> np.uint64(1))
