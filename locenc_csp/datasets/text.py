"""Text of many rows in little memory: UTF-8, and each value once where values repeat."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._files import atomic_write

__all__ = ["Difference", "Text", "Texts", "compare", "row_blocks", "without_repeats", "write_texts"]

ROWS = 2**16
"""Rows that are worked on at once."""

Selection = slice | NDArray[np.int64]


class Text:
    """Text of N rows; some rows of it, ``text[rows]``, are NumPy text.

    A table of ten million rows holds 12 bytes for each id of 12 letters, where NumPy text takes 48, and two bytes for
    each label.

    Parameters
    ----------
    values : ndarray
        bytes (C,): UTF-8.
    codes : ndarray, optional
        Unsigned integers (N,): row i has ``values[codes[i]]``. Without them C is N, and row i has ``values[i]``.
    """

    def __init__(self, values: NDArray[np.bytes_], codes: NDArray[np.unsignedinteger] | None = None) -> None:
        self.values, self.codes = values, codes

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.values) if self.codes is None else len(self.codes)

    def __getitem__(self, rows: Selection) -> NDArray[np.str_]:
        """Some rows, or all of them (``[:]``), as NumPy text."""
        if self.codes is None:
            return decoded(self.values[rows])
        codes = self.codes[rows]
        if len(codes) < len(self.values):
            return decoded(self.values[codes])
        text: NDArray[np.str_] = decoded(self.values)[codes]
        return text

    @property
    def shape(self) -> tuple[int]:
        """(N,)."""
        return (len(self),)


Texts = NDArray[np.str_] | Text
"""Text of N rows, whichever way it is held: ``texts[rows]`` is NumPy text."""


class Difference(NamedTuple):
    """Where two texts differ: the first row, and the number of rows."""

    row: int
    num_rows: int


def decoded(values: NDArray[np.bytes_]) -> NDArray[np.str_]:
    """UTF-8 as NumPy text."""
    try:
        return values.astype(np.str_)  # ASCII, without a Python object for each
    except UnicodeDecodeError:
        return np.char.decode(values, "utf-8")


def row_blocks(count: int) -> Iterator[slice]:
    """Cut rows into blocks of `ROWS`."""
    for start in range(0, count, ROWS):
        yield slice(start, min(start + ROWS, count))


def compare(texts: Texts | NDArray[np.integer[Any]], others: Texts) -> Difference | None:
    """Compare two texts as far as both go, block by block; None if they are equal there.

    ``texts`` may be whole numbers, which are compared as they are written.
    """
    first, count = 0, 0
    for rows in row_blocks(min(len(texts), len(others))):
        differing = np.flatnonzero(texts[rows].astype(np.str_, copy=False) != others[rows])
        if len(differing) and not count:
            first = rows.start + int(differing[0])
        count += len(differing)
    return Difference(first, count) if count else None


def write_texts(path: Path, texts: Texts) -> None:
    """Write text as ``.npy``, block by block: the bytes that `numpy.save` writes of it; atomic, as `atomic_write`."""
    dtype = np.dtype((np.str_, max((texts[rows].dtype.itemsize // 4 for rows in row_blocks(len(texts))), default=1)))
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": texts.shape}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            for rows in row_blocks(len(texts)):
                file.write(texts[rows].astype(dtype).tobytes())

    atomic_write(path, write)


def without_repeats(texts: Texts) -> bool:
    """Whether all rows differ; by hashes of 8 bytes a row, so that two texts of one hash count as a repetition."""
    hashes = np.empty(len(texts), np.uint64)
    for rows in row_blocks(len(texts)):
        hashes[rows] = _hashed(texts[rows])
    hashes.sort()
    return not (hashes[1:] == hashes[:-1]).any()


def _hashed(text: NDArray[np.str_]) -> NDArray[np.uint64]:
    """A hash of each text, letter after letter; the same whatever the width of the array."""
    letters = np.ascontiguousarray(text).view(np.uint32).reshape(len(text), -1)
    found = np.zeros(len(text), np.uint64)
    for column in letters.T:
        mixed = (found ^ column) * np.uint64(0x9E3779B97F4A7C15)
        found = np.where(column > 0, mixed ^ (mixed >> np.uint64(32)), found)
    return found
