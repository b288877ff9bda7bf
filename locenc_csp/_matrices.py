"""Checked matrices of a number for each row and class, the rows' labels, and the blocks in which they are worked on."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import and_more
from locenc_csp._tensors import as_array

Floats = NDArray[np.floating[Any]]

BLOCK = 2**22
"""Numbers of a matrix that are worked on at once."""


def blocks(num_rows: int, num_columns: int) -> Iterator[slice]:
    """Cut the rows of a matrix into blocks of about `BLOCK` numbers."""
    size = max(1, BLOCK // max(1, num_columns))
    for start in range(0, num_rows, size):
        yield slice(start, min(start + size, num_rows))


def as_matrix(name: str, values: ArrayLike) -> Floats:
    """Numbers (N, K): float32 as they are, others as float64.

    Raises
    ------
    ValueError
        For another shape, or no numbers.
    """
    matrix = as_array(name, values)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers of shape (N, K), got {matrix.dtype} {matrix.shape}")
    wide: Floats = matrix if matrix.dtype == np.float32 else matrix.astype(np.float64, copy=False)
    return wide


def check_labels(labels: ArrayLike, num_rows: int, num_classes: int | None = None) -> NDArray[np.int64]:
    """Check class numbers: one per row, integers >= 0, and below ``num_classes`` if it is given.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        For another number of rows, no rows, or a label out of range; the first bad row is named.
    """
    codes = as_array("labels", labels)
    if codes.shape != (num_rows,) or num_rows == 0:
        raise ValueError(f"labels must be one per row, at least one: got shape {codes.shape} for {num_rows} rows")
    if codes.dtype.kind not in "iu":
        raise TypeError(f"labels must be integer class numbers, got {codes.dtype}")
    bad = codes < 0 if num_classes is None else (codes < 0) | (codes >= num_classes)
    if bad.any():
        row = int(bad.argmax())
        bound = ">= 0" if num_classes is None else f"in 0 .. {num_classes - 1}"
        raise ValueError(
            f"labels must be {bound}, but row {row} has {codes[row]}{and_more(int(bad.sum()))}; "
            "-1 means a missing label: leave such rows out"
        )
    checked: NDArray[np.int64] = codes.astype(np.int64, copy=False)
    return checked
