"""Any table of places, CSV, Parquet or GeoParquet, as a `PlaceTable`."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import and_more, unknown
from locenc_csp.datasets.arrow_files import DELIMITERS, PARQUET, read_csv, read_parquet, text_or_numbers
from locenc_csp.datasets.geoparquet import point_column, read_points
from locenc_csp.datasets.table import REQUIRED, PlaceTable

__all__ = ["read_foreign_table"]


def read_foreign_table(path: str | Path, *, id: str | None = None, lon: str = "lon", lat: str = "lat") -> PlaceTable:
    """Read a table of places from a CSV, Parquet or GeoParquet file.

    Parameters
    ----------
    path : str or Path
        ``.csv`` (commas) or ``.tsv`` (tabs), with a header; ``.parquet``, ``.pq`` or ``.geoparquet``.
    id : str, optional
        Column of ids, text or whole numbers. Without it the column ``id`` is taken, or, if there is none, the number
        of the row.
    lon, lat : str
        Columns in degrees (EPSG:4326). Where a GeoParquet file has neither, its geometry, points, is used.

    Returns
    -------
    PlaceTable
        Rows in the order of the file. A row whose longitude or latitude is empty has no location. Further columns of
        text, numbers and truth values are kept, dates and times as text (ISO 8601); others are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the kind of file is not known, it is damaged, a column is not there (those found are named) or holds
        something else, an id is missing or occurs twice, or a coordinate is out of range; the first row is named.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*PARQUET, *DELIMITERS):
        raise ValueError(
            f"cannot tell what {path} is: expected a file that ends in {', '.join((*DELIMITERS, *PARQUET))}"
        )
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}")
    data = read_parquet(path) if suffix in PARQUET else read_csv(path)
    used = {lon, lat}
    try:
        points = None
        if lon not in data.column_names and lat not in data.column_names:
            points = point_column(data)
        if points is None:
            lonlat = np.stack([_numbers(data, name, what) for name, what in ((lon, "lon"), (lat, "lat"))], axis=1)
            lonlat[np.isnan(lonlat).any(axis=1)] = np.nan
        else:
            lonlat, used = read_points(data, points), {points}
        name = id or ("id" if "id" in data.column_names else None)
        ids = _ids(data, name)
        columns = {one: _column(data.column(one)) for one in data.column_names if one not in used and one != name}
        taken = [one for one in columns if one in REQUIRED]
        if taken:
            raise ValueError(f"column {taken[0]!r} would stand beside the one that is used as such: drop it, or use it")
        return PlaceTable(ids, lonlat, {one: values for one, values in columns.items() if values is not None})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _numbers(data: Any, name: str, what: str) -> NDArray[np.float64]:
    if name not in data.column_names:
        raise ValueError(
            unknown(f"column of {'longitudes' if what == 'lon' else 'latitudes'}", name, data.column_names)
            + f" Name it with --{what}"
        )
    arrow = require("pyarrow", extra="csp")
    if arrow.types.is_null(data.column(name).type):  # nothing but gaps
        return np.full(len(data), np.nan)
    values = text_or_numbers(data.column(name))
    if values is None or values.dtype.kind not in "fiu":
        raise ValueError(
            f"column {name!r} must hold numbers (degrees), not {data.column(name).type}{_example(data, name)}"
        )
    return values.astype(np.float64)


def _example(data: Any, name: str) -> str:
    """The first entry of a text column that is no number, for a message."""
    for row, value in enumerate(data.column(name).to_pylist()):
        try:
            float(value if value is not None else 0)
        except (TypeError, ValueError):
            return f": row {row} has {value!r}"
    return ""


def _ids(data: Any, name: str | None) -> NDArray[np.str_]:
    if name is None:
        digits = len(str(max(len(data) - 1, 0)))
        return np.char.zfill(np.arange(len(data)).astype(np.str_), digits)
    if name not in data.column_names:
        raise ValueError(unknown("column of ids", name, data.column_names) + " Name it with --id")
    if len(data) == 0:
        return np.array([], dtype=np.str_)
    gaps = np.flatnonzero(data.column(name).is_null().to_numpy())
    if len(gaps):
        raise ValueError(f"every place needs an id, but row {gaps[0]} has none{and_more(len(gaps))}")
    ids = text_or_numbers(data.column(name))
    if ids is None or ids.dtype.kind not in "Uiu":
        raise ValueError(f"column {name!r} of ids must hold text or whole numbers, not {data.column(name).type}")
    return ids.astype(np.str_)


def _column(column: Any) -> NDArray[Any] | None:
    arrow = require("pyarrow", extra="csp")
    if arrow.types.is_temporal(column.type):
        column = column.cast(arrow.string())
    return text_or_numbers(column)
