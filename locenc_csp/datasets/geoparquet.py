"""Points out of a GeoParquet file, with Arrow alone.

The file's metadata name the geometry column, its encoding (well-known binary, or a struct of x and y) and its
coordinate reference system (GeoParquet 1.1; longitude and latitude, OGC:CRS84, unless another is given).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc import wkb
from locenc._extras import require
from locenc._names import and_more
from locenc.parquet.geometry import geo_metadata

__all__ = ["Points", "point_column"]

DEGREES = {("OGC", "CRS84"), ("EPSG", "4326")}


def point_column(schema: Any) -> str | None:
    """Name of the geometry column of a table, from its Arrow schema; None if it has none.

    Raises
    ------
    ValueError
        If the coordinate reference system is not longitude and latitude in degrees on WGS 84.
    """
    described = geo_metadata(schema)
    if described is None:
        return None
    name = str(described.get("primary_column", "geometry"))
    if name not in schema.names:
        return None
    settings = described.get("columns", {}).get(name, {})
    crs = settings.get("crs", {"id": {"authority": "OGC", "code": "CRS84"}})
    identity = crs.get("id", {}) if isinstance(crs, dict) else {}
    if crs is not None and (str(identity.get("authority")), str(identity.get("code"))) not in DEGREES:
        known = crs.get("name", "one without a name") if isinstance(crs, dict) else repr(crs)
        raise ValueError(
            f"the geometry is in {known}, not in longitude and latitude (EPSG:4326): transform it first, with "
            "geopandas: frame.to_crs(4326).to_parquet(...)"
        )
    return name


class Points:
    """Collects a column of points: float64 (N, 2) coordinates, NaN where the geometry is missing or empty.

    Parameters
    ----------
    name : str
        Of the column, for messages.
    count : int
        Number of rows.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name, self._end = name, 0
        self._lonlat = np.full((count, 2), np.nan)
        self._others: list[NDArray[np.int64]] = []

    def add(self, part: Any) -> None:
        """Take the next rows, an Arrow array.

        Raises
        ------
        ValueError
            If the column holds something else than geometries.
        """
        arrow = require("pyarrow", extra="csp")
        column = part.storage if hasattr(part, "storage") else part
        missing = column.is_null().to_numpy(zero_copy_only=False)
        others = np.zeros(len(column), bool)
        if arrow.types.is_struct(column.type):
            lonlat = np.stack([column.field(axis).to_numpy(zero_copy_only=False) for axis in ("x", "y")], axis=1)
        elif wkb.is_binary(column.type):
            lonlat, kinds = wkb.points(column, missing)
            others = kinds != wkb.POINT
        else:
            raise ValueError(
                f"column {self._name!r} must hold points (well-known binary, or x and y), not {column.type}"
            )
        lonlat = lonlat.astype(np.float64)
        lonlat[missing | np.isnan(lonlat).any(axis=1)] = np.nan
        self._lonlat[self._end : self._end + len(column)] = lonlat
        self._others.append(self._end + np.flatnonzero(others))
        self._end += len(column)

    def finish(self) -> NDArray[np.float64]:
        """All coordinates.

        Raises
        ------
        ValueError
            If a geometry is no point; the first row is named.
        """
        rows = np.concatenate([np.empty(0, np.int64), *self._others])
        if len(rows):
            raise ValueError(f"geometries must be points, but that of row {rows[0]} is none{and_more(len(rows))}")
        return self._lonlat
