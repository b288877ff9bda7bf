"""Square patches with the same ground footprint everywhere, cut out of an image of the whole globe."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import check_count
from locenc.coords import as_lonlat
from locenc_csp._sphere import EARTH_RADIUS_KM

__all__ = ["cut_patches", "footprints"]


def footprints(lonlat: ArrayLike, *, size: int, width_km: float) -> NDArray[np.float64]:
    """Longitude and latitude of every pixel of a north-up patch in the local azimuthal equidistant projection.

    A pixel that lies x km east and y km north of the centre, ρ = √(x² + y²), is reached by going ρ km along the great
    circle that leaves the centre in the direction (x, y). So the patch covers the same ground at every latitude, over
    a pole too.

    Parameters
    ----------
    lonlat : array_like
        (N, 2) centres, longitude and latitude in degrees.
    size : int
        Pixels per side.
    width_km : float
        Side of the patch, in km along the axes.

    Returns
    -------
    ndarray
        float64 (N, size, size, 2) degrees, longitudes in [-180, 180]. Row 0 is the northern edge, column 0 the western.

    Raises
    ------
    ValueError
        For a size below 1, or a width that is not positive and finite.

    References
    ----------
    Snyder 1987, "Map projections: a working manual", section 25, sphere.
    """
    check_count("size", size)
    if not 0 < width_km < math.inf:
        raise ValueError(f"width_km must be positive and finite, got {width_km!r}")
    lon, lat = np.deg2rad(as_lonlat(lonlat).numpy()).T
    zero = np.zeros_like(lon)
    up = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=-1)
    east = np.stack([-np.sin(lon), np.cos(lon), zero], axis=-1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=-1)
    offset = ((np.arange(size) + 0.5) / size - 0.5) * width_km / EARTH_RADIUS_KM
    x, y = np.meshgrid(offset, -offset)
    angle = np.hypot(x, y)
    along = np.sinc(angle / np.pi)  # sin(angle) / angle
    weights = np.stack([np.cos(angle), along * x, along * y]).reshape(3, -1)
    points = np.stack([up, east, north], axis=-1) @ weights  # (N, xyz, pixels)
    px, py, pz = points[:, 0], points[:, 1], points[:, 2]
    places = np.stack([np.arctan2(py, px), np.arctan2(pz, np.hypot(px, py))], axis=-1)
    degrees: NDArray[np.float64] = np.rad2deg(places).reshape(-1, size, size, 2)
    return degrees


def cut_patches(
    raster: NDArray[np.uint8], lonlat: ArrayLike, *, size: int = 32, width_km: float = 200.0
) -> NDArray[np.uint8]:
    """Cut patches out of a global image, bilinear between pixel centres.

    Parameters
    ----------
    raster : ndarray
        uint8 (H, W, C) in plain longitude and latitude: row 0 touches the north pole, column 0 begins at 180° W.
        Columns go on across the antimeridian; beyond the first and last row the row itself is repeated.
    lonlat : array_like
        (N, 2) centres, longitude and latitude in degrees.
    size, width_km
        As `footprints`.

    Returns
    -------
    ndarray
        uint8 (N, size, size, C), rounded to the nearest value.
    """
    height, width, channels = raster.shape
    lon, lat = np.moveaxis(footprints(lonlat, size=size, width_km=width_km), -1, 0)
    left, top = (lon + 180) / 360 * width - 0.5, (90 - lat) / 180 * height - 0.5
    column, row = np.floor(left), np.floor(top)
    right_share, lower_share = (left - column).astype(np.float32), (top - row).astype(np.float32)
    columns = [(column.astype(np.int64) + step) % width for step in (0, 1)]
    rows = [np.clip(row.astype(np.int64) + step, 0, height - 1) * width for step in (0, 1)]
    pixels = raster.reshape(height * width, channels)
    mixed = np.zeros((*lon.shape, channels), dtype=np.float32)
    for row_start, vertical in zip(rows, (1 - lower_share, lower_share), strict=True):
        for place, horizontal in zip(columns, (1 - right_share, right_share), strict=True):
            mixed += (vertical * horizontal)[..., None] * pixels[row_start + place]
    return np.floor(mixed + 0.5).astype(np.uint8)
