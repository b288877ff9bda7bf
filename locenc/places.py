"""Places out of tables, geometries and arrays: checked longitudes and latitudes, with what names the rows."""

import sys
import warnings
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import among, and_more, named_row, unknown
from locenc.coords import as_pairs, check_values
from locenc.crs import to_degrees

Floats = NDArray[np.float64]

DASK = ("dask", "dask_expr", "dask_geopandas")
POINT, MISSING = 0, -1  # of shapely.get_type_id
WAYS = ("raise", "nan")
NO_CRS = (
    "the geometries have no CRS: their coordinates are taken as (longitude, latitude) in degrees, EPSG:4326; "
    "data.set_crs(4326) says so"
)


class Places(NamedTuple):
    """Places in the order of the data.

    Attributes
    ----------
    lonlat : ndarray
        (N, 2) float64 longitudes and latitudes in degrees, EPSG:4326; NaN where missing.
    missing : ndarray
        (N,) bool.
    index : pandas.Index or None
        Of the table that the places came from.
    """

    lonlat: Floats
    missing: NDArray[np.bool_]
    index: Any


def read(data: Any, *, lon: str | None = None, lat: str | None = None, missing: str = "raise") -> Places:
    """Longitudes and latitudes of whatever holds places.

    Parameters
    ----------
    data : GeoDataFrame, GeoSeries, DataFrame, Point or array_like
        Points of geopandas in any CRS, without one taken as longitude and latitude (with a warning); a table with the
        columns ``lon`` and ``lat``; a point of shapely; or ``(N, 2)`` degrees, as `locenc.coords.as_lonlat` takes them.
    lon, lat : str, optional
        Columns of longitude and latitude in degrees, EPSG:4326.
    missing : {"raise", "nan"}
        Whether a missing or empty point, or NaN for a coordinate, is an error or a row of NaN.

    Raises
    ------
    TypeError
        For data of another kind, columns that hold no numbers, a table without ``lon`` and ``lat``.
    ValueError
        For a geometry that is no point, a missing one (unless ``missing="nan"``), a place outside the CRS, a latitude
        outside [-90, 90], an infinite coordinate, an unknown column or ``missing``. Each names the first such row by
        its position and, where that is something else, its label in the index.

    Examples
    --------
    >>> read([[2.35, 48.86], [float("nan"), 0.0]], missing="nan").missing
    array([False,  True])
    """
    if is_dask(data):
        raise TypeError(f"a {type(data).__name__} of dask holds no places yet: load it first, data.compute()")
    if not among(missing, WAYS):
        raise ValueError(unknown("way of treating missing places:", missing, WAYS))
    crs = None
    if lon is not None or lat is not None:
        points, index = _from_columns(data, lon, lat)
    elif _is(data, "geopandas", "GeoDataFrame"):
        points, index, crs = _from_geometries(_active_geometry(data))
    elif _is(data, "geopandas", "GeoSeries"):
        points, index, crs = _from_geometries(data)
    elif _is(data, "shapely", "Geometry"):
        points, index = _coordinates(np.array([data]), None), None
    else:
        points, index = _from_numbers(data), None
    transform = None if crs is None else to_degrees(crs)
    return located(points, index, missing=missing, transform=transform, crs="" if crs is None else crs.name)


def located(
    points: Floats,
    index: Any,
    *,
    missing: str,
    transform: Callable[[Floats], Floats] | None = None,
    crs: str = "",
) -> Places:
    """Checked places of points.

    Parameters
    ----------
    points : ndarray
        (N, 2) float64 x and y, NaN where there is no point.
    index : pandas.Index, range or None
        What names the rows.
    missing : {"raise", "nan"}
        As in `read`.
    transform : callable, optional
        From x and y to longitude and latitude, unless they are these; see `locenc.crs.to_degrees`.
    crs : str
        Name of the CRS, for messages.

    Raises
    ------
    ValueError
        As `read`.
    """
    absent = np.logical_or(*np.isnan(points).T)
    if missing == "raise" and absent.any():
        row = int(absent.argmax())
        x, y = points[row].tolist()
        raise ValueError(
            f"{named_row(row, index)} has no place (longitude {x:g}, latitude {y:g}){and_more(int(absent.sum()))}: "
            'drop such rows first, or keep them as rows of NaN with missing="nan"'
        )
    lonlat = points if transform is None else transform(points)
    outside = ~np.isfinite(lonlat).all(1) & ~absent
    if transform is not None and outside.any():
        row = int(outside.argmax())
        x, y = points[row].tolist()
        raise ValueError(
            f"{named_row(row, index)} has x {x:g}, y {y:g}, which is no place in its CRS ({crs})"
            f"{and_more(int(outside.sum()))}. Is that the CRS of these numbers? set_crs(..., allow_override=True) of "
            "geopandas sets another"
        )
    gaps = absent.any()
    check_values(torch.from_numpy(np.where(absent[:, None], 0, lonlat) if gaps else lonlat), index)
    return Places(np.where(absent[:, None], np.nan, lonlat) if gaps else lonlat, absent, index)


def is_dask(data: Any) -> bool:
    """Whether data are a collection of dask's; imports nothing."""
    return type(data).__module__.partition(".")[0] in DASK


def _is(data: Any, package: str, kind: str) -> bool:
    """Whether data are of a package's class; a package that nobody imported has made no data."""
    module = sys.modules.get(package)
    return module is not None and hasattr(module, kind) and isinstance(data, getattr(module, kind))


def _active_geometry(frame: Any) -> Any:
    try:
        return frame.geometry
    except AttributeError as error:
        raise ValueError(
            "the GeoDataFrame has no active geometry column: choose one, data.set_geometry(name), or name columns of "
            "degrees, lon= and lat="
        ) from error


def _from_geometries(series: Any) -> tuple[Floats, Any, Any]:
    """Points of a GeoSeries, its index, and its CRS."""
    if series.crs is None and len(series):
        warnings.warn(NO_CRS, stacklevel=4)
    return _coordinates(series.to_numpy(), series.index), series.index, series.crs


def _coordinates(geometries: NDArray[Any], index: Any) -> Floats:
    """(N, 2) x and y of points, NaN where they are missing or empty."""
    shapely = require("shapely", extra="geo")
    kinds = shapely.get_type_id(geometries)
    others = (kinds != POINT) & (kinds != MISSING)
    if others.any():
        row = int(others.argmax())
        raise ValueError(
            f"geometries must be points, but {named_row(row, index)} is a {geometries[row].geom_type}"
            f"{and_more(int(others.sum()))}. Take a point of each: data.representative_point() (in a GeoDataFrame: "
            "data.set_geometry(data.representative_point())), or explode() what has several"
        )
    present = (kinds == POINT) & ~shapely.is_empty(geometries)
    points = np.full((len(geometries), 2), np.nan)
    points[present] = shapely.get_coordinates(geometries[present])
    return points


def _from_columns(data: Any, lon: str | None, lat: str | None) -> tuple[Floats, Any]:
    if not (hasattr(data, "columns") and hasattr(data, "__getitem__")):
        raise TypeError(f"lon= and lat= name columns of a table, but the data are {type(data).__name__}")
    if lon is None or lat is None:
        raise TypeError(f"lon= and lat= go together: give {'lon' if lon is None else 'lat'}= too")
    index = data.index if _is(data, "pandas", "DataFrame") else None
    return np.stack([_column(data, name, index) for name in (lon, lat)], 1), index


def _column(table: Any, name: str, index: Any) -> Floats:
    """Numbers of a column, NaN where they are missing."""
    if not isinstance(name, Hashable):
        raise TypeError(f"lon= and lat= are names of columns, got {name!r:.60}")
    names = _names(table)
    if name not in names:
        raise ValueError(unknown("column", name, map(str, names)))
    if names.count(name) > 1:
        raise ValueError(f"the table has {names.count(name)} columns named {name!r}: rename or drop the others")
    column = table[name]
    if str(getattr(column, "dtype", "")) in ("float16", "Float16"):
        raise TypeError(
            f"column {name!r} is float16, which moves places by kilometres: keep coordinates in float64 or float32"
        )
    if _is(column, "pandas", "Series") and column.dtype.kind in "fiu":
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    values = column.to_numpy()
    if values.dtype.kind in "fiu":
        return np.asarray(values, np.float64)
    example = f", for example {values[0]!r:.40} in {named_row(0, index)}" if len(values) else ""
    raise TypeError(
        f"column {name!r} must hold numbers in degrees, not {column.dtype if hasattr(column, 'dtype') else column.type}"
        f"{example}; pandas.to_numeric(column) converts"
    )


def _names(table: Any) -> list[Any]:
    """Names of columns; a table of Arrow has the columns themselves as ``columns``."""
    return list(getattr(table, "column_names", table.columns))


def _from_numbers(data: Any) -> Floats:
    if hasattr(data, "columns"):
        there = ", ".join(map(str, _names(data)))
        raise TypeError(f"which columns hold longitude and latitude? Give lon= and lat=; there are {there}")
    if _is(data, "pandas", "Series"):
        raise TypeError("a Series of numbers holds no places; geopandas.GeoSeries(data) makes one of geometries")
    return as_pairs(data).resolve_neg().numpy()
