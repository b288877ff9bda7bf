"""The wrap encoders: one sine and cosine of each coordinate, and of the date where there is one."""

import math
from collections.abc import Sequence
from decimal import Decimal

import torch
from torch import Tensor

from locenc._names import among, unknown
from locenc.coords import check_form
from locenc.kernels.layout import COS, ELEMENTWISE, LONLAT, NEAR, OBLIQUE, ONE, SIN
from locenc.kernels.memory import check_out
from locenc.position import PositionEncoder
from locenc.random_fourier import WORLD, check_extent
from locenc.sinusoidal import Sinusoidal
from locenc.spec import DIGITS, Spec, cos, phase, sin
from locenc.waves import Waves

CONVENTIONS = ("torchspatial", "satclip")


class WrapInExtent(Waves):
    """TorchSpatial's wrap with an extent other than the world: sin πx, sin πy, cos πx, cos πy, x and y in [-1, 1]."""

    frequencies: Tensor

    def __init__(self, extent: tuple[float, float, float, float], *, dtype: torch.dtype | None = None) -> None:
        super().__init__(4, dtype=dtype)
        west, east, south, north = extent
        rows = [
            [2 / (east - west), 0, -(east + west) / (east - west)],
            [0, 2 / (north - south), -(north + south) / (north - south)],
        ]
        self.register_constant("frequencies", torch.tensor(rows, dtype=torch.float64, device="cpu"))

    def waves(self) -> tuple[Tensor, tuple[int, ...], float]:
        """One phase for each coordinate, with a shift."""
        blocks = [(ELEMENTWISE, axis, function, 0, ONE) for function in (SIN, COS) for axis in (0, 1)]
        layout = (LONLAT, NEAR, 2, 1, OBLIQUE, 1, OBLIQUE, *(field for block in blocks for field in block))
        return self.frequencies, layout, 1.0


class WrapWithDate(PositionEncoder):
    """A wrap encoder whose calls also take a date: ``encoder(lonlat, date=...)``; two columns more.

    The year is the interval [-1, 1]; its sine and cosine, of π·date, stand behind the columns of the place.
    """

    def __init__(self, place: PositionEncoder) -> None:
        super().__init__(place.out_dim + 2, dtype=place.dtype)
        self.place = place
        self.compiled = place.compiled

    def features(self, lonlat: Tensor, dtype: torch.dtype) -> Tensor:
        """Features of the place alone."""
        return self.place.features(lonlat, dtype)

    def forward(
        self,
        lonlat: Tensor,
        *,
        date: Tensor | None = None,
        dtype: torch.dtype | None = None,
        check: bool | None = None,
        backend: str | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """Encode coordinates ``(..., 2)`` and dates ``(...)`` in [-1, 1] (1 January to 31 December).

        Raises
        ------
        ValueError
            If there is no date, or not one for each place.
        """
        check_form(lonlat)
        if not isinstance(date, Tensor) or date.shape != lonlat.shape[:-1]:
            got = f"shape {tuple(date.shape)}" if isinstance(date, Tensor) else "none"
            raise ValueError(
                f"this encoder needs date=, shape {tuple(lonlat.shape[:-1])}, from -1 (1 January) to 1 (31 December), "
                f"got {got}"
            )
        place = self.place(lonlat, dtype=dtype, check=check, backend=backend)
        angle = math.pi * date.to(torch.float64)
        features = torch.cat([place, torch.stack([angle.sin(), angle.cos()], -1).to(place.dtype)], -1)
        if out is None:
            return features
        check_out(out, tuple(features.shape), features.dtype, features)
        return out.copy_(features)


def wrap(
    *,
    convention: str = "torchspatial",
    extent: Sequence[float] = WORLD,
    date: bool = False,
    dtype: torch.dtype | None = None,
) -> PositionEncoder:
    """Wrap position encoder: one sine and cosine of each coordinate; 4 columns.

    Parameters
    ----------
    convention : str
        ``"torchspatial"``: sin πx, sin πy, cos πx, cos πy with x = lon/180 and y = lat/90, as geo_prior and SINR have
        it too: latitude is doubled, so both poles get the same latitude columns. ``"satclip"``: cos λ, sin λ, cos φ,
        sin φ of the angles themselves.
    extent : sequence of float
        (west, east, south, north) in degrees, for the first convention: what x and y scale to [-1, 1].
    date : bool
        Whether calls take ``date=`` in [-1, 1]; two columns more.
    dtype : torch.dtype, optional
        Of the features.

    Raises
    ------
    ValueError
        For an unknown convention, or an extent that is none.

    References
    ----------
    Mac Aodha et al. 2019, "Presence-only geographical priors for fine-grained image classification", ICCV.
    """
    if not among(convention, CONVENTIONS):
        raise ValueError(unknown("convention", convention, CONVENTIONS))
    world = check_extent(extent) == WORLD
    if convention == "satclip" and not world:
        raise ValueError(f"an extent is for the torchspatial convention; satclip's is the world, got {extent!r}")
    place: PositionEncoder
    lon = phase("lon")
    if convention == "satclip":
        lat = phase("lat")
        place = Sinusoidal(Spec(cos(lon), sin(lon), cos(lat), sin(lat)), dtype=dtype)
    elif world:
        lat = phase("lat", [DIGITS.divide(Decimal(1), Decimal(90))])
        place = Sinusoidal(Spec(sin(lon), sin(lat), cos(lon), cos(lat)), dtype=dtype)
    else:
        place = WrapInExtent(check_extent(extent), dtype=dtype)
    return WrapWithDate(place) if date else place
