"""Random locations uniform by area over a part of the globe: land, or polygons.

In the plane of longitude and sine of latitude areas are those of the sphere (Lambert's cylindrical projection). A
region is cut into rectangles or triangles of that plane once, when its sampler is made. A draw chooses one by its area,
and a point in it: an index and an affine map, so that nothing is rejected and the host need not look.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locenc_csp.sampler import Resident, Sampler, from_uniform

Floats = NDArray[np.float64]


def land(mask: np.ndarray | None = None) -> Sampler:
    """Uniform by area on land.

    Parameters
    ----------
    mask : array (H, W) of bool, optional
        Where a location may lie: row 0 at the north edge, column 0 at 180 W. Default: `locenc.data.land_mask`, all
        land of the Earth, ice included.

    Raises
    ------
    ValueError
        If the mask allows nothing.
    """
    from locenc import data

    allowed = data.land_mask() if mask is None else np.asarray(mask, dtype=bool)
    if not allowed.any():
        raise ValueError(f"the land mask of shape {allowed.shape} is False everywhere: no location can be drawn")
    return _uniform(*rectangles(allowed), triangles=False)


def polygons(region: Any) -> Sampler:
    """Uniform by area inside polygons; where they overlap, as anywhere else.

    Parameters
    ----------
    region : str, Path, GeoDataFrame or GeoSeries
        Polygons and multipolygons, in any coordinate reference system (CRS), or a file of them: GeoPackage (.gpkg),
        GeoJSON (.geojson, .json) or GeoParquet (.parquet, .geoparquet). Without a CRS they are taken as longitude and
        latitude in degrees, with a warning.

    Returns
    -------
    Sampler
        Its points lie inside the polygons, or at most 3 m · tan(latitude) outside an edge.

    Raises
    ------
    ImportError
        If geopandas is not installed.
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If the file or table holds no polygon, or a geometry that is missing, empty or none, or an edge
        leaves open which way round it goes; the first row is named.

    Notes
    -----
    Edges are straight in the polygons' own CRS, as they are drawn there. In longitude and latitude a polygon that
    crosses the antimeridian is cut there, or goes on beyond ±180. Polygons that are not valid are mended
    (`shapely.make_valid`). In other CRSs no edge may run through a pole.
    """
    from locenc_csp.polygon_files import read_polygons
    from locenc_csp.triangulation import triangulate

    corners = triangulate(read_polygons(region))
    origin = corners[:, 0]
    return _uniform(origin, corners[:, 1] - origin, corners[:, 2] - origin, triangles=True)


def rectangles(mask: NDArray[np.bool_]) -> tuple[Floats, Floats, Floats]:
    """Rectangles of (longitude in degrees, sine of latitude) that cover the cells of a mask: one for each run of a row.

    Returns
    -------
    origin, eastward, northward : ndarray
        float64 (P, 2): south-western corner, and the two sides from there.
    """
    height, width = mask.shape
    change = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    edge = np.sin(np.deg2rad(90 - 180 / height * np.arange(height + 1)))
    nothing = np.zeros(len(row))
    origin = np.stack([360 / width * start - 180, edge[row + 1]], axis=1)
    return (
        origin,
        np.stack([360 / width * (stop - start), nothing], axis=1),
        np.stack([nothing, edge[row] - edge[row + 1]], axis=1),
    )


def _uniform(origin: Floats, first: Floats, second: Floats, *, triangles: bool) -> Sampler:
    """Uniform over parallelograms, or triangles, that have a corner and two sides (P, 2) each."""
    area = np.abs(first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0])
    share = np.cumsum(area)
    share /= share[-1]
    kept = Resident(torch.from_numpy(share), torch.from_numpy(np.stack([origin, first, second], axis=1)))

    def draw(uniform: Tensor) -> tuple[Tensor, Tensor]:
        shares, pieces = kept.on(uniform.device)
        which, u, v = uniform
        if triangles:  # the half beyond the diagonal is turned into the other
            beyond = u + v > 1
            u, v = torch.where(beyond, 1 - u, u), torch.where(beyond, 1 - v, v)
        corner, along, across = pieces[torch.searchsorted(shares, which, right=True)].unbind(1)
        lon, height = (corner + u[:, None] * along + v[:, None] * across).unbind(1)
        return lon.clamp(-180, 180), torch.rad2deg(torch.asin(height.clamp(-1, 1)))

    return from_uniform(3, draw)
