"""Places of earlier batches as further negatives: GeoCLIP's queue."""

from typing import Any

import torch
from torch import Tensor, nn

from locenc._names import check_count
from locenc_csp._tensors import check_tensors

__all__ = ["CoordinateQueue"]


class CoordinateQueue(nn.Module):
    """The last ``size`` places of earlier batches, first in, first out.

    It holds coordinates, not embeddings: each step encodes them again, so they are never stale and carry gradients. It
    starts empty and grows; batches may have any size. As a module it is saved with the model, so a run that is
    continued has the same queue; nothing in it is trained.

    Parameters
    ----------
    size : int
        How many places it holds, at least 1; 4,096 in GeoCLIP.

    Raises
    ------
    ValueError
        If the size is no whole number of at least 1.

    References
    ----------
    Vivanco Cepeda et al. 2023, "GeoCLIP", NeurIPS. (The published code starts with random places near 0° N 0° E, and
    needs a batch size that divides that of the queue.)

    Examples
    --------
    >>> queue = CoordinateQueue(3)
    >>> queue.push(torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    >>> queue.push(torch.tensor([[3.0, 0.0], [4.0, 0.0]]))
    >>> queue()[:, 0]
    tensor([2., 3., 4.], dtype=torch.float64)
    """

    lonlat: Tensor

    def __init__(self, size: int = 4096) -> None:
        super().__init__()
        self.size = check_count("size", size)
        self.pushed = 0
        self.register_buffer("lonlat", torch.zeros(self.size, 2, dtype=torch.float64))

    def __len__(self) -> int:
        return min(self.pushed, self.size)

    def forward(self) -> Tensor:
        """Return the places, oldest first: a copy, (Q, 2) float64 degrees, Q at most ``size``."""
        if self.pushed <= self.size:
            return self.lonlat[: self.pushed].clone()
        return self.lonlat.roll(-(self.pushed % self.size), 0)

    @torch.no_grad()
    def push(self, lonlat: Tensor) -> None:
        """Append a batch; the oldest places leave.

        Parameters
        ----------
        lonlat : Tensor (B, 2)
            (longitude, latitude) in degrees; of more than ``size`` the last count.

        Raises
        ------
        ValueError
            For another shape.
        """
        check_tensors(lonlat=lonlat)
        if lonlat.ndim != 2 or lonlat.shape[1] != 2:
            raise ValueError(f"a batch of locations has shape (B, 2), got {tuple(lonlat.shape)}")
        skipped = max(0, len(lonlat) - self.size)
        at = torch.arange(self.pushed + skipped, self.pushed + len(lonlat), device=self.lonlat.device) % self.size
        self.lonlat[at] = lonlat[skipped:].to(self.lonlat)
        self.pushed += len(lonlat)

    def get_extra_state(self) -> dict[str, int]:
        """Return what a checkpoint holds beside the places."""
        return {"pushed": self.pushed}

    def set_extra_state(self, state: dict[str, int]) -> None:
        """Take it back."""
        self.pushed = int(state["pushed"])

    def _apply(self, fn: Any, recurse: bool = True) -> "CoordinateQueue":
        """Move the places, but keep them in float64."""
        places = self.lonlat
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.lonlat = places.to(self.lonlat.device)
        return self

    def extra_repr(self) -> str:
        """Size, and how full it is."""
        return f"{self.size}, holds {len(self)}"
