"""Parquet and CSV files, batch after batch: columns become arrays of numbers, or text that takes little memory."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc_csp.datasets.text import ROWS, Text

__all__ = [
    "DELIMITERS",
    "MOST_CODES",
    "PARQUET",
    "Collector",
    "Numbers",
    "Rows",
    "Words",
    "collect",
    "collector",
    "is_number",
    "is_word",
    "open_csv",
    "open_parquet",
]

PARQUET = (".parquet", ".geoparquet", ".pq")
DELIMITERS = {".csv": ",", ".tsv": "\t"}
BUFFER = 2**20  # bytes of each column that are read at once
MORE_ROWS = 2**20
"""Rows that a table may have beyond one for each of its bytes: ids and places take more."""

MOST_CODES = 2**16
"""Different values of a column of text up to which each is held once."""

Column = NDArray[Any] | Text


class Rows(NamedTuple):
    """The rows of an open file.

    Attributes
    ----------
    schema : pyarrow.Schema
        Names and types of its columns.
    num_rows : int
        Of the file.
    batches : callable
        From names of columns to Arrow record batches of these, in order; it may be called again.
    """

    schema: Any
    num_rows: int
    batches: Callable[[Sequence[str]], Iterator[Any]]


class Collector(Protocol):
    """Takes a column part after part, and makes an array of it."""

    def add(self, part: Any) -> None:
        """Take the next rows, an Arrow array."""

    def finish(self) -> Any:
        """All rows."""


def open_parquet(path: Path) -> Rows:
    """Open a Parquet file; the checksums of what is read are verified.

    Raises
    ------
    ValueError
        If it is no Parquet file or a damaged one; damage inside is found when batches are read.
    """
    parquet = require("pyarrow.parquet", extra="csp")
    arrow = require("pyarrow", extra="csp")

    def batches(names: Sequence[str]) -> Iterator[Any]:
        try:
            with arrow.OSFile(str(path)) as file:  # a Python file, read by Arrow's threads, can abort the process
                opened = parquet.ParquetFile(
                    file, page_checksum_verification=True, pre_buffer=False, buffer_size=BUFFER
                )
                for batch in opened.iter_batches(ROWS, columns=list(names)):
                    batch.validate(full=True)
                    yield batch
        except (arrow.ArrowException, OSError) as error:
            raise ValueError(f"{path} is not a readable Parquet file, or damaged: {error}") from error

    try:
        with arrow.OSFile(str(path)) as file:
            described = parquet.ParquetFile(file)
            schema, num_rows = described.schema_arrow, described.metadata.num_rows
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file, or damaged: {error}") from error
    if not 0 <= num_rows <= path.stat().st_size + MORE_ROWS:
        raise ValueError(f"{path} says that it has {num_rows:,} rows, in {path.stat().st_size:,} bytes: it is damaged")
    return Rows(schema, num_rows, batches)


def open_csv(path: Path) -> Rows:
    """Read a CSV file (commas), or a ``.tsv`` file (tabs), with a header line; types are inferred from all of it.

    Empty entries, "NA", "NaN", "null" and the like are gaps in columns of numbers; in columns of text, empty ones are.
    The whole of it is in memory, packed as Arrow packs it: about the size of the file.

    Raises
    ------
    ValueError
        If it cannot be parsed.
    """
    csv = require("pyarrow.csv", extra="csp")
    arrow = require("pyarrow", extra="csp")
    try:
        with arrow.OSFile(str(path)) as file:
            data = csv.read_csv(
                file,
                parse_options=csv.ParseOptions(
                    delimiter=DELIMITERS.get(path.suffix.lower(), ","), newlines_in_values=True
                ),
                convert_options=csv.ConvertOptions(null_values=["", "NA", "N/A", "NaN", "nan", "null", "None"]),
            )
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable CSV file with a header line, or damaged: {error}") from error
    return Rows(data.schema, len(data), lambda names: iter(data.select(list(names)).to_batches(ROWS)))


def collect(rows: Rows, collectors: Mapping[str, Collector]) -> dict[str, Any]:
    """Read some columns of a file in one pass.

    Parameters
    ----------
    rows : Rows
        The file.
    collectors : mapping of str to Collector
        What takes each column.

    Returns
    -------
    dict
        What they made of them.
    """
    for batch in rows.batches(list(collectors)):
        for name, one in collectors.items():
            one.add(batch.column(name))
    return {name: one.finish() for name, one in collectors.items()}


def collector(kind: Any, count: int) -> Collector | None:
    """What takes a column of an Arrow type: text with "" for gaps, numbers with NaN; None for other types."""
    arrow = require("pyarrow", extra="csp")
    if arrow.types.is_dictionary(kind):
        kind = kind.value_type
    if kind in _text_types(arrow):
        return Words(count, MOST_CODES)
    return Numbers(count) if is_number(kind) else None


def is_number(kind: Any) -> bool:
    """Whether an Arrow type holds numbers or truth values."""
    types = require("pyarrow", extra="csp").types
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def is_word(kind: Any) -> bool:
    """Whether an Arrow type can hold ids: text or whole numbers."""
    arrow = require("pyarrow", extra="csp")
    kind = kind.value_type if arrow.types.is_dictionary(kind) else kind
    return kind in _text_types(arrow) or bool(arrow.types.is_integer(kind) or arrow.types.is_boolean(kind))


class Numbers:
    """Collects numbers and truth values: whole numbers stay such unless there are gaps.

    Parameters
    ----------
    count : int
        Number of rows.
    out : ndarray, optional
        float64 (count,) that they are written to.
    """

    def __init__(self, count: int, out: NDArray[np.float64] | None = None) -> None:
        self._values: NDArray[Any] | None = out
        self._count, self._end, self._given = count, 0, out is not None

    def add(self, part: Any) -> None:
        """Take the next rows, an Arrow array."""
        block = _plain(part).to_numpy(zero_copy_only=False)
        if self._values is None:
            self._values = np.empty(self._count, block.dtype)
        elif not self._given and (wide := np.result_type(self._values, block)) != self._values.dtype:
            self._values = self._values.astype(wide)
        self._values[self._end : self._end + len(block)] = block
        self._end += len(block)

    def finish(self) -> NDArray[Any]:
        """All rows."""
        return np.empty(0) if self._values is None else self._values


class Words:
    """Collects text, or whole numbers as text; each value is held once unless more than ``most`` are different.

    Parameters
    ----------
    count : int
        Number of rows.
    most : int
        At most 65,536; at 0 each row has its own value from the start.
    """

    def __init__(self, count: int, most: int) -> None:
        self._place: dict[str, int] = {}
        self._codes: NDArray[np.uint16] | None = np.empty(count, np.uint16) if most else None
        self._values = np.empty(0 if most else count, np.bytes_)
        self._count, self._most, self._end = count, most, 0

    def add(self, part: Any) -> None:
        """Take the next rows, an Arrow array."""
        arrow = require("pyarrow", extra="csp")
        text = _plain(part).cast(arrow.large_string()).fill_null("")
        rows = slice(self._end, self._end + len(text))
        if self._codes is not None:
            encoded = text.dictionary_encode()
            codes = [self._place.setdefault(one, len(self._place)) for one in encoded.dictionary.to_pylist()]
            if len(self._place) <= self._most:
                self._codes[rows] = np.array(codes, np.uint16)[encoded.indices.to_numpy()]
            else:
                self._write_out()
        if self._codes is None:
            block = text.cast(arrow.large_binary()).to_numpy(zero_copy_only=False).astype(np.bytes_)
            if block.itemsize > self._values.itemsize:
                self._values = self._values.astype(block.dtype)
            self._values[rows] = block
        self._end = rows.stop

    def finish(self) -> Text:
        """All rows."""
        if self._codes is None:
            return Text(self._values)
        return Text(_bytes(self._place), self._codes)

    def _write_out(self) -> None:
        """Give each row so far its own value: there are too many different ones."""
        known = _bytes(self._place)
        self._values = np.empty(self._count, known.dtype)
        for start in range(0, self._end, ROWS):
            rows = slice(start, min(start + ROWS, self._end))
            self._values[rows] = known[self._codes[rows]]  # type: ignore[index]
        self._codes, self._place = None, {}


def _bytes(texts: Iterable[str]) -> NDArray[np.bytes_]:
    return np.array([text.encode() for text in texts], np.bytes_)


def _plain(part: Any) -> Any:
    """An Arrow array without dictionary, truth values as numbers."""
    arrow = require("pyarrow", extra="csp")
    if arrow.types.is_dictionary(part.type):
        part = part.cast(part.type.value_type)
    return part.cast(arrow.int8()) if arrow.types.is_boolean(part.type) else part


def _text_types(arrow: Any) -> list[Any]:
    names = ("string", "large_string", "string_view")  # the last one since Arrow 16
    return [getattr(arrow, name)() for name in names if hasattr(arrow, name)]
