"""The pages of a column of vectors: lists of one fixed length without gaps, neither compressed nor counted.

Arrow's writer takes a third as long as an encoder that makes the vectors, since it works out two levels for each
number. Here they are the same for each row, so a page is a few bytes before the numbers as they are in memory. int8,
which Parquet would hold in four bytes a number, goes through a dictionary of its 255 values: one byte a number.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc.parquet import thrift
from locenc.parquet.precision import LARGEST
from locenc.parquet.thrift import BINARY, FALSE, I32, I64, LIST, STRUCT, Items, Struct, Value

PAGE = 2**20
"""Bytes of numbers in a page."""

DATA_PAGE, DICTIONARY_PAGE = 0, 2
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8
UNCOMPRESSED = 0
TYPES = {"float32": 4, "float16": 7, "int8": 1}  # FLOAT, FIXED_LEN_BYTE_ARRAY of two, INT32


class Chunk(NamedTuple):
    """A column's part of a row group.

    Attributes
    ----------
    parts : list of bytes-like
        What stands in the file, in order.
    size : int
        Their bytes together.
    column : Struct
        Its description for the footer (ColumnChunk of parquet.thrift).
    """

    parts: list[Any]
    size: int
    column: Struct


def column_chunk(name: str, values: NDArray[Any], start: int) -> Chunk:
    """Write vectors as a column.

    Parameters
    ----------
    name : str
        Of the column.
    values : ndarray
        (N, dim) float32, float16, or int8 within ±127; C-contiguous.
    start : int
        Where in the file its first byte will stand.
    """
    dtype = str(values.dtype)
    indexed = dtype == "int8"
    parts: list[Any] = list(_dictionary()) if indexed else []
    first = sum(map(len, parts))
    rows = max(1, PAGE // (values.shape[1] * values.itemsize))
    for begin in range(0, len(values), rows):
        block = values[begin : begin + rows]
        encoded = _indices(block) if indexed else [block.reshape(-1).view(np.uint8).data]
        levels = _levels(*block.shape)
        size = len(levels) + sum(map(len, encoded))
        parts += [_data_header(block.size, size, RLE_DICTIONARY if indexed else PLAIN), levels, *encoded]
    size = sum(map(len, parts))
    encodings = [PLAIN, RLE, RLE_DICTIONARY] if indexed else [PLAIN, RLE]
    description: Struct = {
        1: Value(I32, TYPES[dtype]),
        2: Value(LIST, Items(I32, encodings)),
        3: Value(LIST, Items(BINARY, [name.encode(), b"list", b"element"])),
        4: Value(I32, UNCOMPRESSED),
        5: Value(I64, values.size),
        6: Value(I64, size),
        7: Value(I64, size),
        9: Value(I64, start + first),
    }
    if indexed:
        description[11] = Value(I64, start)
    return Chunk(parts, size, {2: Value(I64, 0), 3: Value(STRUCT, description)})


def _data_header(count: int, size: int, encoding: int) -> bytes:
    """PageHeader of ``count`` numbers in ``size`` bytes, levels included."""
    about: Struct = {
        1: Value(I32, count),
        2: Value(I32, encoding),
        3: Value(I32, RLE),
        4: Value(I32, RLE),
    }
    return thrift.write({1: Value(I32, DATA_PAGE), 2: Value(I32, size), 3: Value(I32, size), 5: Value(STRUCT, about)})


def _levels(rows: int, dim: int) -> bytes:
    """Repetition levels, 0 for the first number of a row and 1 for others; definition levels, all 1.

    Each behind its size in bytes. A run of a value is twice its length as a varint, then the value in a byte.
    """
    first, others = b"\x02\x00", thrift.varint(2 * (dim - 1)) + b"\x01"
    repetition = (first + others) * rows if dim > 1 else thrift.varint(2 * rows) + b"\x00"
    definition = thrift.varint(2 * rows * dim) + b"\x01"
    return b"".join(struct.pack("<I", len(levels)) + levels for levels in (repetition, definition))


def _dictionary() -> Iterator[bytes]:
    """The page of int8's values as 32-bit integers; place i holds i - 127."""
    values = np.arange(-LARGEST, LARGEST + 1, dtype="<i4").tobytes()
    about: Struct = {
        1: Value(I32, 2 * LARGEST + 1),
        2: Value(I32, PLAIN),
        3: Value(FALSE, False),
    }
    size = Value(I32, len(values))
    yield thrift.write({1: Value(I32, DICTIONARY_PAGE), 2: size, 3: size, 7: Value(STRUCT, about)})
    yield values


def _indices(block: NDArray[np.int8]) -> list[Any]:
    """Places in the dictionary: their width in bits, then one run of groups of eight."""
    places = (block.reshape(-1).astype(np.int16) + LARGEST).astype(np.uint8)
    groups = -(-places.size // 8)
    return [b"\x08" + thrift.varint(2 * groups + 1), places.tobytes() + bytes(8 * groups - places.size)]
