"""One table per data set: an id, a location and any number of label and split columns for every place."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from locenc._names import and_more, unknown
from locenc.coords import check_lonlat
from locenc_csp.datasets.labels import SPLITS, Labels, code_labels, code_roles
from locenc_csp.datasets.text import Selection, Text, Texts, row_blocks, without_repeats

__all__ = ["REQUIRED", "SPLITS", "Labels", "PlaceTable"]

REQUIRED = ("id", "lon", "lat")


class PlaceTable:
    """Places with ids, locations and further columns.

    Parameters
    ----------
    ids : array_like or Text
        Text (N,), each once.
    lonlat : array_like
        float64 (N, 2): longitude and latitude in degrees. Both NaN where a place has no location.
    columns : mapping of str to array_like or Text
        Text or numbers, (N,) each.

    Attributes
    ----------
    lonlat : ndarray
        As given.
    columns : mapping of str to ndarray
        Text or numbers. A `Text` is turned into NumPy text each time that it is asked for.

    Raises
    ------
    ValueError
        For lengths that differ, an id that occurs twice or is empty, a latitude outside [-90, 90], an infinite
        coordinate, or one NaN of two; names the first row.
    TypeError
        For a column that holds neither text nor numbers.

    Notes
    -----
    Memory: 16 bytes a row for the locations. A table that `read_table` made holds ids and text as `Text`: a byte for
    each letter of the longest id, and two bytes a row for each column of text with at most 65,536 different values.
    """

    def __init__(
        self, ids: ArrayLike | Text, lonlat: ArrayLike, columns: Mapping[str, ArrayLike | Text] | None = None
    ) -> None:
        self.held_ids: Texts = ids if isinstance(ids, Text) else np.asarray(ids, dtype=np.str_)
        self.lonlat: NDArray[np.float64] = np.asarray(lonlat, dtype=np.float64)
        held = columns.held if isinstance(columns, _Columns) else columns or {}
        self.columns = _Columns({name: one if isinstance(one, Text) else np.asarray(one) for name, one in held.items()})
        _check_shapes(self)
        _check_ids(self.held_ids)
        _check_locations(self.lonlat)

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.held_ids)

    @property
    def ids(self) -> NDArray[np.str_]:
        """All ids, str (N,); `part` gives some of them."""
        return self.held_ids[:]

    @property
    def has_location(self) -> NDArray[np.bool_]:
        """Whether each row has a location: bool (N,)."""
        present: NDArray[np.bool_] = ~np.isnan(self.lonlat[:, 0])
        return present

    def part(self, name: str, rows: Selection) -> NDArray[Any]:
        """Some rows of a column, ``id`` too, as an array."""
        return (self.held_ids if name == "id" else self.columns.held[name])[rows]

    def with_column(self, name: str, values: ArrayLike | Text) -> "PlaceTable":
        """Make a table with one column more, or another one of that name."""
        return PlaceTable(self.held_ids, self.lonlat, _Columns({**self.columns.held, name: values}))  # type: ignore[dict-item]

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
        return code_labels(column, self._column(column, kind="label"))

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
        return np.array(SPLITS)[code_roles(column, self._column(column, kind="split"))]

    def has_role(self, column: str, role: str) -> NDArray[np.bool_]:
        """Whether each row has a role in a split column: bool (N,); raises as `split`."""
        found: NDArray[np.bool_] = code_roles(column, self._column(column, kind="split")) == SPLITS.index(role)
        return found

    def _column(self, name: str, *, kind: str) -> NDArray[Any] | Text:
        if name in REQUIRED:
            raise ValueError(
                f"column {name!r} is no {kind} column: id, lon and lat say which place it is and where. "
                f"Columns that can be one: {', '.join(self.columns) or 'none'}"
            )
        if name not in self.columns:
            raise ValueError(unknown(f"{kind} column", name, self.columns))
        return self.columns.held[name]


class _Columns(Mapping[str, NDArray[Any]]):
    """Columns by name; text that is held in little memory becomes an array when it is asked for."""

    def __init__(self, held: Mapping[str, NDArray[Any] | Text]) -> None:
        self.held = held

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.held[name][:]

    def __contains__(self, name: object) -> bool:
        return name in self.held  # Mapping's own would make the array

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


def _check_shapes(table: PlaceTable) -> None:
    count = len(table)
    if table.held_ids.shape != (count,) or table.lonlat.shape != (count, 2):
        raise ValueError(f"expected ids (N,) and lonlat (N, 2), got {table.held_ids.shape} and {table.lonlat.shape}")
    for name, column in table.columns.held.items():
        if name in REQUIRED:
            raise ValueError(f"{name!r} is not a name for a further column: id, lon and lat have their own place")
        if column.shape != (count,):
            raise ValueError(f"column {name!r} has shape {column.shape}, but there are {count} ids")
        if not isinstance(column, Text) and column.dtype.kind not in "Uifu":
            raise TypeError(f"column {name!r} must hold text or numbers, not {column.dtype}")


def _check_ids(held: Texts) -> None:
    empty = np.concatenate([[], *(rows.start + np.flatnonzero(held[rows] == "") for rows in row_blocks(len(held)))])
    if len(empty):
        raise ValueError(f"every place needs an id, but row {int(empty[0])} has none{and_more(len(empty))}")
    if without_repeats(held):
        return
    ids = held[:]
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
    try:
        for rows in row_blocks(len(lonlat)):
            check_lonlat(torch.from_numpy(np.where(gaps[rows], 0.0, lonlat[rows])))
    except ValueError:
        check_lonlat(torch.from_numpy(np.where(gaps, 0.0, lonlat)))  # names the row, and counts all that are bad
        raise
