"""The globe that ships with the package: land cover, land mask and coastline (see PROVENANCE.md for sources)."""

import hashlib
import io
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc.coords import as_lonlat

__all__ = ["LAND_COVER_CLASSES", "coastline", "land_cover", "land_mask", "sample_raster"]

Array = TypeVar("Array", bound=NDArray[Any])

#: Names of the IGBP land cover classes; the position in this tuple is the value in `land_cover`.
LAND_COVER_CLASSES: tuple[str, ...] = (
    "water",
    "evergreen needleleaf forest",
    "evergreen broadleaf forest",
    "deciduous needleleaf forest",
    "deciduous broadleaf forest",
    "mixed forest",
    "closed shrubland",
    "open shrubland",
    "woody savanna",
    "savanna",
    "grassland",
    "permanent wetland",
    "cropland",
    "urban",
    "cropland and natural vegetation",
    "snow and ice",
    "barren",
)

LAND_COVER_SHA256 = "7046df0a59094b2f91a59d5198bd9c83834c581e4428ebbe60a94b71630f8dc0"
COASTLINE_SHA256 = "89deff5d9ca34f36f39a174ec96674682c0582bb44369e7771a17ca8949ae450"


@cache
def land_cover() -> NDArray[np.uint8]:
    """Land cover of the world in 2019, 0.05 degree cells.

    Returns
    -------
    ndarray
        uint8 (3600, 7200), read-only, shared by all callers: positions in `LAND_COVER_CLASSES`. Row 0 touches the
        north pole, column 0 begins at 180° W.

    Raises
    ------
    ImportError
        If pillow is missing.
    OSError
        If the packed file is damaged (its checksum is compared at each first read).

    References
    ----------
    Friedl & Sulla-Menashe 2015, MCD12C1 version 6, doi:10.5067/MODIS/MCD12C1.006, IGBP scheme.
    """
    image = require("PIL.Image", extra="geo")
    with image.open(io.BytesIO(_read("land_cover.png", LAND_COVER_SHA256))) as png:
        return _frozen(np.array(png, dtype=np.uint8))


@cache
def land_mask() -> NDArray[np.bool_]:
    """Where `land_cover` is anything but water: bool (3600, 7200), read-only. Large lakes count as water."""
    return _frozen(land_cover() != 0)


@cache
def coastline() -> tuple[NDArray[np.float64], ...]:
    """Outlines of the land at a scale of 1:110 million, and of the Caspian Sea.

    Returns
    -------
    tuple of ndarray
        Closed rings, largest first, each float64 (n, 2): longitude and latitude in degrees, read-only. Rings are cut at
        the antimeridian; Antarctica's runs along latitude -90.

    Raises
    ------
    OSError
        If the packed file is damaged.

    References
    ----------
    Natural Earth, 1:110m countries, public domain.
    """
    with np.load(io.BytesIO(_read("coastline.npz", COASTLINE_SHA256))) as packed:
        points, lengths = packed["points"], packed["lengths"]
    return tuple(_frozen(ring.copy()) for ring in np.split(points, np.cumsum(lengths)[:-1]))


def sample_raster(raster: NDArray[Any], lonlat: ArrayLike) -> NDArray[Any]:
    """Values of a global raster at points: the cell that each point lies in, no interpolation.

    Parameters
    ----------
    raster : ndarray
        (H, W) or (H, W, C) in plain longitude and latitude: row 0 touches the north pole, column 0 begins at 180° W.
    lonlat : array_like
        (N, 2) longitudes and latitudes in degrees. Longitudes wrap: 180 is the same cell as -180. Latitude -90 is in
        the last row.

    Returns
    -------
    ndarray
        (N,) or (N, C), in the raster's dtype.

    Raises
    ------
    TypeError, ValueError
        For bad coordinates, as `locenc.coords.as_lonlat`.

    Examples
    --------
    >>> LAND_COVER_CLASSES[int(sample_raster(land_cover(), [(15.0, 23.0)])[0])]
    'barren'
    """
    if not isinstance(raster, np.ndarray) or raster.ndim not in (2, 3) or not raster.size:
        found = f"{raster.dtype} {raster.shape}" if isinstance(raster, np.ndarray) else type(raster).__name__
        raise ValueError(f"raster must be an array (H, W) or (H, W, C), not empty, got {found}")
    lon, lat = as_lonlat(lonlat).numpy().T
    height, width = raster.shape[:2]
    column = np.floor((lon + 180) / 360 * width).astype(np.int64) % width
    row = np.clip(np.floor((90 - lat) / 180 * height).astype(np.int64), 0, height - 1)
    values: NDArray[Any] = raster[row, column]
    return values


def _read(name: str, sha256: str) -> bytes:
    data = (files(__name__) / name).read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise OSError(
            f"{name} of the installed locenc is damaged (sha256 {found[:12]}, expected {sha256[:12]}): reinstall locenc"
        )
    return data


def _frozen(array: Array) -> Array:
    array.setflags(write=False)
    return array
