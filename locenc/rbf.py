"""Gaussian radial basis functions around anchors, on the sphere or on the plane of longitude and latitude."""

from typing import Any

import torch
from torch import Tensor

from locenc import kernels
from locenc._names import among, check_count, check_number, unknown
from locenc.coords import as_lonlat
from locenc.kernels.reference import reduce_longitude
from locenc.position import PositionEncoder

DISTANCES = ("great-circle", "planar")
SMALLEST, LARGEST = 1e-150, 1e150  # degrees: beyond, squares are 0 or infinite


class RadialBasis(PositionEncoder):
    """Closeness to anchors: exp(-d² / (2 k²)), one column for each anchor.

    Parameters
    ----------
    anchors : array_like, optional
        ``(A, 2)`` longitudes and latitudes in degrees, as `locenc.coords.as_lonlat` takes them. They are saved with
        the weights.
    num_anchors : int
        How many to draw, uniformly on the sphere, where no anchors are given.
    kernel_size : float
        k, in degrees (a degree of a great circle is 111 km). 200 drawn anchors lie some 14 degrees apart.
    distance : str
        ``"great-circle"``: d is the central angle in degrees; the same on all sides of the globe, smooth but at
        an anchor's antipode. ``"planar"``: d² = Δlon² + Δlat² in degrees, as published: columns jump at the
        antimeridian and depend on longitude at the poles.
    seed : int
        Of the drawn anchors.
    dtype : torch.dtype, optional
        Of the features.

    Raises
    ------
    TypeError, ValueError
        For anchors that are no coordinates, fewer than one, a size out of range, or an unknown distance.

    References
    ----------
    Mai et al. 2020 (ICLR), section 4, and TorchSpatial, where the anchors are drawn from the training places and
    the distance is planar.
    """

    writes_out = compiled = True
    anchors: Tensor

    def __init__(
        self,
        *,
        anchors: Any = None,
        num_anchors: int = 200,
        kernel_size: float = 10.0,
        distance: str = "great-circle",
        seed: int = 0,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not SMALLEST <= check_number("kernel_size", kernel_size) <= LARGEST:
            raise ValueError(f"kernel_size must be positive and finite, in degrees, got {kernel_size!r}")
        if not among(distance, DISTANCES):
            raise ValueError(unknown("distance", distance, DISTANCES))
        if anchors is None:
            places = _uniform(check_count("num_anchors", num_anchors), seed)
        else:
            places = as_lonlat(anchors)
            if len(places) == 0:
                raise ValueError("anchors must hold at least one (longitude, latitude), got none")
        super().__init__(len(places), dtype=dtype)
        self.kernel_size, self.distance = float(kernel_size), distance
        self.stored_options = {"anchors": None, "num_anchors": len(places)}
        lon, lat = places.unbind(1)
        self.register_buffer("anchors", torch.stack([reduce_longitude(lon), lat], 1))

    def features(self, lonlat: Tensor, dtype: torch.dtype, out: Tensor | None = None) -> Tensor:
        """See `locenc.kernels.reference_rbf.radial_basis`."""
        planar = self.distance == "planar"
        return kernels.radial_basis(lonlat, self.anchors, self.kernel_size, planar, dtype, out=out)


def _uniform(count: int, seed: int) -> Tensor:
    drawn = torch.rand(
        count, 2, generator=torch.Generator().manual_seed(check_count("seed", seed, least=0)), dtype=torch.float64
    )
    return torch.stack([360 * drawn[:, 0] - 180, torch.rad2deg(torch.asin(2 * drawn[:, 1] - 1))], 1)
