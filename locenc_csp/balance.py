"""Epochs that hold at most so many rows of each class, as the published CSP code trains."""

import torch
from torch import Tensor

from locenc._names import check_count


class Balance:
    """Which rows of a shuffled epoch are kept: the first ``most`` of each class, others in each epoch.

    Parameters
    ----------
    codes : Tensor (N,)
        Integer class of each row; negative where there is no label, and such rows are all kept.
    most : int
        Rows of a class in an epoch.

    Attributes
    ----------
    num_rows : int
        Rows in an epoch.
    """

    def __init__(self, codes: Tensor, most: int) -> None:
        self.codes, self.most = codes.cpu(), check_count("most", most)
        self.num_rows = len(self.keep(torch.arange(len(codes))))

    def keep(self, order: Tensor) -> Tensor:
        """Return the part of a permutation (N,) that is kept, in its order."""
        codes = self.codes[order]
        by_class, position = torch.sort(codes, stable=True)
        _, count = torch.unique_consecutive(by_class, return_counts=True)
        start = torch.repeat_interleave(count.cumsum(0) - count, count)
        kept = torch.empty_like(codes, dtype=torch.bool)
        kept[position] = (torch.arange(len(codes)) - start < self.most) | (by_class < 0)
        return order[kept]
