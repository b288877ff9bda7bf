"""One table per data set: an id, a location and any number of label and split columns for every place."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from locenc._extras import require
from locenc._files import atomic_write
from locenc._names import and_more, unknown
from locenc.coords import check_lonlat
from locenc_csp.datasets.arrow_files import read_parquet, text_or_numbers

__all__ = ["SPLITS", "Labels", "PlaceTable", "read_table", "write_table"]

#: Roles of a row: labelled training, model selection, evaluation, unlabelled pre-training only.
SPLITS = ("train", "val", "test", "pool")

REQUIRED = ("id", "lon", "lat")


class Labels(NamedTuple):
    """A label column as class numbers.

    Attributes
    ----------
    codes : ndarray
        int64 (N,): position in ``classes``; -1 where the label is missing.
    classes : tuple of str
        Names of the classes that occur, sorted (numbers by value).
    """

    codes: NDArray[np.int64]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class PlaceTable:
    """Places with ids, locations and further columns.

    Parameters
    ----------
    ids : ndarray
        str (N,), each once.
    lonlat : ndarray
        float64 (N, 2): longitude and latitude in degrees. Both NaN where a place has no location.
    columns : mapping of str to ndarray
        Text or numbers, (N,) each.

    Raises
    ------
    ValueError
        For lengths that differ, an id that occurs twice or is empty, a latitude outside [-90, 90], an infinite
        coordinate, or one NaN of two; names the first row.
    TypeError
        For a column that holds neither text nor numbers.
    """

    ids: NDArray[np.str_]
    lonlat: NDArray[np.float64]
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", np.asarray(self.ids, dtype=np.str_))
        object.__setattr__(self, "lonlat", np.asarray(self.lonlat, dtype=np.float64))
        object.__setattr__(self, "columns", {name: np.asarray(column) for name, column in self.columns.items()})
        _check_shapes(self)
        _check_ids(self.ids)
        _check_locations(self.lonlat)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.ids)

    @property
    def has_location(self) -> NDArray[np.bool_]:
        """Whether each row has a location: bool (N,)."""
        present: NDArray[np.bool_] = ~np.isnan(self.lonlat[:, 0])
        return present

    def labels(self, column: str) -> Labels:
        """Turn a column into class numbers.

        Empty text, NaN and negative numbers are missing labels, never a class.

        Parameters
        ----------
        column : str
            Name of a text column or of a column of whole numbers.

        Returns
        -------
        Labels
            Codes (N,) and class names.

        Raises
        ------
        ValueError
            If there is no such column (those found are named), it holds fractions, or no row has a label.
        """
        values = self._column(column, kind="label")
        if values.dtype.kind == "U":
            present = values != ""
        else:
            with np.errstate(invalid="ignore"):
                present = np.isfinite(values) & (values >= 0)
            fractions = np.flatnonzero(present & (values != np.floor(values)))
            if len(fractions):
                row = fractions[0]
                raise ValueError(
                    f"column {column!r} is no label: row {row} has {values[row]}; classes are whole numbers or text"
                )
            values = np.where(present, values, 0).astype(np.int64)
        if not present.any():
            raise ValueError(f"column {column!r} has no label in any of its {len(self)} rows")
        classes, codes = np.unique(values[present], return_inverse=True)
        filled = np.full(len(self), -1, dtype=np.int64)
        filled[present] = codes
        return Labels(filled, tuple(str(name) for name in classes))

    def split(self, column: str) -> NDArray[np.str_]:
        """Role of each row: str (N,), each one of ``train``, ``val``, ``test``, ``pool``.

        Parameters
        ----------
        column : str
            Name of a split column.

        Raises
        ------
        ValueError
            If there is no such column, or a value is none of the four roles; names the first row.
        """
        values: NDArray[np.str_] = self._column(column, kind="split").astype(np.str_)
        others = np.flatnonzero(~np.isin(values, SPLITS))
        if len(others):
            row = others[0]
            raise ValueError(
                f"column {column!r} must hold {', '.join(SPLITS)}, but row {row} has {str(values[row])!r}"
                f"{and_more(len(others))}"
            )
        return values

    def _column(self, name: str, *, kind: str) -> NDArray[Any]:
        if name in REQUIRED:
            raise ValueError(
                f"column {name!r} is no {kind} column: id, lon and lat say which place it is and where. "
                f"Columns that can be one: {', '.join(self.columns) or 'none'}"
            )
        if name not in self.columns:
            raise ValueError(unknown(f"{kind} column", name, self.columns))
        return self.columns[name]


def read_table(path: str | Path) -> PlaceTable:
    """Read a table of places from a Parquet file.

    Parameters
    ----------
    path : str or Path
        File with the columns ``id`` (text or whole numbers, no gaps), ``lon`` and ``lat`` (degrees; both empty where a
        place has no location). Every further column of text, numbers or truth values is kept, with "" or NaN for
        empty entries; columns of other types (geometry, lists, dates) are left out.

    Returns
    -------
    PlaceTable
        Rows in the order of the file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no Parquet file or a damaged one, a required column is missing (those found are named), or as
        `PlaceTable`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no table at {path}: expected a Parquet file with the columns id, lon, lat and labels")
    data = read_parquet(path)
    missing = [name for name in REQUIRED if name not in data.column_names]
    if missing:
        raise ValueError(f"{path} lacks the column {', '.join(missing)}; columns found: {', '.join(data.column_names)}")
    gaps = np.flatnonzero(data.column("id").is_null().to_numpy())
    if len(gaps):
        raise ValueError(f"{path}: every place needs an id, but row {gaps[0]} has none{and_more(len(gaps))}")
    columns = {name: text_or_numbers(data.column(name)) for name in data.column_names}
    for name in ("lon", "lat"):
        column = columns[name]
        if column is None or column.dtype.kind not in "fiu":
            raise ValueError(f"{path}: column {name} must hold numbers (degrees), not {data.column(name).type}")
    ids = columns["id"]
    if ids is None or ids.dtype.kind not in "Uiu":
        raise ValueError(f"{path}: column id must hold text or whole numbers, not {data.column('id').type}")
    lonlat = np.stack([np.asarray(columns["lon"], np.float64), np.asarray(columns["lat"], np.float64)], axis=1)
    kept = {name: column for name, column in columns.items() if name not in REQUIRED and column is not None}
    try:
        return PlaceTable(ids.astype(np.str_), lonlat, kept)
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
    columns = {"id": table.ids, "lon": table.lonlat[:, 0], "lat": table.lonlat[:, 1], **table.columns}
    data = arrow.table({name: arrow.array(column) for name, column in columns.items()})

    def write(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            parquet.write_table(data, file, compression="zstd", write_page_checksum=True)

    atomic_write(path, write)


def _check_shapes(table: PlaceTable) -> None:
    count = len(table)
    if table.ids.ndim != 1 or table.lonlat.shape != (count, 2):
        raise ValueError(f"expected ids (N,) and lonlat (N, 2), got {table.ids.shape} and {table.lonlat.shape}")
    for name, column in table.columns.items():
        if name in REQUIRED:
            raise ValueError(f"{name!r} is not a name for a further column: id, lon and lat have their own place")
        if column.shape != (count,):
            raise ValueError(f"column {name!r} has shape {column.shape}, but there are {count} ids")
        if column.dtype.kind not in "Uifu":
            raise TypeError(f"column {name!r} must hold text or numbers, not {column.dtype}")


def _check_ids(ids: NDArray[np.str_]) -> None:
    empty = np.flatnonzero(ids == "")
    if len(empty):
        raise ValueError(f"every place needs an id, but row {empty[0]} has none{and_more(len(empty))}")
    _, first, inverse, counts = np.unique(ids, return_index=True, return_inverse=True, return_counts=True)
    repeated = np.flatnonzero(first[inverse] != np.arange(len(ids)))
    if len(repeated):
        row = repeated[0]
        raise ValueError(
            f"ids must be unique, but {str(ids[row])!r} stands in row {first[inverse[row]]} and in row {row}; "
            f"{int((counts > 1).sum())} ids occur more than once"
        )


def _check_locations(lonlat: NDArray[np.float64]) -> None:
    gaps = np.isnan(lonlat)
    half = np.flatnonzero(gaps[:, 0] != gaps[:, 1])
    if len(half):
        row = half[0]
        raise ValueError(
            f"row {row} has half a location (longitude {lonlat[row, 0]:.10g}, latitude {lonlat[row, 1]:.10g})"
            f"{and_more(len(half))}: give both, or leave both empty"
        )
    check_lonlat(torch.from_numpy(np.where(gaps, 0.0, lonlat)))
