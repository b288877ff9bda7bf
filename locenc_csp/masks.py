"""Pairs of rows that lie at one place: what belongs to the same place is no negative of each other."""

import math
from typing import NamedTuple

from torch import Tensor

from locenc._names import check_number
from locenc.coords import unit_sphere
from locenc_csp._sphere import EARTH_RADIUS_KM
from locenc_csp._tensors import check_tensors

__all__ = ["SamePlace", "same_place"]

#: Places nearer than this are always one: it stands far above rounding in float64, far below any place on a map.
NEAREST_KM = 1e-3


class SamePlace(NamedTuple):
    """Which rows lie at one place, without a matrix of all pairs; made by `same_place`."""

    points: Tensor
    """(m, 3) float64: the rows' places on the unit sphere."""
    cosine: float
    """Two rows are at one place if the cosine of their angle is at least this."""

    def pairs(self, rows: slice) -> Tensor:
        """Whether some of the rows (n of them) lie at the same place as each row: bool (n, m), False for a row itself.

        Memory is that of n × m numbers.
        """
        same = self.points[rows] @ self.points.T >= self.cosine
        same.diagonal(rows.start).fill_(False)
        return same

    def first(self, count: int) -> "SamePlace":
        """Give the first rows alone."""
        return self._replace(points=self.points[:count])


def same_place(lonlat: Tensor, km: float = 0.0) -> SamePlace:
    """Say which rows are no negatives of each other, since they lie at one place: the ``mask`` of losses.

    Parameters
    ----------
    lonlat : Tensor (m, 2)
        (longitude, latitude) in degrees, float64 or float32.
    km : float
        Great-circle distance within which two rows are one place, >= 0. At 0 these are equal coordinates: what is
        less than a metre apart.

    Returns
    -------
    SamePlace
        On ``lonlat``'s device.

    Raises
    ------
    ValueError
        For another shape, or a distance out of range.

    Examples
    --------
    >>> import torch
    >>> there = same_place(torch.tensor([[2.0, 48.0], [10.0, 50.0], [2.0, 48.0]]))
    >>> there.pairs(slice(0, 1))
    tensor([[False, False,  True]])
    """
    check_tensors(lonlat=lonlat)
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise ValueError(f"places must have shape (m, 2), (longitude, latitude) in degrees, got {tuple(lonlat.shape)}")
    if not 0 <= check_number("km", km) <= math.pi * EARTH_RADIUS_KM:
        raise ValueError(f"km must lie in [0, {math.pi * EARTH_RADIUS_KM:.0f}] (antipodes), got {km!r}")
    return SamePlace(unit_sphere(lonlat.detach()), math.cos(max(km, NEAREST_KM) / EARTH_RADIUS_KM))
