"""Columns of labels and of roles as small numbers."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._names import and_more
from locenc_csp.datasets.text import Text, decoded

__all__ = ["SPLITS", "Labels", "code_labels", "code_roles"]

#: Roles of a row: labelled training, model selection, evaluation, unlabelled pre-training only.
SPLITS = ("train", "val", "test", "pool")

Column = NDArray[Any] | Text


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


def code_labels(name: str, column: Column) -> Labels:
    """Turn a column into class numbers; empty text, NaN and negative numbers are missing labels, never a class.

    Raises
    ------
    ValueError
        If it holds fractions, or no row has a label.
    """
    if isinstance(column, Text) and column.codes is not None:
        values = decoded(column.values)
        classes, places = _numbered(name, values)
        codes = places[column.codes]
    else:
        classes, codes = _numbered(name, column[:])
    if not len(classes):
        raise ValueError(f"column {name!r} has no label in any of its {len(column)} rows")
    return Labels(codes, tuple(str(one) for one in classes))


def _numbered(name: str, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The different labels, sorted, and the place of each value among them; -1 for a missing one."""
    if values.dtype.kind == "U":
        present = values != ""
    else:
        with np.errstate(invalid="ignore"):
            present = np.isfinite(values) & (values >= 0)
        fractions = np.flatnonzero(present & (values != np.floor(values)))
        if len(fractions):
            row = fractions[0]
            raise ValueError(
                f"column {name!r} is no label: row {row} has {values[row]}; classes are whole numbers or text"
            )
        values = np.where(present, values, 0).astype(np.int64)
    classes, codes = np.unique(values[present], return_inverse=True)
    filled = np.full(len(values), -1, dtype=np.int64)
    filled[present] = codes
    return classes, filled


def code_roles(name: str, column: Column) -> NDArray[np.uint8]:
    """Place of each row's role in `SPLITS`: uint8 (N,).

    Raises
    ------
    ValueError
        If a value is none of the four roles; names the first row.
    """
    if isinstance(column, Text) and column.codes is not None:
        codes: NDArray[np.uint8] = _places(decoded(column.values))[column.codes]
    else:
        codes = _places(column[:].astype(np.str_))
    others = np.flatnonzero(codes == len(SPLITS))
    if len(others):
        row = int(others[0])
        found = str(column[row : row + 1][0])
        raise ValueError(
            f"column {name!r} must hold {', '.join(SPLITS)}, but row {row} has {found!r}{and_more(len(others))}"
        )
    return codes


def _places(values: NDArray[np.str_]) -> NDArray[np.uint8]:
    places = np.full(len(values), len(SPLITS), np.uint8)
    for place, role in enumerate(SPLITS):
        places[values == role] = place
    return places
