"""What a sampler of random locations is, and what all of them need."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Sampler(Protocol):
    """Draws C random locations for each pair of a batch."""

    def __call__(self, lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        """Draw locations.

        Parameters
        ----------
        lonlat : Tensor (B, 2)
            The pairs' own locations, (longitude, latitude) in degrees.
        count : int
            C, locations per pair.
        generator : torch.Generator
            The only source of randomness. The locations are drawn on its device.

        Returns
        -------
        Tensor (C*B, 2)
            float64 degrees on ``lonlat``'s device; row c*B + i belongs to pair i.
        """


def num_rows(lonlat: Tensor, count: int) -> int:
    """Check the arguments of a sampler; return the number of locations to draw.

    Raises
    ------
    ValueError
        For locations that are not (B, 2), or a count below 1.
    """
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise ValueError(f"a batch of locations has shape (B, 2), got {tuple(lonlat.shape)}")
    if count < 1:
        raise ValueError(f"the number of negatives per pair must be at least 1, got {count}")
    return count * len(lonlat)


def from_uniform(columns: int, draw: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Sampler:
    """Make a sampler of a map from uniform numbers on [0, 1), (columns, n), to longitudes and latitudes, (n,) each."""

    def sample(lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        shape = (columns, num_rows(lonlat, count))
        uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
        return torch.stack(draw(uniform), -1).to(lonlat.device)

    return sample


class Resident:
    """Tensors that are copied to a device when they are first asked for there."""

    def __init__(self, *tensors: Tensor) -> None:
        self._at = {tensors[0].device: tensors}

    def on(self, device: torch.device) -> tuple[Tensor, ...]:
        """Return the tensors on a device."""
        if device not in self._at:
            self._at[device] = tuple(tensor.to(device) for tensor in self._at[next(iter(self._at))])
        return self._at[device]
