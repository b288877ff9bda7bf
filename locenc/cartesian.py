"""The coordinates themselves as features."""

from collections.abc import Sequence

import torch
from torch import Tensor

from locenc.kernels.reference import reduce_longitude
from locenc.position import PositionEncoder
from locenc.random_fourier import WORLD, check_extent


class Direct(PositionEncoder):
    """Longitude and latitude scaled to [-1, 1]; 2 columns. Jumps at the antimeridian.

    Parameters
    ----------
    extent : sequence of float
        (west, east, south, north) in degrees: what is scaled to [-1, 1].
    dtype : torch.dtype, optional
        Of the features.

    References
    ----------
    The "naive" encoder of TorchSpatial (Wu et al. 2024, NeurIPS Datasets and Benchmarks).
    """

    def __init__(self, *, extent: Sequence[float] = WORLD, dtype: torch.dtype | None = None) -> None:
        super().__init__(2, dtype=dtype)
        self.extent = check_extent(extent)

    def features(self, lonlat: Tensor, dtype: torch.dtype) -> Tensor:
        """Scale ``(N, 2)`` degrees."""
        west, east, south, north = self.extent
        lon, lat = lonlat.to(torch.float64).unbind(1)
        columns = [2 * (reduce_longitude(lon) - west) / (east - west) - 1, 2 * (lat - south) / (north - south) - 1]
        return torch.stack(columns, 1).to(dtype)
