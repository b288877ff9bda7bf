"""A Parquet file that is read by chunks of rows, whatever its row groups, in memory that does not grow with it."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from locenc._extras import require
from locenc.parquet import footer

CHUNK = 2**26
"""Bytes that the embedding of a chunk has in float32, or its rows have in the source, at most."""

FEWEST, MOST = 512, 2**17  # rows of a chunk
BUFFER = 2**20  # bytes of each column that are read at once


class Source(NamedTuple):
    """An open table.

    Attributes
    ----------
    path : Path
        Of the file.
    schema : pyarrow.Schema
        Its columns.
    num_rows : int
        Its rows.
    groups : tuple of int
        Rows of each of its row groups.
    row_bytes : float
        Bytes of a row, uncompressed, on average.
    codec : str
        What its columns are compressed with.
    identity : dict
        What changes when the file does.
    """

    path: Path
    schema: Any
    num_rows: int
    groups: tuple[int, ...]
    row_bytes: float
    codec: str
    identity: dict[str, Any]


def open_source(path: Path) -> Source:
    """Look at a Parquet file.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If it is no Parquet file or a damaged one; damage inside is found when it is read.
    """
    arrow, parquet = require("pyarrow", extra="geo"), require("pyarrow.parquet", extra="geo")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected a Parquet file")
    found = identity(path)
    try:
        with arrow.OSFile(str(path)) as file:
            opened = parquet.ParquetFile(file)
            about, schema = opened.metadata, _whole_schema(opened)
            groups = [about.row_group(number) for number in range(about.num_row_groups)]
            codecs = [groups[0].column(0).compression.lower()] if groups and about.num_columns else ["snappy"]
    except (arrow.ArrowException, OSError) as error:
        raise damaged(path, error) from error
    total = sum(group.total_byte_size for group in groups)
    return Source(
        path,
        schema,
        about.num_rows,
        tuple(group.num_rows for group in groups),
        total / max(1, about.num_rows),
        "none" if codecs[0] == "uncompressed" else codecs[0],
        found,
    )


def _whole_schema(opened: Any) -> Any:
    """Schema with all metadata of the file: beside a schema of Arrow's own pyarrow gives that one's alone."""
    stored = {key: value for key, value in (opened.metadata.metadata or {}).items() if key != b"ARROW:schema"}
    return opened.schema_arrow.with_metadata(stored | (opened.schema_arrow.metadata or {}))


def identity(path: Path) -> dict[str, Any]:
    """What changes when a Parquet file does."""
    status = path.stat()
    metadata = footer.find(path).metadata
    return {
        "size of the source": status.st_size,
        "time of the source's last change": status.st_mtime_ns,
        "footer of the source": hashlib.sha256(metadata).hexdigest(),
    }


def rows_of_a_chunk(source: Source, dim: int) -> int:
    """How many rows are under way at a time: a power of two that the file and the embedding's size alone decide."""
    most = CHUNK / max(4 * dim, source.row_bytes)
    return min(max(1 << max(0, int(most).bit_length() - 1), FEWEST), MOST)


def tables(source: Source, rows: int, *, first: int = 0, columns: Sequence[str] | None = None) -> Iterator[Any]:
    """Read a file as tables of so many rows; the last may be shorter.

    Parameters
    ----------
    source : Source
        The file.
    rows : int
        Of a table.
    first : int
        Row at which to begin.
    columns : sequence of str, optional
        Names of the columns to read; all unless given.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    arrow = require("pyarrow", extra="geo")
    parts: list[Any] = []
    held = 0
    try:
        for batch in _batches(source, rows, first, columns):
            parts.append(batch)
            held += len(batch)
            while held >= rows:
                table = arrow.Table.from_batches(parts)
                yield table[:rows]
                parts, held = table[rows:].to_batches(), held - rows
        if held:
            yield arrow.Table.from_batches(parts)
    except (arrow.ArrowException, OSError) as error:
        raise damaged(source.path, error) from error


def _batches(source: Source, rows: int, first: int, columns: Sequence[str] | None) -> Iterator[Any]:
    arrow, parquet = require("pyarrow", extra="geo"), require("pyarrow.parquet", extra="geo")
    group = 0
    while group < len(source.groups) and first >= source.groups[group]:
        first -= source.groups[group]
        group += 1
    with arrow.OSFile(str(source.path)) as file:  # a Python file, read by Arrow's threads, can abort the process
        opened = parquet.ParquetFile(file, page_checksum_verification=True, pre_buffer=False, buffer_size=BUFFER)
        wanted = None if columns is None else list(columns)
        for number in range(group, len(source.groups)):  # Arrow joins no dictionaries inside lists across row groups
            for batch in opened.iter_batches(rows, row_groups=[number], columns=wanted):
                batch.validate(full=True)
                skipped = min(first, len(batch))
                first -= skipped
                if skipped < len(batch):
                    yield batch[skipped:]


def damaged(path: Path, error: Exception) -> ValueError:
    """What is said of a file that Arrow cannot read."""
    return ValueError(f"{path} is not a readable Parquet file, or damaged: {error}")
