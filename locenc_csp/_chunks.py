"""Large arrays: computed piece by piece, so that an interrupted run goes on where it stopped; read memory-mapped."""

import hashlib
import io
import math
import os
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from tqdm import tqdm

__all__ = ["NO_ARRAY", "fill_array", "open_array"]

#: What NumPy raises for a file that is no array, or a damaged one: its header is parsed as Python text.
NO_ARRAY = (ValueError, EOFError, OverflowError, SyntaxError, TokenError, TypeError, MemoryError)


def fill_array(
    path: str | Path,
    make: Callable[[int, int], NDArray[Any]],
    *,
    shape: tuple[int, ...],
    dtype: DTypeLike,
    key: str,
    rows_per_chunk: int,
    description: str,
) -> None:
    """Compute an array by chunks of rows into a ``.npy`` file.

    Until the last chunk is written, the rows stand in a file ``<name>.<key>.partial`` beside the target, whose size
    says how many are finished. A run that finds it goes on behind its last whole chunk; a partial file of another key
    is removed. The target appears at once, complete, or not at all.

    Parameters
    ----------
    path : str or Path
        Target file; replaced if it exists. Its folder must exist.
    make : callable
        ``make(start, stop)`` computes rows start to stop - 1, ``(stop - start, *shape[1:])``.
    shape : tuple of int
        Of the whole array.
    dtype : dtype
        Of the array.
    key : str
        Everything that the values depend on; a partial file is only taken up under the same key.
    rows_per_chunk : int
        An interruption loses at most this many rows.
    description : str
        Shown before the progress bar.

    Raises
    ------
    ValueError
        If something else wrote into the partial file; it is removed.
    OSError
        If the file cannot be written; what was finished stays and the next run goes on from there.
    """
    path = Path(path)
    digest = hashlib.sha256(f"{key} {shape} {np.dtype(dtype).str}".encode()).hexdigest()[:16]
    partial = path.with_name(f"{path.name}.{digest}.partial")
    for other in path.parent.glob(f"{path.name}.*.partial"):
        if other != partial:
            other.unlink()
    header, row_bytes = _header(shape, np.dtype(dtype))
    try:
        with open(partial, "ab") as file:
            start = _finished_rows(file.tell() - len(header), row_bytes, shape[0], rows_per_chunk)
            file.truncate(len(header) + start * row_bytes if start else 0)
            if not start:
                file.write(header)
            with tqdm(total=shape[0], initial=start, desc=description, unit="row", disable=None) as bar:
                for first in range(start, shape[0], rows_per_chunk):
                    last = min(first + rows_per_chunk, shape[0])
                    file.write(np.ascontiguousarray(make(first, last), dtype=dtype).tobytes())
                    file.flush()
                    os.fsync(file.fileno())
                    bar.update(last - first)
        _check_size(partial, len(header) + shape[0] * row_bytes)
        os.replace(partial, path)
    except OSError as error:
        raise type(error)(
            error.errno,
            f"cannot write {path}: {error.strerror or error}. Finished rows are kept in {partial.name}; "
            "free space or make the folder writable, then run again",
        ) from error


def open_array(path: str | Path, *, remedy: str) -> "np.memmap[Any, np.dtype[Any]]":
    """Open a ``.npy`` file memory-mapped, read-only.

    Parameters
    ----------
    path : str or Path
        The file.
    remedy : str
        What to do if it is missing or damaged: the end of the message.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no whole ``.npy`` file.
    """
    try:
        values: np.memmap[Any, np.dtype[Any]] = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path} is missing; {remedy}") from error
    except NO_ARRAY as error:
        raise ValueError(f"{path} is damaged or cut short ({error}); {remedy}") from error
    return values


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[bytes, int]:
    """Bytes of a ``.npy`` header, and the size of one row."""
    header = io.BytesIO()
    description = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, description)
    return header.getvalue(), dtype.itemsize * math.prod(shape[1:])


def _finished_rows(size: int, row_bytes: int, num_rows: int, rows_per_chunk: int) -> int:
    """Rows of whole chunks in a file that holds ``size`` bytes behind its header; none if it is too long."""
    if size == num_rows * row_bytes:
        return num_rows
    if size > num_rows * row_bytes:
        return 0
    return max(size, 0) // row_bytes // rows_per_chunk * rows_per_chunk


def _check_size(partial: Path, expected: int) -> None:
    found = partial.stat().st_size
    if found != expected:
        partial.unlink()
        raise ValueError(
            f"{partial} has {found} bytes, not {expected}: another process wrote into it. It was removed; "
            "let one process work in a folder, and run again"
        )
