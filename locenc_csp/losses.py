"""Losses of steps, kept where they are made: the host looks at them now and then, and waits for nothing in between."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class Losses:
    """The losses since the last look.

    Parameters
    ----------
    most : int
        Steps between two looks.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.count = 0
        self.values: Tensor | None = None

    def keep(self, loss: Tensor) -> None:
        """Keep the loss of a step, a scalar."""
        if self.values is None:
            self.values = torch.zeros(self.most, dtype=loss.dtype, device=loss.device)
        self.values[self.count].copy_(loss.detach())
        self.count += 1

    def look(self, last: int) -> None:
        """Look at what was kept up to a step, and forget it.

        Raises
        ------
        FloatingPointError
            If a loss is not finite; names the first.
        """
        found = [] if self.values is None else self.values[: self.count].tolist()
        first, self.count = last - len(found) + 1, 0
        for number, loss in enumerate(found, first):
            if not math.isfinite(loss):
                raise FloatingPointError(
                    f"the loss is {loss} at step {number}: lower the learning rate, or look for unusual values in the "
                    "features"
                )


def numbers(values: Mapping[str, Tensor]) -> dict[str, float]:
    """Scalars as numbers of Python, all by one copy."""
    where = next(iter(values.values())).device
    found = torch.stack([value.detach().to(where, torch.float64) for value in values.values()])
    return dict(zip(values, found.tolist(), strict=True))
