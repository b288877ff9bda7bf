"""Footers of Parquet files: what Arrow wrote about a row group, and what stands at the end of a file of many.

Numbers of fields are those of parquet.thrift.
"""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from locenc.parquet import thrift
from locenc.parquet.thrift import I64, LIST, STRUCT, Items, Raw, Struct, Value

MAGIC = b"PAR1"
TAIL = 8  # length of the footer (uint32), magic
NUM_ROWS, ROW_GROUPS = 3, 4  # of FileMetaData
COLUMNS, TOTAL_BYTES, GROUP_PLACE, TOTAL_COMPRESSED, ORDINAL = 1, 2, 5, 6, 7  # of RowGroup
META_DATA = 3  # of ColumnChunk
CHUNK_PLACES = (2, 4, 6)  # of ColumnChunk: itself, offset index, column index
PAGE_PLACES = (9, 10, 11, 14)  # of ColumnMetaData: data, index, dictionary, Bloom filter


class Found(NamedTuple):
    """A footer and where it begins."""

    metadata: bytes
    start: int


def find(path: Path) -> Found:
    """The footer of a Parquet file.

    Raises
    ------
    ValueError
        If the file does not end as one does.
    """
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - TAIL))
        tail = file.read()
        length = struct.unpack("<I", tail[:4])[0] if len(tail) == TAIL else 0
        if tail[4:] != MAGIC or length > size - TAIL - len(MAGIC):
            raise ValueError(f"{path} is not a Parquet file, or cut short: it does not end in {MAGIC.decode()}")
        start = file.seek(size - TAIL - length)
        return Found(file.read(length), start)


def parted(file: memoryview) -> tuple[memoryview, Struct]:
    """A Parquet file in memory: what stands between its first bytes, the magic ones, and its footer; and the footer."""
    (length,) = struct.unpack_from("<I", file, len(file) - TAIL)
    start = len(file) - TAIL - length
    return file[len(MAGIC) : start], thrift.read(bytes(file[start:]))


def row_group(metadata: Struct, column: Struct, size: int, shift: int) -> bytes:
    """Describe a row group.

    Parameters
    ----------
    metadata : Struct
        Footer that Arrow wrote for it alone.
    column : Struct
        Description of one more column, the last.
    size : int
        Bytes of that.
    shift : int
        By how much later in the file the others stand than Arrow knew.
    """
    (group,) = metadata[ROW_GROUPS].value.values
    columns = group[COLUMNS].value.values
    for one in columns:
        _shift(one, CHUNK_PLACES, shift)
        _shift(one[META_DATA].value, PAGE_PLACES, shift)
    _shift(group, (GROUP_PLACE,), shift)
    group[COLUMNS] = Value(LIST, Items(STRUCT, [*columns, column]))
    group[TOTAL_BYTES] = Value(I64, group[TOTAL_BYTES].value + size)
    if TOTAL_COMPRESSED in group:
        group[TOTAL_COMPRESSED] = Value(I64, group[TOTAL_COMPRESSED].value + size)
    group.pop(ORDINAL, None)  # each would be the first
    return thrift.write(group)


def _shift(fields: Struct, numbers: Sequence[int], shift: int) -> None:
    """Move places in the file; 0 is none."""
    for number in numbers:
        if number in fields and fields[number].value:
            fields[number] = Value(I64, fields[number].value + shift)


def footer(template: Struct, num_rows: int, groups: Sequence[bytes]) -> bytes:
    """What stands at the end of a file.

    Parameters
    ----------
    template : Struct
        Footer that Arrow writes for a table of the same columns without rows.
    num_rows : int
        Of the file.
    groups : sequence of bytes
        Descriptions of its row groups.
    """
    changed: dict[int, Any] = {
        NUM_ROWS: Value(I64, num_rows),
        ROW_GROUPS: Value(LIST, Items(STRUCT, [Raw(group) for group in groups])),
    }
    data = thrift.write(template | changed)
    return data + struct.pack("<I", len(data)) + MAGIC
