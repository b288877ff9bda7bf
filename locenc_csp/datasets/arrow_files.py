"""Parquet and CSV files as Arrow tables, and their columns as arrays of text or numbers."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

__all__ = ["DELIMITERS", "PARQUET", "read_csv", "read_parquet", "text_or_numbers"]

PARQUET = (".parquet", ".geoparquet", ".pq")
DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_parquet(path: Path) -> Any:
    """Read a Parquet file as an Arrow table; its checksums are verified.

    Raises
    ------
    ValueError
        If it is no Parquet file or a damaged one.
    """
    parquet = require("pyarrow.parquet", extra="csp")
    arrow = require("pyarrow", extra="csp")
    try:
        with arrow.OSFile(str(path)) as file:  # a Python file, read by Arrow's threads, can abort the process
            data = parquet.read_table(file, page_checksum_verification=True)
        data.validate(full=True)
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet file, or damaged: {error}") from error
    return data


def read_csv(path: Path) -> Any:
    """Read a CSV file (commas), or a ``.tsv`` file (tabs), with a header line, as an Arrow table; types are inferred.

    Empty entries, "NA", "NaN", "null" and the like are gaps in columns of numbers; in columns of text, empty ones are.

    Raises
    ------
    ValueError
        If it cannot be parsed.
    """
    csv = require("pyarrow.csv", extra="csp")
    arrow = require("pyarrow", extra="csp")
    try:
        with arrow.OSFile(str(path)) as file:
            return csv.read_csv(
                file,
                parse_options=csv.ParseOptions(
                    delimiter=DELIMITERS.get(path.suffix.lower(), ","), newlines_in_values=True
                ),
                convert_options=csv.ConvertOptions(null_values=["", "NA", "N/A", "NaN", "nan", "null", "None"]),
            )
    except (arrow.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a readable CSV file with a header line, or damaged: {error}") from error


def text_or_numbers(column: Any) -> NDArray[Any] | None:
    """An Arrow column as text or numbers, with "" or NaN for gaps; None for other types."""
    arrow = require("pyarrow", extra="csp")
    if arrow.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    if kind in _text_types(arrow):
        return _text(arrow, column)
    if arrow.types.is_boolean(kind):
        column = column.cast(arrow.int8())
    elif not (arrow.types.is_integer(kind) or arrow.types.is_floating(kind)):
        return None
    values: NDArray[Any] = column.to_numpy()
    return values


def _text(arrow: Any, column: Any) -> NDArray[np.str_]:
    """Text by its different values, so that a column of labels makes no Python object for each row."""
    if len(column) == 0:
        return np.array([], dtype=np.str_)
    encoded = column.cast(arrow.large_string()).fill_null("").combine_chunks().dictionary_encode()
    values = np.array(encoded.dictionary.to_pylist(), dtype=np.str_)
    text: NDArray[np.str_] = values[encoded.indices.to_numpy()]
    return text


def _text_types(arrow: Any) -> list[Any]:
    names = ("string", "large_string", "string_view")  # the last one since Arrow 16
    return [getattr(arrow, name)() for name in names if hasattr(arrow, name)]
