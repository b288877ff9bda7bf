"""Random locations for the term L of the objectives, and for the background of fine-tuning.

A sampler is called with the locations of a batch, a count C and a generator; row c*B + i of its answer is a random
location for pair i. The uniform sphere is the default everywhere here. It is not in the CSP code: its default,
``spherical``, computes uniform points on the sphere, then drops them and returns longitudes from 0 to 180 and
latitudes from 0 to 90, so that all negatives lie in the north-east quarter of the globe and the encoder learns
nothing from L about the other three. The published runs used ``sphericalold`` (`official_ellipse` here), which
leaves out the corners of the map and crowds the high latitudes.
"""

import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from locenc._names import unknown
from locenc.coords import as_lonlat
from locenc_csp._hashes import file_hash
from locenc_csp.min_distance import at_least
from locenc_csp.regions import land, polygons
from locenc_csp.sampler import Resident, Sampler, from_uniform, num_rows

__all__ = [
    "SAMPLERS",
    "Sampler",
    "at_least",
    "box",
    "density",
    "land",
    "make",
    "official_ellipse",
    "polygons",
    "sphere",
]


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

    def draw(uniform: Tensor) -> tuple[Tensor, Tensor]:
        u, v = uniform
        return 360 * u - 180, torch.rad2deg(torch.asin(2 * v - 1))

    return from_uniform(2, draw)


def box() -> Sampler:
    """Uniform in longitude and latitude: a square degree is as likely near a pole as at the equator.

    Half of the points lie beyond ±45 degrees; on the sphere 29 % do.
    """

    def draw(uniform: Tensor) -> tuple[Tensor, Tensor]:
        u, v = uniform
        return 360 * u - 180, 180 * v - 90

    return from_uniform(2, draw)


def official_ellipse() -> Sampler:
    """The sampler of the published CSP runs (``sphericalold``), to repeat them. Not uniform: prefer `sphere`.

    It takes x and y of a uniform point on the unit sphere, times 180 and 90 degrees. The points fill an ellipse of
    the longitude-latitude map, denser towards its rim: 33 % lie beyond ±60 degrees of latitude (on the sphere
    13 %), and none near the date line except at the equator.
    """

    def draw(uniform: Tensor) -> tuple[Tensor, Tensor]:
        u, v = uniform
        z = 2 * v - 1
        radius = (1 - z * z).sqrt()
        angle = 2 * math.pi * u
        return 180 * radius * angle.cos(), 90 * radius * angle.sin()

    return from_uniform(2, draw)


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
    kept = Resident(places)

    def sample(lonlat: Tensor, count: int, generator: torch.Generator) -> Tensor:
        (there,) = kept.on(generator.device)
        rows = torch.randint(len(there), (num_rows(lonlat, count),), generator=generator, device=there.device)
        return there[rows].to(lonlat.device)

    return sample


SAMPLERS = ("sphere", "box", "land", "density", "official-ellipse")
"""What `make` knows by name."""


def make(name: Any, *, lonlat: object = None, min_km: float = 0.0) -> Sampler:
    """Make a sampler by name, as recipes do.

    Parameters
    ----------
    name : str, Path, GeoDataFrame or GeoSeries
        One of `SAMPLERS`, or what `polygons` takes.
    lonlat : array_like (N, 2), optional
        The data set's locations, for ``"density"``; the others do not look at it.
    min_km : float
        If positive, `at_least` this far from the pair's own location.

    Raises
    ------
    ValueError
        For an unknown name, or ``"density"`` without locations.
    FileNotFoundError, ImportError, TypeError, ValueError
        As `polygons`.
    """
    simple = {"sphere": sphere, "box": box, "land": land, "official-ellipse": official_ellipse}
    if not isinstance(name, (str, Path)) or Path(name).suffix:
        sampler = polygons(name)
    elif str(name) in simple:
        sampler = simple[str(name)]()
    elif str(name) != "density":
        there = f"There are: {', '.join(SAMPLERS)}; or a file of polygons, such as region.gpkg."
        raise ValueError(unknown("negatives", str(name), SAMPLERS, hint=there))
    elif lonlat is None:
        raise ValueError("negatives 'density' are drawn from the data's own locations: pass lonlat=")
    else:
        sampler = density(lonlat)
    return at_least(min_km, sampler) if min_km else sampler


def identity(name: Any) -> str:
    """What tells a recipe's negatives from others: their name, or the hash of their file of polygons."""
    path = Path(name)
    return file_hash(path) if path.suffix else str(name)
