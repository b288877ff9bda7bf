"""Random locations for the term L of the objectives, and for the background of fine-tuning.

A sampler is called with the locations of a batch, a count C and a generator; row c*B + i of its answer is a random
location for pair i. The uniform sphere is the default everywhere here. It is not in the CSP code: its default,
``spherical``, computes uniform points on the sphere, then drops them and returns longitudes from 0 to 180 and
latitudes from 0 to 90, so that all negatives lie in the north-east quarter of the globe and the encoder learns
nothing from L about the other three. The published runs used ``sphericalold`` (`official_ellipse` here), which
leaves out the corners of the map and crowds the high latitudes.
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from locenc._names import unknown
from locenc.coords import as_lonlat
from locenc_csp._sphere import EARTH_RADIUS_KM, great_circle_km

__all__ = ["SAMPLERS", "Sampler", "at_least", "box", "density", "land", "make", "official_ellipse", "sphere"]

TRIES = 8
"""How many locations are drawn at once for a rejected one; the first that is allowed replaces it."""

ROUNDS = 1250
"""How often that is done before giving up."""


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


def sphere() -> Sampler:
    """Uniform on the sphere: equal areas are equally likely. The default.

    Returns
    -------
    Sampler
        lon = 360 u - 180, lat = asin(2 v - 1) in degrees, with u and v uniform on [0, 1).

    Examples
    --------
    >>> sphere()(torch.zeros(2, 2), 3, torch.Generator().manual_seed(0)).shape
    torch.Size([6, 2])
    """

    def draw(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return 360 * u - 180, torch.rad2deg(torch.asin(2 * v - 1))

    return _from_two_uniforms(draw)


def box() -> Sampler:
    """Uniform in longitude and latitude: a square degree is as likely near a pole as at the equator.

    Half of the points lie beyond ±45 degrees; on the sphere 29 % do.
    """

    def draw(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return 360 * u - 180, 180 * v - 90

    return _from_two_uniforms(draw)


def official_ellipse() -> Sampler:
    """The sampler of the published CSP runs (``sphericalold``), to repeat them. Not uniform: prefer `sphere`.

    It takes x and y of a uniform point on the unit sphere, times 180 and 90 degrees. The points fill an ellipse of
    the longitude-latitude map, denser towards its rim: 33 % lie beyond ±60 degrees of latitude (on the sphere
    13 %), and none near the date line except at the equator.
    """

    def draw(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        z = 2 * v - 1
        radius = (1 - z * z).sqrt()
        angle = 2 * math.pi * u
        return 180 * radius * angle.cos(), 90 * radius * angle.sin()

    return _from_two_uniforms(draw)


def land(mask: np.ndarray | None = None) -> Sampler:
    """Uniform by area on land.

    Parameters
    ----------
    mask : array (H, W) of bool, optional
        Where a location may lie: row 0 at the north edge, column 0 at 180 W. Default: `locenc.data.land_mask`, all
        land of the Earth, ice included.

    Returns
    -------
    Sampler
        Points of `sphere` that fall on the mask. One that allows far less than 1 % of the globe is slow.

    Raises
    ------
    ValueError
        If the mask allows nothing; at a draw, if it allows so little that no location was found.
    """
    from locenc import data

    allowed = data.land_mask() if mask is None else np.asarray(mask, dtype=bool)
    if not allowed.any():
        raise ValueError(f"the land mask of shape {allowed.shape} is False everywhere: no location can be drawn")

    def on_land(points: Tensor, own: Tensor) -> Tensor:
        return torch.from_numpy(data.sample_raster(allowed, points.cpu().numpy())).to(points.device)

    return _keep(sphere(), on_land, "on the land mask")


def density(lonlat: object) -> Sampler:
    """Locations of the data set itself, each as likely as any other.

    Parameters
    ----------
    lonlat : array_like (N, 2)
        (longitude, latitude) in degrees. A pair may draw its own location: `at_least` prevents that.

    Raises
    ------
    ValueError, TypeError
        If there is no location, or as `locenc.coords.as_lonlat`.
    """
    places = as_lonlat(lonlat)
    if len(places) == 0:
        raise ValueError("density needs at least one location to draw from, got none")

    def sample(lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        size = _num_rows(lonlat, count)
        rows = torch.randint(len(places), (size,), generator=generator, device=generator.device)
        return places[rows.to(places.device)].to(lonlat.device)

    return sample


def at_least(km: float, sampler: Sampler) -> Sampler:
    """Locations of another sampler that lie at least ``km`` from the pair's own: no false negatives.

    Parameters
    ----------
    km : float
        Great-circle distance, >= 0 and at most half of the Earth's circumference (20,015 km).
    sampler : Sampler
        What to draw from. Only locations that are too near are drawn again.

    Raises
    ------
    ValueError
        For a distance out of range; at a draw, if the distance cannot be met.
    """
    if not 0 <= km <= math.pi * EARTH_RADIUS_KM:
        raise ValueError(f"km must lie in [0, {math.pi * EARTH_RADIUS_KM:.0f}] (antipodes), got {km!r}")

    def far(points: Tensor, own: Tensor) -> Tensor:
        return great_circle_km(points, own) >= km

    return _keep(sampler, far, f"at least {km:g} km from its own location")


SAMPLERS = ("sphere", "box", "land", "density", "official-ellipse")
"""What `make` knows."""


def make(name: str, *, lonlat: object = None, min_km: float = 0.0) -> Sampler:
    """Make a sampler by name, as recipes do.

    Parameters
    ----------
    name : str
        One of `SAMPLERS`.
    lonlat : array_like (N, 2), optional
        The data set's locations, for ``"density"``; the others do not look at it.
    min_km : float
        If positive, `at_least` this far from the pair's own location.

    Raises
    ------
    ValueError
        For an unknown name, or ``"density"`` without locations.
    """
    simple = {"sphere": sphere, "box": box, "land": land, "official-ellipse": official_ellipse}
    if name == "density":
        if lonlat is None:
            raise ValueError("negatives 'density' are drawn from the data's own locations: pass lonlat=")
        sampler = density(lonlat)
    elif name in simple:
        sampler = simple[name]()
    else:
        raise ValueError(unknown("negatives", name, SAMPLERS))
    return at_least(min_km, sampler) if min_km else sampler


def _num_rows(lonlat: Tensor, count: int) -> int:
    if lonlat.ndim != 2 or lonlat.shape[1] != 2:
        raise ValueError(f"a batch of locations has shape (B, 2), got {tuple(lonlat.shape)}")
    if count < 1:
        raise ValueError(f"the number of negatives per pair must be at least 1, got {count}")
    return count * len(lonlat)


def _from_two_uniforms(draw: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Sampler:
    """Make a sampler of a map from two uniform numbers on [0, 1) to longitude and latitude."""

    def sample(lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        shape = (2, _num_rows(lonlat, count))
        u, v = torch.rand(shape, generator=generator, dtype=torch.float64, device=generator.device)
        return torch.stack(draw(u, v), -1).to(lonlat.device)

    return sample


def _keep(sampler: Sampler, allowed: Callable[[Tensor, Tensor], Tensor], what: str) -> Sampler:
    """Draw again, row by row, until ``allowed(points, own locations)`` holds everywhere."""

    def sample(lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        points = sampler(lonlat, count, generator)
        own = lonlat.repeat(count, 1)
        rows = (~allowed(points, own)).nonzero()[:, 0]
        for _ in range(ROUNDS):
            if len(rows) == 0:
                return points
            tries = sampler(own[rows], TRIES, generator)
            good = allowed(tries, own[rows].repeat(TRIES, 1)).view(TRIES, -1)
            found = good.any(0)
            first = good.int().argmax(0)
            points[rows[found]] = tries.view(TRIES, -1, 2)[first[found], found.nonzero()[:, 0]]
            rows = rows[~found]
        row = int(rows[0])
        raise ValueError(
            f"no location {what} found for row {row % len(lonlat)} (longitude, latitude {own[row].tolist()}) "
            f"in {ROUNDS * TRIES} draws, and for {len(rows) - 1} more: loosen the condition or choose another sampler"
        )

    return sample
