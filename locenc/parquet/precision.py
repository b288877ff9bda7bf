"""Embeddings in fewer bytes: float16, or int8 with a scale for each row, and the error of either."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float32", "float16", "int8")
LARGEST = 127
BLOCK = 1024  # rows that stay in the cache


class Reduced(NamedTuple):
    """Rows in the form in which they are written.

    Attributes
    ----------
    values : ndarray
        (N, dim), of the dtype asked for.
    scale : ndarray or None
        (N,) float32 that the values of int8 are multiplied by.
    error : float
        Largest absolute difference to the float32 embedding; 0 for float32.
    """

    values: NDArray[np.generic]
    scale: NDArray[np.float32] | None
    error: float


def reduced(embedding: NDArray[np.float32], dtype: str) -> Reduced:
    """Round an embedding to a dtype.

    Parameters
    ----------
    embedding : ndarray
        (N, dim) float32; rows of NaN are rows without a place.
    dtype : {"float32", "float16", "int8"}
        float16 rounds to 11 bits. int8 divides each row by its scale, max |x| / 127, and rounds: an error of half the
        scale at most. A row of NaN has zeros and the scale NaN, so that multiplied it is NaN again.

    Raises
    ------
    OverflowError
        If a value is beyond the largest float16, 65,504; the arguments are the row and the value.
    """
    if dtype == "float32":
        return Reduced(embedding, None, 0.0)
    values = np.empty(embedding.shape, dtype)
    scale = np.empty(len(embedding), np.float32) if dtype == "int8" else None
    error = 0.0
    for start in range(0, len(embedding), BLOCK):
        rows = slice(start, start + BLOCK)
        block = embedding[rows]
        if scale is None:
            with np.errstate(over="ignore"):
                values[rows] = block
            back = values[rows].astype(np.float32)
            over = np.isinf(back) & np.isfinite(block)
            if over.any():
                row, column = np.argwhere(over)[0]
                raise OverflowError(start + int(row), float(block[row, column]))
        else:
            scale[rows], values[rows] = _quantised(block)
            back = values[rows] * scale[rows, None]
        error = max(error, float(np.nan_to_num(np.abs(back - block)).max(initial=0)))
    return Reduced(values, scale, error)


def _quantised(block: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scales of rows, and their values in units of these, rounded."""
    scale = np.abs(block).max(axis=1) / np.float32(LARGEST)
    units = block / np.where(scale == 0, 1, scale)[:, None]
    return scale, np.nan_to_num(np.clip(np.rint(units), -LARGEST, LARGEST))
