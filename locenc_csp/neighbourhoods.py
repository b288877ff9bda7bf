"""Places within a distance of centres on the sphere, and where they lie as seen from there.

Everything is done with unit vectors, so the poles and the antimeridian are places like any other.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc._names import check_count, check_number
from locenc.coords import as_lonlat, unit_sphere
from locenc_csp._sphere import EARTH_RADIUS_KM

CENTRES = 256
"""Neighbourhoods that are held at once, unless there is reason for fewer."""
SLACK = 1e-9
"""Share of the radius that counts for nothing: a place so little outside a bound lies on it."""

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


class Places(NamedTuple):
    """N places on the unit sphere.

    Attributes
    ----------
    vectors : ndarray
        float64 (N, 3) unit vectors.
    frames : ndarray
        float64 (N, 3, 3): the unit vectors east, north and up at each place. At a pole the place's longitude says
        which way is north.
    """

    vectors: Floats
    frames: Floats


class Batch(NamedTuple):
    """Some neighbourhoods, one after the other.

    Attributes
    ----------
    centres : ndarray
        int64 (C,): rows of the centres.
    members : ndarray
        int64 (P,): rows of the places in the first neighbourhood, in the second, and so on; each in the order of rows.
    splits : ndarray
        int64 (C + 1,): neighbourhood i is ``members[splits[i] : splits[i + 1]]``.
    """

    centres: Rows
    members: Rows
    splits: Rows


def make_places(lonlat: ArrayLike) -> Places:
    """Check (N, 2) longitudes and latitudes in degrees, at least one, and put them on the unit sphere.

    Raises
    ------
    TypeError, ValueError
        For bad coordinates, as `locenc.coords.as_lonlat`, or none.
    """
    points = as_lonlat(lonlat)
    if len(points) == 0:
        raise ValueError("expected at least one place, got none")
    up: Floats = unit_sphere(points).numpy()
    lon, lat = np.deg2rad(points.numpy()).T
    east = np.stack([-np.sin(lon), np.cos(lon), np.zeros_like(lon)], axis=1)
    north = np.stack([-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)], axis=1)
    return Places(up, np.stack([east, north, up], axis=1))


def radians(radius_km: float) -> float:
    """Angle of a distance on the sphere, from above 0 to a quarter of the globe.

    Raises
    ------
    ValueError
        For a distance out of range.
    """
    angle = check_number("radius_km", radius_km) / EARTH_RADIUS_KM
    if not 0 < angle < math.pi / 2:
        raise ValueError(
            f"radius_km must lie above 0 and below a quarter of the globe, "
            f"{math.pi / 2 * EARTH_RADIUS_KM:.0f} km, got {radius_km!r}"
        )
    return angle


def chord(angle: float) -> float:
    """Length of the straight line between two points of the unit sphere that are an angle apart."""
    return 2 * math.sin(angle / 2)


def neighbourhoods(
    places: Places,
    radius: float,
    *,
    centres: ArrayLike | None = None,
    max_neighbours: int | None = None,
    at_once: int = CENTRES,
) -> Iterator[Batch]:
    """All places within a radius of each centre, the centre included.

    Parameters
    ----------
    places : Places
        N places.
    radius : float
        In radians.
    centres : array_like of int, optional
        Rows of the centres, each its own neighbourhood; all rows unless given.
    max_neighbours : int, optional
        Keep the nearest so many of each neighbourhood, the first rows where distances are equal.
    at_once : int
        Neighbourhoods in a batch.

    Yields
    ------
    Batch
        Neighbourhoods in the order of the centres.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    ValueError, TypeError
        For centres that are no rows, or a number of neighbours below 1.
    """
    rows = check_rows(centres, len(places.vectors))
    if max_neighbours is not None:
        check_count("max_neighbours", max_neighbours)
    tree = require("sklearn.neighbors", extra="csp").KDTree(places.vectors)  # chords order as arcs
    reach = chord(radius * (1 + SLACK))
    for start in range(0, len(rows), at_once):
        batch = rows[start : start + at_once]
        found = [np.sort(part) for part in tree.query_radius(places.vectors[batch], reach)]
        if max_neighbours is not None:
            found = [_nearest(places, row, part, max_neighbours) for row, part in zip(batch, found, strict=True)]
        splits = np.cumsum([0, *map(len, found)])
        yield Batch(batch, np.concatenate(found).astype(np.int64), splits.astype(np.int64))


def local_coordinates(places: Places, batch: Batch) -> Floats:
    """Where the members of neighbourhoods lie as seen from their centres: (P, 3) towards east, north and up."""
    owner = np.repeat(batch.centres, np.diff(batch.splits))
    away = places.vectors[batch.members] - places.vectors[owner]  # 0 for the centre itself, to the last bit
    local: Floats = np.einsum("pij,pj->pi", places.frames[owner], away)
    local[:, 2] += 1
    return local


def check_rows(rows: ArrayLike | None, count: int) -> Rows:
    """Rows of a table of ``count`` rows, int64; all of them where none are named.

    Raises
    ------
    TypeError
        If they are not whole numbers.
    ValueError
        If one of them is no row; the first is named.
    """
    if rows is None:
        return np.arange(count)
    checked = np.asarray(rows)
    if checked.ndim != 1 or (checked.dtype.kind not in "iu" and len(checked)):
        raise TypeError(f"centres must be row numbers of shape (C,), got {checked.dtype} {checked.shape}")
    checked = checked.astype(np.int64)
    bad = (checked < 0) | (checked >= count)
    if bad.any():
        first = int(bad.argmax())
        raise ValueError(f"centres must be rows from 0 to {count - 1}, but number {first} is {checked[first]}")
    return checked


def _nearest(places: Places, centre: np.int64, found: Rows, count: int) -> Rows:
    if len(found) <= count:
        return found
    away = places.vectors[found] - places.vectors[centre]
    square = (away * away).sum(1)
    limit = np.partition(square, count - 1)[count - 1]
    nearer, at_limit = found[square < limit], found[square == limit]
    nearest: Rows = np.sort(np.concatenate([nearer, at_limit[: count - len(nearer)]]))
    return nearest
