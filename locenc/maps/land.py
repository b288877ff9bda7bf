"""The land cells of a regular grid, or all of them, and an encoder's embedding of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from locenc._names import check_number
from locenc.data import land_mask
from locenc.maps.running import run

#: South of this only ice is left; grids end here.
SOUTH = -60.0


@dataclass(frozen=True)
class LandGrid:
    """Land cells of a regular grid of longitude and latitude, Antarctica left out; or all cells.

    Attributes
    ----------
    resolution : float
        Side of a cell, in degrees.
    land : ndarray
        bool (rows, columns): cells of which at least half is land. Row 0 touches the north pole, column 0 begins at
        180° W; the last row is the last one whose centre lies north of 60° S. Of a grid of the whole globe every cell
        counts, down to the south pole.
    lonlat : ndarray
        (N, 2) centres of the land cells in degrees, in the order of ``land.nonzero()``.
    area : ndarray
        (N,) share of their area in each cell; sums to one.
    """

    resolution: float
    land: NDArray[np.bool_]
    lonlat: NDArray[np.float64]
    area: NDArray[np.float64]

    @property
    def corners(self) -> NDArray[np.float64]:
        """(rows + 1, columns + 1, 2) corners of all cells: longitude from -180 to 180, latitude from 90 down."""
        rows, columns = self.land.shape
        lon = np.linspace(-180, 180, columns + 1)
        lat = 90 - 180 / (columns // 2) * np.arange(rows + 1)
        return np.stack(np.meshgrid(lon, lat), -1)

    def sample(self, values: NDArray[np.float64], lonlat: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., C) values of cells, laid out by `spread`, at (..., 2) places; zero where there is no cell or place."""
        rows, columns = self.land.shape
        placed = np.isfinite(lonlat).all(-1) & (90 - lonlat[..., 1] < rows * self.resolution)
        lon, lat = np.moveaxis(np.where(placed[..., None], lonlat, 0.0), -1, 0)
        row = np.minimum(((90 - lat) / self.resolution).astype(np.int64), rows - 1)
        column = np.floor((lon + 180) / self.resolution).astype(np.int64) % columns
        return np.where(placed[..., None], values[row, column], 0.0)

    def spread(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Lay (N, C) values of the land cells out as (rows, columns, C), zero elsewhere."""
        image = np.zeros((*self.land.shape, values.shape[1]))
        image[self.land] = values
        return image


def land_grid(resolution: float, *, sea: bool = False) -> LandGrid:
    """Land cells of a grid.

    Parameters
    ----------
    resolution : float
        Side of a cell in degrees, from 0.25 to 10; it must divide 180.
    sea : bool
        Take the cells of the whole globe, sea and Antarctica too.

    Raises
    ------
    ValueError
        If the resolution does not fit.
    """
    if not 0.25 <= check_number("resolution", resolution) <= 10:
        raise ValueError(f"resolution must lie between 0.25 and 10 degrees, got {resolution!r}")
    rows = round(180 / resolution)
    if abs(rows * resolution - 180) > 1e-9:
        raise ValueError(
            f"resolution must divide 180 degrees, got {resolution!r}; the nearest that does is {180 / rows:.6g}"
        )
    centre_lat = 90 - (np.arange(rows) + 0.5) * 180 / rows
    land = np.ones((rows, 2 * rows), bool) if sea else (_share_of_land(rows) >= 0.5)[centre_lat > SOUTH]
    row, column = land.nonzero()
    lat = centre_lat[row]
    lon = -180 + (column + 0.5) * 180 / rows
    area = np.cos(np.deg2rad(lat))
    return LandGrid(180 / rows, land, np.stack([lon, lat], 1), area / area.sum())


def embed_land(encoder: nn.Module, grid: LandGrid) -> NDArray[np.float32]:
    """Embedding of the land cells' centres, each row of length one.

    Parameters
    ----------
    encoder : Module
        Maps (N, 2) float64 degrees to (N, d). Runs in eval mode, without gradients, on its own device; the mode of
        each of its parts is restored.
    grid : LandGrid
        The cells.

    Returns
    -------
    ndarray
        float32 (N, d).

    Raises
    ------
    ValueError
        If the output is not (N, d), or not finite.
    """
    return run(encoder, grid.lonlat, nn.functional.normalize)


def _share_of_land(rows: int) -> NDArray[np.float64]:
    mask = land_mask()
    tops = np.arange(rows) * mask.shape[0] // rows
    lefts = np.arange(2 * rows) * mask.shape[1] // (2 * rows)
    count = np.add.reduceat(np.add.reduceat(mask, tops, 0, dtype=np.int64), lefts, 1)
    size = np.diff(tops, append=mask.shape[0])[:, None] * np.diff(lefts, append=mask.shape[1])
    share: NDArray[np.float64] = count / size
    return share
