"""Tables of places as Parquet files, read and written batch after batch."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from locenc._extras import require
from locenc._files import atomic_write
from locenc._names import unknown
from locenc_csp.datasets.arrow_files import (
    Collector,
    Numbers,
    Words,
    collect,
    collector,
    is_number,
    is_word,
    open_parquet,
)
from locenc_csp.datasets.table import REQUIRED, PlaceTable

__all__ = ["read_table", "write_table"]

ROWS_PER_GROUP = 2**17
"""Rows that are written at once."""


def read_table(path: str | Path, columns: Collection[str] | None = None) -> PlaceTable:
    """Read a table of places from a Parquet file, batch after batch.

    Parameters
    ----------
    path : str or Path
        File with the columns ``id`` (text or whole numbers, no gaps), ``lon`` and ``lat`` (degrees; both empty where a
        place has no location). Every further column of text, numbers or truth values is kept, with "" or NaN for
        empty entries; columns of other types (geometry, lists, dates) are left out.
    columns : collection of str, optional
        Names of the further columns to read; all unless given.

    Returns
    -------
    PlaceTable
        Rows in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no Parquet file or a damaged one, a required or wanted column is missing (those found are named), or
        as `PlaceTable`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}: expected a Parquet file with the columns id, lon, lat and labels")
    rows = open_parquet(path)
    kinds = dict(zip(rows.schema.names, rows.schema.types, strict=True))
    missing = [name for name in REQUIRED if name not in kinds]
    if missing:
        raise ValueError(f"{path} lacks the column {', '.join(missing)}; columns found: {', '.join(kinds)}")
    for name in ("lon", "lat"):
        if not is_number(kinds[name]):
            raise ValueError(f"{path}: column {name} must hold numbers (degrees), not {kinds[name]}")
    if not is_word(kinds["id"]):
        raise ValueError(f"{path}: column id must hold text or whole numbers, not {kinds['id']}")
    for name in columns or ():
        if name not in kinds:
            raise ValueError(f"{path}: {unknown('column', name, [one for one in kinds if one not in REQUIRED])}")
    wanted = [name for name in kinds if name not in REQUIRED and (columns is None or name in columns)]
    lonlat = np.empty((rows.num_rows, 2))
    taken: dict[str, Collector] = {
        "id": Words(rows.num_rows, most=0),
        "lon": Numbers(rows.num_rows, lonlat[:, 0]),
        "lat": Numbers(rows.num_rows, lonlat[:, 1]),
        **{name: one for name in wanted if (one := collector(kinds[name], rows.num_rows)) is not None},
    }
    found = collect(rows, taken)
    try:
        return PlaceTable(found["id"], lonlat, {name: found[name] for name in taken if name not in REQUIRED})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_table(table: PlaceTable, path: str | Path) -> None:
    """Write a table of places as Parquet; a file that stood there is replaced at once or not at all.

    Parameters
    ----------
    table : PlaceTable
        Its columns follow ``id``, ``lon``, ``lat`` in their order.
    path : str or Path
        Target file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    parquet = require("pyarrow.parquet", extra="csp")
    arrow = require("pyarrow", extra="csp")

    def group(rows: slice) -> Any:
        columns = {"id": table.part("id", rows), "lon": table.lonlat[rows, 0], "lat": table.lonlat[rows, 1]}
        columns |= {name: table.part(name, rows) for name in table.columns}
        return arrow.table({name: arrow.array(column) for name, column in columns.items()})

    def write(temporary: Path) -> None:
        starts = range(0, max(len(table), 1), ROWS_PER_GROUP)
        with (
            open(temporary, "wb") as file,
            parquet.ParquetWriter(
                file, group(slice(0, 0)).schema, compression="zstd", write_page_checksum=True
            ) as writer,
        ):
            for start in starts:
                writer.write_table(group(slice(start, start + ROWS_PER_GROUP)))

    atomic_write(path, write)
