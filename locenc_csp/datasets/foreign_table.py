"""Any table of places, CSV, Parquet or GeoParquet, as a `PlaceTable`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import unknown
from locenc_csp.datasets.arrow_files import (
    DELIMITERS,
    MOST_CODES,
    PARQUET,
    Collector,
    Numbers,
    Rows,
    Words,
    collect,
    collector,
    is_number,
    is_word,
    open_csv,
    open_parquet,
)
from locenc_csp.datasets.geoparquet import Points, point_column
from locenc_csp.datasets.table import REQUIRED, PlaceTable
from locenc_csp.datasets.text import Text, row_blocks

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
    rows = open_parquet(path) if suffix in PARQUET else open_csv(path)
    try:
        return _read(rows, id, lon, lat)
    except ValueError as error:
        raise error if str(path) in str(error) else ValueError(f"{path}: {error}") from error


def _read(rows: Rows, id: str | None, lon: str, lat: str) -> PlaceTable:
    names, kinds = rows.schema.names, dict(zip(rows.schema.names, rows.schema.types, strict=True))
    lonlat = np.full((rows.num_rows, 2), np.nan)
    points = point_column(rows.schema) if lon not in kinds and lat not in kinds else None
    taken: dict[str, Collector] = {}
    if points is not None:
        taken[points] = Points(points, rows.num_rows)
    else:
        for axis, (name, what) in enumerate(((lon, "lon"), (lat, "lat"))):
            if (one := _degrees(rows, kinds, name, what, lonlat[:, axis])) is not None:
                taken[name] = one
    key = id or ("id" if "id" in kinds else None)
    if key is not None:
        taken[key] = _ids(rows, kinds, key)
    used = {key, points} if points is not None else {key, lon, lat}
    others = {one: _column(kinds[one], rows.num_rows) for one in names if one not in used}
    wrong = [one for one in others if one in REQUIRED]
    if wrong:
        raise ValueError(f"column {wrong[0]!r} would stand beside the one that is used as such: drop it, or use it")
    kept = {one: each for one, each in others.items() if each is not None}
    found = collect(rows, taken | kept)
    if points is not None:
        lonlat = found[points]
    lonlat[np.isnan(lonlat).any(axis=1)] = np.nan
    ids = found[key] if key is not None else _numbers_of_rows(rows.num_rows)
    return PlaceTable(ids, lonlat, {one: found[one] for one in kept})


def _degrees(rows: Rows, kinds: Mapping[str, Any], name: str, what: str, out: NDArray[np.float64]) -> Collector | None:
    """What takes a column of degrees; None where it holds nothing but gaps."""
    if name not in kinds:
        raise ValueError(
            unknown(f"column of {'longitudes' if what == 'lon' else 'latitudes'}", name, kinds)
            + f" Name it with --{what}"
        )
    arrow = require("pyarrow", extra="csp")
    if arrow.types.is_null(kinds[name]):
        return None
    if not is_number(kinds[name]):
        raise ValueError(f"column {name!r} must hold numbers (degrees), not {kinds[name]}{_example(rows, name)}")
    return Numbers(rows.num_rows, out)


def _example(rows: Rows, name: str) -> str:
    """The first entry of a text column that is no number, for a message."""
    start = 0
    for batch in rows.batches([name]):
        for row, value in enumerate(batch.column(0).to_pylist(), start):
            try:
                float(value if value is not None else 0)
            except (TypeError, ValueError):
                return f": row {row} has {value!r}"
        start += len(batch)
    return ""


def _ids(rows: Rows, kinds: Mapping[str, Any], name: str) -> Collector:
    if name not in kinds:
        raise ValueError(unknown("column of ids", name, kinds) + " Name it with --id")
    if not is_word(kinds[name]) and rows.num_rows:
        raise ValueError(f"column {name!r} of ids must hold text or whole numbers, not {kinds[name]}")
    return Words(rows.num_rows, most=0)


def _numbers_of_rows(count: int) -> Text:
    """Ids that are the numbers of the rows, of one length."""
    digits = len(str(max(count - 1, 0)))
    values = np.empty(count, f"S{digits}")
    for rows in row_blocks(count):
        values[rows] = np.char.zfill(np.arange(rows.start, rows.stop).astype(np.bytes_), digits)
    return Text(values)


def _column(kind: Any, count: int) -> Collector | None:
    """What takes a further column; dates and times as text."""
    types = require("pyarrow", extra="csp").types
    return Words(count, MOST_CODES) if types.is_temporal(kind) else collector(kind, count)
