"""Triangles that cover polygons of the globe, in the plane of longitude and sine of latitude, where areas are true.

A polygon is drawn in the plane of its own coordinate reference system (CRS). Its edges are cut into short ones, which
are taken to longitude and latitude; there each ring is followed step by step, the shorter way round, over the
antimeridian and beyond. A ring that goes round a pole is closed over it. What lies beyond ±180 is brought back by whole
turns, the union of all polygons taken, and triangulated.
"""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

STEP_DEGREES = 0.1
"""Longest edge: between its ends a straight line in latitude is off by at most 2.5 m · tan(latitude) in its sine."""
STEP_METRES = 10_000.0
NEARLY = 1e-6
"""Degrees that count for nothing."""

Floats = NDArray[np.float64]


def triangulate(polygons: Any) -> Floats:
    """Cover the union of polygons with triangles that do not overlap.

    Parameters
    ----------
    polygons : GeoSeries
        As `locenc_csp.polygon_files.read_polygons` returns them.

    Returns
    -------
    ndarray
        float64 (T, 3, 2): corners, longitude in degrees within ±180 and sine of latitude.

    Raises
    ------
    ValueError
        If an edge leaves open which way round it goes, a latitude is none, or there is no area.
    """
    shapely = require("shapely", extra="geo")
    pieces = []
    for row, polygon in enumerate(_in_degrees(shapely, polygons)):
        for part in _areas(shapely, polygon):
            inside = _on_map(shapely, part.exterior, row)
            for ring in part.interiors:
                inside = shapely.difference(inside, _on_map(shapely, ring, row))
            pieces.append(inside)
    parts = _areas(shapely, shapely.union_all(pieces))
    if len(parts) == 0:
        raise ValueError("the polygons have no area: no location can be drawn")
    triangles = shapely.get_parts(shapely.constrained_delaunay_triangles(parts))
    corners: Floats = shapely.get_coordinates(triangles).reshape(-1, 4, 2)[:, :3]
    return corners


def _in_degrees(shapely: Any, polygons: Any) -> NDArray[Any]:
    """Polygons with short edges, in longitude and latitude."""
    crs = polygons.crs
    if crs is None:
        warnings.warn(
            "the polygons have no coordinate reference system: taken as longitude and latitude in degrees (EPSG:4326); "
            "set_crs says what it is",
            stacklevel=4,
        )
    longest = STEP_DEGREES
    if crs is None or crs.is_geographic:
        _check_bounds(polygons.bounds.to_numpy())
        _check_edges(shapely, polygons.to_numpy())
    else:
        longest = STEP_METRES / crs.axis_info[0].unit_conversion_factor
    dense = type(polygons)(shapely.segmentize(_mended(shapely, polygons.to_numpy()), longest), crs=crs)
    lonlat = dense if crs is None else dense.to_crs(4326)
    _check_bounds(lonlat.bounds.to_numpy())
    degrees: NDArray[Any] = lonlat.to_numpy()
    return degrees


def _check_bounds(bounds: Floats) -> None:
    beyond = (np.abs(bounds) > [540, 90 + NEARLY, 540, 90 + NEARLY]).any(1)
    if beyond.any():
        row = int(beyond.argmax())
        west, south, east, north = bounds[row]
        raise ValueError(
            f"polygon {row} has longitudes from {west:g} to {east:g} and latitudes from {south:g} to {north:g}: "
            "no degrees; set the polygons' coordinate reference system, frame.set_crs(...)"
        )


def _check_edges(shapely: Any, polygons: NDArray[Any]) -> None:
    """Refuse edges longer than half of the way round: they may mean the other way, over the antimeridian."""
    rings, rows = shapely.get_rings(polygons, return_index=True)
    corners, owner = shapely.get_coordinates(rings, return_index=True)
    change = np.abs(np.diff(corners, axis=0))
    pole = np.abs(corners[:-1, 1]) > 90 - NEARLY
    wide = (change[:, 0] > 180) & (change[:, 0] < 360 - NEARLY) & (owner[1:] == owner[:-1])
    wide &= ~(pole & (change[:, 1] < NEARLY))
    if wide.any():
        at = int(wide.argmax())
        raise ValueError(
            f"the polygon of row {rows[owner[at]]} has an edge from longitude {corners[at, 0]:g} to "
            f"{corners[at + 1, 0]:g}, more than half of the way round, so it may go either way: write longitudes "
            "beyond 180 where it crosses the antimeridian (190 for -170), or divide it where it does not "
            "(frame.segmentize(90))"
        )


def _on_map(shapely: Any, ring: Any, row: int) -> Any:
    """Inside of a ring of degrees, between longitudes -180 and 180, in the plane of true areas."""
    lon, lat = _unrolled(shapely.get_coordinates(ring), row)
    inside = _mended(shapely, shapely.Polygon(np.stack([lon, np.sin(np.deg2rad(lat))], axis=1)))
    turns = range(math.floor((lon.min() + 180) / 360), math.ceil((lon.max() + 180) / 360))
    shifted = [shapely.transform(inside, lambda points, by=360 * turn: points - [by, 0]) for turn in turns]
    return shapely.union_all(_areas(shapely, shapely.intersection(shifted, shapely.box(-180, -1, 180, 1))))


def _mended(shapely: Any, polygon: Any) -> Any:
    return shapely.make_valid(polygon, method="structure", keep_collapsed=False)


def _areas(shapely: Any, geometries: Any) -> NDArray[Any]:
    """Polygons among the parts: two regions may also touch in a line or a point."""
    parts = shapely.get_parts(geometries)
    areas: NDArray[Any] = parts[shapely.area(parts) > 0]
    return areas


def _unrolled(corners: Floats, row: int) -> tuple[Floats, Floats]:
    """Follow a closed ring the shorter way from corner to corner; one that goes round a pole is closed over it."""
    lon, lat = corners.T
    step = np.diff(lon)
    step -= 360 * np.round(step / 360)
    around = (np.roll(lon[:-1], -1) - np.roll(lon[:-1], 1)) % 360  # from the corner before to the one behind
    through = (np.abs(lat[:-1]) > 90 - NEARLY) & (np.abs(around - 180) < NEARLY)
    if through.any() or (np.abs(step) > 180 - NEARLY).any():
        raise ValueError(f"the polygon of row {row} has an edge through a pole: move it a little to one side")
    followed = lon[0] + np.concatenate([[0.0], np.cumsum(step)])
    if abs(followed[-1] - followed[0]) > 180:
        pole = math.copysign(90.0, lat.mean())
        followed = np.append(followed, [followed[-1], followed[0], followed[0]])
        lat = np.append(lat, [pole, pole, lat[0]])
    return followed, lat
