"""Matrices of probabilities, dense or sparse: SciPy's files, what is no probability in them, and some rows of one."""

import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

__all__ = ["VALUES_PER_BLOCK", "Matrix", "Sparse", "dense", "first_fault", "read_sparse"]

TOLERANCE = 1e-3  # how far a probability may pass 1, as in evaluation
VALUES_PER_BLOCK = 4_000_000
#: A sparse matrix that is read unpacks to at most so many times its file and 1 MiB more.
MOST_TIMES = 100


class Sparse(NamedTuple):
    """A sparse matrix (CSR): row i has ``data[indptr[i]:indptr[i + 1]]`` in the columns ``indices`` there.

    Attributes
    ----------
    data, indices : ndarray
        float32 and int32, (number of values,).
    indptr : ndarray
        int64 (M + 1,).
    num_columns : int
        K.
    """

    data: NDArray[np.float32]
    indices: NDArray[np.int32]
    indptr: NDArray[np.int64]
    num_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """(M, K)."""
        return len(self.indptr) - 1, self.num_columns

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.indptr) - 1


Matrix = NDArray[Any] | Sparse


def read_sparse(path: str | Path) -> Sparse:
    """Read a matrix that SciPy has saved (``scipy.sparse.save_npz``), of any sparse format.

    Raises
    ------
    ValueError
        If it is none, or damaged.
    """
    sparse = require("scipy.sparse", extra="csp")
    try:
        with open(path, "rb") as file:  # SciPy leaves a damaged file open
            unpacked = _unpacked(file)
            loaded = sparse.load_npz(file)
            if loaded.shape[0] > unpacked:  # CSR holds a number for each
                raise ValueError(f"{loaded.shape[0]:,} rows in {unpacked:,} bytes")
            matrix = sparse.csr_matrix(loaded)
        matrix.sum_duplicates()
        matrix.check_format(full_check=True)
    except Exception as error:  # a damaged archive fails in many ways: zipfile, zlib, KeyError, ValueError
        raise ValueError(
            f"{path} is no sparse matrix of SciPy, or damaged ({error or type(error).__name__})"
        ) from error
    return Sparse(
        matrix.data.astype(np.float32, copy=False),
        matrix.indices.astype(np.int32, copy=False),
        matrix.indptr.astype(np.int64, copy=False),
        matrix.shape[1],
    )


def _unpacked(file: IO[bytes]) -> int:
    """Bytes that an archive unpacks to; refused if they are far more than it has."""
    size = file.seek(0, 2)
    with zipfile.ZipFile(file) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MOST_TIMES * size + 2**20:
        raise ValueError(f"{size:,} bytes unpack to {unpacked:,}")
    file.seek(0)
    return unpacked


def first_fault(values: Matrix) -> str | None:
    """Say where the first value is that is no probability: NaN, below 0, or more than 1e-3 above 1; None if all are."""
    if isinstance(values, Sparse):
        bad = np.flatnonzero(~_probable(values.data))
        if not len(bad):
            return None
        row = int(np.searchsorted(values.indptr, bad[0], side="right")) - 1
        return f"{values.data[bad[0]]:g} in row {row}, column {values.indices[bad[0]]}"
    step = max(1, VALUES_PER_BLOCK // max(values.shape[1], 1))
    for start in range(0, len(values), step):
        fine = _probable(np.asarray(values[start : start + step]))
        if not fine.all():
            row, column = np.argwhere(~fine)[0]
            return f"{values[start + row, column]:g} in row {start + row}, column {column}"
    return None


def _probable(values: NDArray[Any]) -> NDArray[np.bool_]:
    with np.errstate(invalid="ignore"):
        fine: NDArray[np.bool_] = (values >= 0) & (values <= 1 + TOLERANCE)
    return fine


def dense(values: Matrix, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Some rows as a dense array, a copy."""
    if not isinstance(values, Sparse):
        return np.array(values[rows], dtype=np.float32)
    starts = np.asarray(values.indptr)[rows]
    counts = np.asarray(values.indptr)[rows + 1] - starts
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    entries = np.repeat(starts, counts) + within
    made = np.zeros((len(rows), values.num_columns), dtype=np.float32)
    made[np.repeat(np.arange(len(rows)), counts), np.asarray(values.indices)[entries]] = values.data[entries]
    return made
