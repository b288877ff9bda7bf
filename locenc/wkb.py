"""Points in well-known binary (ISO and EWKB, both byte orders), out of Arrow columns, without a geometry library."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

KINDS = (
    *("Geometry", "Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon"),
    "GeometryCollection",
)
POINT = KINDS.index("Point")
POINT_BYTES = 21  # byte order, type (uint32), x, y (float64)
EWKB_FLAGS, EWKB_SRID = 0xE0000000, 0x20000000  # Z, M and SRID, as PostGIS writes them
UNREADABLE = -1
"""Kind of what is no well-known binary."""

PLAIN = np.dtype([("order", "u1"), ("kind", "<u4"), ("xy", "<f8", 2)])


def is_binary(kind: Any) -> bool:
    """Whether an Arrow type holds bytes."""
    types = require("pyarrow.types", extra="geo")
    kinds = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary)
    return any(one(kind) for one in kinds)


def points(column: Any, missing: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Coordinates of points in well-known binary.

    Parameters
    ----------
    column : pyarrow.Array
        Of N binary values.
    missing : ndarray
        (N,) bool: where there is none.

    Returns
    -------
    lonlat : ndarray
        (N, 2) float64, in the order of the file, x first; NaN where the geometry is missing, empty or no point.
    kinds : ndarray
        (N,) what each geometry is, a place in `KINDS`; `UNREADABLE` for what is none. `POINT` where it is missing.
    """
    arrow = require("pyarrow", extra="geo")
    column = column.cast(arrow.large_binary())
    _, offsets, values = column.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64)[column.offset :][: len(column) + 1]
    raw = np.frombuffer(values, dtype=np.uint8) if values is not None else np.empty(0, dtype=np.uint8)
    if not missing.any() and (plain := _plain(raw, starts)) is not None:
        return plain["xy"].astype(np.float64), np.full(len(column), POINT)
    lonlat = np.full((len(column), 2), np.nan)
    kinds = np.where(missing, POINT, UNREADABLE)
    rows = np.flatnonzero(~missing & (np.diff(starts) >= 5))
    orders = raw[starts[rows]]
    for order, letter in ((1, "<"), (0, ">")):
        here = rows[orders == order]
        codes = _fields(raw, starts[here] + 1, f"{letter}u4")
        kinds[here] = _kinds(codes)
        first = 5 + 4 * ((codes & np.uint32(EWKB_SRID)) != 0)  # an SRID stands before the coordinates
        length = np.diff(starts)[here]
        kinds[here[(kinds[here] == POINT) & (length < first + POINT_BYTES - 5)]] = UNREADABLE
        whole = kinds[here] == POINT
        here, first = here[whole], (starts[here] + first)[whole]
        lonlat[here, 0] = _fields(raw, first, f"{letter}f8")
        lonlat[here, 1] = _fields(raw, first + 8, f"{letter}f8")
    return lonlat, kinds


def _plain(raw: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[Any] | None:
    """The usual, seen at once: each row a point of two coordinates, little-endian."""
    count = len(starts) - 1
    if count < 1 or starts[-1] - starts[0] != count * POINT_BYTES or (np.diff(starts) != POINT_BYTES).any():
        return None
    found = raw[starts[0] : starts[-1]].view(PLAIN)
    return found if (found["order"] == 1).all() and (found["kind"] == POINT).all() else None


def _kinds(codes: NDArray[np.uint32]) -> NDArray[np.int64]:
    """Kinds of geometries by their type codes: ISO adds 1000 for Z, 2000 for M, EWKB sets the highest bits."""
    kinds = (codes & ~np.uint32(EWKB_FLAGS)).astype(np.int64)
    kinds = np.where(kinds < 4000, kinds % 1000, UNREADABLE)
    return np.where(kinds < len(KINDS), kinds, UNREADABLE)


def _fields(raw: NDArray[np.uint8], starts: NDArray[np.int64], dtype: str) -> NDArray[Any]:
    """Values of a type that begin at some bytes."""
    width = np.dtype(dtype).itemsize
    values: NDArray[Any] = raw[starts[:, None] + np.arange(width)].view(dtype)[:, 0]
    return values
