"""The Parquet file that is written: a row group for each chunk, the source's columns by Arrow, the vectors by us."""

import json
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc._files import parse_json
from locenc.parquet import footer
from locenc.parquet.job import Finished, Job
from locenc.parquet.pages import column_chunk
from locenc.parquet.precision import reduced
from locenc.parquet.source import Source

KEY = b"locenc"
"""Of the metadata of the table: JSON, for each column of vectors what it holds."""


class Target:
    """What is added to a source, and how it is written.

    Parameters
    ----------
    source : Source
        Its columns come first.
    column : str
        Name of the column of vectors.
    dtype : {"float32", "float16", "int8"}
        Of their numbers; int8 has a column of scales, ``<column>_scale``, before it.
    dim : int
        Their length.
    """

    def __init__(self, source: Source, column: str, dtype: str, dim: int) -> None:
        arrow = require("pyarrow", extra="geo")
        self.column, self.dtype, self._codec = column, dtype, source.codec
        kind = {"float32": arrow.float32(), "float16": arrow.float16(), "int8": arrow.int8()}[dtype]
        scale = arrow.field(f"{column}_scale", arrow.float32(), nullable=False)
        self._scale = scale if dtype == "int8" else None
        item = arrow.field("element", kind, nullable=False)
        vectors = arrow.field(column, arrow.list_(item, dim), nullable=False)
        for field in (vectors, self._scale):
            if field is not None and field.name in source.schema.names:
                raise ValueError(
                    f"{source.path} has a column {field.name!r} already: choose another name, column=, or drop it"
                )
        self._vectors, self._schema = vectors, source.schema

    def write(self, job: Job, table: Any, embedding: NDArray[np.float32], first: int) -> None:
        """Write a chunk, and note it when it is on the disk.

        Parameters
        ----------
        job : Job
            Its data file ends with the chunk before.
        table : pyarrow.Table
            The rows of the source.
        embedding : ndarray
            (N, dim) theirs.
        first : int
            Number of the first row, for messages.

        Raises
        ------
        ValueError
            If a value is too large for float16; names the row.
        OSError
            If the disk is full.
        """
        try:
            values, scale, error = reduced(embedding, self.dtype)
        except OverflowError as overflow:
            row, value = overflow.args
            raise ValueError(
                f"the embedding of row {first + row} has {value:g}, and the largest float16 is 65504: write "
                "dtype='float32' or 'int8'"
            ) from overflow
        if self._scale is not None:
            table = table.append_column(self._scale, require("pyarrow", extra="geo").array(scale))
        pages, metadata = footer.parted(self._by_arrow(table))
        with open(job.data, "rb+") as file:
            start = max(file.seek(job.end), file.write(footer.MAGIC) if not job.end else 0)
            chunk = column_chunk(self.column, values, start + len(pages))
            file.writelines([pages, *chunk.parts])
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        group = footer.row_group(metadata, chunk.column, chunk.size, start - len(footer.MAGIC))
        job.add(Finished(start + len(pages) + chunk.size, error, group))

    def finish(self, job: Job, num_rows: int, about: dict[str, Any]) -> None:
        """Write the footer.

        Parameters
        ----------
        job : Job
            All its chunks are finished.
        num_rows : int
            Of the table.
        about : dict
            What the column of vectors holds, for the metadata of the table.
        """
        arrow, parquet = require("pyarrow", extra="geo"), require("pyarrow.parquet", extra="geo")
        known = dict(self._schema.metadata or {})
        notes = {**_notes(known.get(KEY)), self.column: about}
        schema = self._schema
        for field in (self._scale, self._vectors):
            schema = schema if field is None else schema.append(field)
        schema = schema.with_metadata(known | {KEY: json.dumps(notes).encode()})
        empty = arrow.BufferOutputStream()
        parquet.ParquetWriter(empty, schema, compression=self._codec).close()
        _, template = footer.parted(memoryview(empty.getvalue()))
        with open(job.data, "ab") as file:
            file.truncate(job.end)
            if not job.finished:
                file.write(footer.MAGIC)
            file.write(footer.footer(template, num_rows, [chunk.group for chunk in job.finished]))
            file.flush()
            os.fsync(file.fileno())

    def _by_arrow(self, table: Any) -> memoryview:
        """A Parquet file, in memory, of one row group."""
        arrow, parquet = require("pyarrow", extra="geo"), require("pyarrow.parquet", extra="geo")
        sink = arrow.BufferOutputStream()
        with parquet.ParquetWriter(sink, table.schema, compression=self._codec, store_schema=False) as writer:
            writer.write_table(table, row_group_size=len(table))
        return memoryview(sink.getvalue())


def _notes(known: bytes | None) -> dict[str, Any]:
    """What the source's metadata say of columns of vectors that it has."""
    try:
        notes = parse_json(known or b"{}")
    except ValueError:
        return {}
    return notes if isinstance(notes, dict) else {}
