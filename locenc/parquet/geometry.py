"""Places in the columns of a Parquet file: points of GeoParquet in any reference system, or two columns of degrees.

The file's geo metadata name the geometry column, its encoding (well-known binary, or a struct of x and y) and its
coordinate reference system (GeoParquet 1.1; longitude and latitude, OGC:CRS84, unless another is given).
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc import wkb
from locenc._extras import require
from locenc._files import parse_json
from locenc._names import and_more, unknown
from locenc.crs import to_degrees
from locenc.places import located

Floats = NDArray[np.float64]

DEGREES = {("OGC", "CRS84"), ("EPSG", "4326")}
NO_CRS = (
    "the file's geo metadata give no CRS: coordinates are taken as (longitude, latitude) in degrees, EPSG:4326; "
    "frame.set_crs(...).to_parquet(...) says which it is"
)


class PlaceColumns(NamedTuple):
    """Where the places of a table are.

    Attributes
    ----------
    names : tuple of str
        Columns that hold them.
    read : callable
        From these columns, Arrow arrays, to (N, 2) float64 x and y, NaN where there is no place, and to what else than
        a point a row holds: a name for each such row.
    transform : callable or None
        From x and y to longitude and latitude, unless they are these.
    crs : str
        Name of the reference system.
    """

    names: tuple[str, ...]
    read: Callable[..., tuple[Floats, dict[int, str]]]
    transform: Callable[[Floats], Floats] | None = None
    crs: str = "EPSG:4326"


def place_columns(schema: Any, lon: str | None, lat: str | None) -> PlaceColumns:
    """Find the places of a table.

    Parameters
    ----------
    schema : pyarrow.Schema
        Of the table.
    lon, lat : str or None
        Columns of degrees, if not its geometry.

    Raises
    ------
    TypeError
        If one of ``lon`` and ``lat`` is missing, or a column holds something else.
    ValueError
        If a column is not there, there is no geometry, or its reference system is unknown.
    """
    if (lon is None) != (lat is None):
        raise TypeError(f"lon= and lat= go together: give {'lon' if lon is None else 'lat'}= too")
    if lon is not None and lat is not None:
        for name in (lon, lat):
            _check_numbers(schema, name)
        return PlaceColumns((lon, lat), _degrees)
    name, about = _primary(schema)
    kind = schema.field(name).type
    storage = getattr(kind, "storage_type", kind)
    types = require("pyarrow.types", extra="geo")
    if types.is_struct(storage) and {"x", "y"} <= {field.name for field in storage}:
        read = _from_struct
    elif wkb.is_binary(storage):
        read = _from_wkb
    else:
        raise TypeError(f"column {name!r} must hold points (well-known binary, or a struct of x and y), not {kind}")
    crs = about.get("crs", {"id": {"authority": "OGC", "code": "CRS84"}})
    if crs is None:
        warnings.warn(NO_CRS, stacklevel=4)
    identity = (crs.get("id") or {}) if isinstance(crs, dict) else {}
    if crs is None or (str(identity.get("authority")), str(identity.get("code"))) in DEGREES:
        return PlaceColumns((name,), read)
    shown = crs.get("name", "a CRS without a name") if isinstance(crs, dict) else repr(crs)
    return PlaceColumns((name,), read, to_degrees(crs), str(shown))


def places(columns: PlaceColumns, table: Any, first: int, missing: str) -> Floats:
    """Checked longitudes and latitudes of a part of a table.

    Parameters
    ----------
    columns : PlaceColumns
        Where they are.
    table : pyarrow.Table
        Has these columns.
    first : int
        Number of its first row in the file, for messages.
    missing : {"raise", "nan"}
        Whether a row without a place is an error.

    Returns
    -------
    ndarray
        (N, 2) degrees, NaN where there is no place.

    Raises
    ------
    ValueError
        For the first row that holds no place, or one that is not on the globe.
    """
    points, others = columns.read(*(_whole(table.column(name)) for name in columns.names))
    if others:
        row, kind = next(iter(others.items()))
        raise ValueError(
            f"geometries must be points, but row {first + row} is {kind}{and_more(len(others))}. Take a point of each "
            "first: frame.set_geometry(frame.representative_point()).to_parquet(...)"
        )
    rows = range(first, first + len(points))
    return located(points, rows, missing=missing, transform=columns.transform, crs=columns.crs).lonlat


def geo_metadata(schema: Any) -> dict[str, Any] | None:
    """The geo metadata of GeoParquet; None if there are none.

    Raises
    ------
    ValueError
        If they are no JSON.
    """
    described = (schema.metadata or {}).get(b"geo")
    if described is None:
        return None
    try:
        content = parse_json(described)
    except ValueError as error:
        raise ValueError(f"the file's geo metadata are damaged: {error}") from error
    return content if isinstance(content, dict) else None


def _primary(schema: Any) -> tuple[str, dict[str, Any]]:
    """Name of the geometry column, and what the geo metadata say about it."""
    described = geo_metadata(schema)
    if described is None:
        raise ValueError(
            "the file has no geometry (no geo metadata of GeoParquet): name columns of degrees, lon= and lat=; there "
            f"are {', '.join(schema.names)}"
        )
    name = str(described.get("primary_column", "geometry"))
    if name not in schema.names:
        raise ValueError(
            f"the file's geo metadata name a geometry column {name!r}, but there are {', '.join(schema.names)}; name "
            "columns of degrees, lon= and lat="
        )
    columns = described.get("columns")
    about = columns.get(name) if isinstance(columns, dict) else None
    return name, about if isinstance(about, dict) else {}


def _check_numbers(schema: Any, name: str) -> None:
    types = require("pyarrow.types", extra="geo")
    if name not in schema.names:
        raise ValueError(unknown("column", name, schema.names))
    if schema.names.count(name) > 1:
        raise ValueError(f"the file has {schema.names.count(name)} columns named {name!r}: rename or drop the others")
    kind = schema.field(name).type
    if not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        raise TypeError(f"column {name!r} must hold numbers in degrees, not {kind}: convert it first")


def _whole(column: Any) -> Any:
    """A column as one Arrow array, without what an extension type says."""
    arrow = require("pyarrow", extra="geo")
    whole = column.combine_chunks()
    if isinstance(whole, arrow.ChunkedArray):
        whole = arrow.concat_arrays(whole.chunks) if whole.num_chunks else arrow.array([], whole.type)
    return whole.storage if hasattr(whole, "storage") else whole


def _degrees(lon: Any, lat: Any) -> tuple[Floats, dict[int, str]]:
    return np.stack([_numbers(lon), _numbers(lat)], axis=1), {}


def _numbers(column: Any) -> Floats:
    arrow = require("pyarrow", extra="geo")
    return np.asarray(column.cast(arrow.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _from_struct(column: Any) -> tuple[Floats, dict[int, str]]:
    points = np.stack([_numbers(column.field(axis)) for axis in ("x", "y")], axis=1)
    points[_nulls(column)] = np.nan
    return points, {}


def _from_wkb(column: Any) -> tuple[Floats, dict[int, str]]:
    missing = _nulls(column)
    points, kinds = wkb.points(column, missing)
    others = {
        int(row): f"a {wkb.KINDS[kinds[row]]}" if kinds[row] != wkb.UNREADABLE else "no well-known binary"
        for row in np.flatnonzero(kinds != wkb.POINT)
    }
    points[missing] = np.nan
    return points, others


def _nulls(column: Any) -> NDArray[np.bool_]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), bool)
