"""From places in a Parquet file to vectors beside them: a chunk is read and one written while one is embedded."""

import contextlib
import copy
import hashlib
import json
import time
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import locenc
from locenc._devices import home, resolve
from locenc._files import as_path
from locenc._names import among, check_count, check_text, unknown
from locenc.embedding import embed, embedding_dim
from locenc.location_encoder import LocationEncoder
from locenc.parquet.geometry import PlaceColumns, place_columns, places
from locenc.parquet.job import Job, open_job
from locenc.parquet.precision import DTYPES
from locenc.parquet.report import ParquetReport
from locenc.parquet.source import Source, identity, open_source, rows_of_a_chunk, tables
from locenc.parquet.target import Target
from locenc.places import WAYS
from locenc.position import PositionEncoder


def embed_parquet(
    source: str | Path,
    target: str | Path,
    encoder: LocationEncoder | PositionEncoder,
    *,
    lon: str | None = None,
    lat: str | None = None,
    column: str = "embedding",
    dtype: str = "float32",
    batch_size: int | None = None,
    device: str | torch.device | None = None,
    missing: str = "raise",
    progress: bool | None = None,
    overwrite: bool = False,
    restart: bool = False,
) -> ParquetReport:
    """Embed the places of a Parquet file into a column of another, which has all that the first has.

    Parameters
    ----------
    source : str or Path
        GeoParquet with points in any CRS (well-known binary, or structs of x and y), or any Parquet file with columns
        of longitude and latitude. It may have any number of rows: memory does not grow with it.
    target : str or Path
        The file that is written: all rows in their order, columns and metadata of the source, and one more column. It
        appears at once when it is whole.
    encoder : LocationEncoder or PositionEncoder
        As in `locenc.embed`.
    lon, lat : str, optional
        Columns of longitude and latitude in degrees, EPSG:4326, instead of the file's geometry.
    column : str
        Name of the new column: lists of one length, ``dim``.
    dtype : {"float32", "float16", "int8"}
        Of its numbers. int8 stands for the number times the row's scale, the largest magnitude / 127, which is in a
        column ``<column>_scale``; its error is half the scale at most. The report, and the metadata of the file, hold
        the largest absolute error that either made.
    batch_size, device
        As in `locenc.embed`.
    missing : {"raise", "nan"}
        Whether a missing or empty point, or NaN for a coordinate, is an error or gives a row of NaN; with int8, of
        zeros whose scale is NaN.
    progress : bool, optional
        Whether to show a progress bar; by default on a terminal.
    overwrite : bool
        Whether a file at ``target`` may be replaced.
    restart : bool
        Whether to throw away what an interrupted run has finished.

    Returns
    -------
    ParquetReport
        Rows, seconds, rates, errors; printed, a few lines with what 10⁹ rows would take.

    Raises
    ------
    TypeError, ValueError
        For a file that is no Parquet or damaged, without places, with a bad place (all are looked at first; the first
        bad row is named), with a column of that name; for values beyond float16, options that are not known, a target
        that is the source, and a job that was begun with another source, encoder or option.
    FileNotFoundError, FileExistsError, IsADirectoryError
        If there is no source; if there is a target, unless ``overwrite``; if the target is a folder.
    BlockingIOError
        If another process writes the same target.
    OSError
        If the target cannot be written or the disk is full: what is finished is kept.

    Notes
    -----
    Finished chunks (at most 131,072 rows) are kept in a folder ``.<name>.partial`` beside the target, so that a run
    that was killed goes on when it is called again, and ends in the same bytes. The bytes depend neither on
    ``batch_size`` nor on the number of threads.

    Examples
    --------
    >>> report = locenc.embed_parquet("in.parquet", "out.parquet", encoder)  # doctest: +SKIP
    >>> print(report)  # doctest: +SKIP
    out.parquet: 1,000,000 rows, 256 x float32, 1.06 GB
    1,000,000 rows in 3.3 s: 303,000 rows/s
    10^9 such rows would take 55 min and 1.06 TB
    """
    start = time.perf_counter()
    source, target = as_path(source, "source"), as_path(target, "target")
    dim = embedding_dim(encoder)
    for what, value, known in (("dtype", dtype, DTYPES), ("way of treating missing places:", missing, WAYS)):
        if not among(value, known):
            raise ValueError(unknown(what, value, known))
    batch_size = None if batch_size is None else check_count("batch_size", batch_size)
    at = home(encoder) if device is None else resolve(device)
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file, such as {target / 'vectors.parquet'}")
    opened = open_source(source)
    if target.exists() and target.samefile(source):
        raise ValueError(f"source and target are one file, {source}: name another target")
    with _named(source):
        columns = place_columns(opened.schema, lon, lat)
    written = Target(opened, check_text("column", column), dtype, dim)
    rows = rows_of_a_chunk(opened, dim)
    about = (
        _identity(encoder, at)
        | opened.identity
        | {
            "column": column,
            "dtype": dtype,
            "place columns": list(columns.names),
            "missing": missing,
            "rows of a chunk": rows,
        }
    )
    moved = encoder if at == home(encoder) else copy.deepcopy(encoder).to(at)
    with open_job(target) as job:
        if target.exists() and not overwrite:
            raise FileExistsError(f"{target} exists: name another target, or overwrite=True (--overwrite) replaces it")
        job.begin(about, restart=restart)
        if not job.finished:
            with _named(source):
                _check(opened, columns, rows, missing, progress)
        first = min(len(job.finished) * rows, opened.num_rows)
        with _bar("embedding", opened.num_rows, first, progress) as bar:
            _fill(opened, columns, written, job, moved, rows, missing, batch_size, bar)
        error = max((chunk.error for chunk in job.finished), default=0.0)
        written.finish(job, opened.num_rows, _notes(about, dim, dtype, column, error))
        if identity(source) != opened.identity:
            raise ValueError(f"{source} changed while it was read: nothing was written; run again with restart=True")
        job.publish(target)
    seconds = time.perf_counter() - start
    size = target.stat().st_size
    return ParquetReport(target, opened.num_rows, opened.num_rows - first, seconds, dim, dtype, error, size)


def _fill(
    source: Source,
    columns: PlaceColumns,
    target: Target,
    job: Job,
    encoder: LocationEncoder | PositionEncoder,
    rows: int,
    missing: str,
    batch_size: int | None,
    bar: Any,
) -> None:
    """Embed what is not finished, and write it."""
    first = min(len(job.finished) * rows, source.num_rows)
    chunks = _chunks(source, columns, rows, first, missing)
    buffers = [np.empty((min(rows, source.num_rows), embedding_dim(encoder)), np.float32) for _ in range(2)]
    writing: Future[None] | None = None
    with (
        contextlib.closing(chunks),
        _named(source.path),
        ThreadPoolExecutor(1, "locenc-read") as reader,
        ThreadPoolExecutor(1, "locenc-write") as writer,
    ):
        reading = reader.submit(next, chunks, None)
        while (chunk := reading.result()) is not None:
            reading = reader.submit(next, chunks, None)
            table, lonlat = chunk
            buffer = buffers[0][: len(lonlat)]
            embed(lonlat, encoder, missing="nan", batch_size=batch_size, progress=False, out=buffer)
            if writing is not None:
                writing.result()
            writing = writer.submit(target.write, job, table, buffer, first)
            first += len(lonlat)
            bar.update(len(lonlat))
            buffers.reverse()
        if writing is not None:
            writing.result()


def _chunks(
    source: Source, columns: PlaceColumns, rows: int, first: int, missing: str
) -> Generator[tuple[Any, NDArray[np.float64]], None, None]:
    for table in tables(source, rows, first=first):
        yield table, places(columns, table, first, missing)
        first += len(table)


def _check(source: Source, columns: PlaceColumns, rows: int, missing: str, progress: bool | None) -> None:
    """Look at all places, so that a bad one ends the job before hours of work."""
    first = 0
    with _bar("checking", source.num_rows, 0, progress) as bar:
        for table in tables(source, rows, columns=columns.names):
            places(columns, table, first, missing)
            first += len(table)
            bar.update(len(table))


def _identity(encoder: LocationEncoder | PositionEncoder, device: torch.device) -> dict[str, Any]:
    """What embeddings depend on: the encoder, and what computes them."""
    try:
        config: Any = encoder.config
    except ValueError:  # a part that was not built by name
        config = repr(encoder)
    digest = hashlib.sha256()
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return {
        "encoder's configuration": json.loads(json.dumps(config)),
        "encoder's weights": digest.hexdigest(),
        "device": device.type,
        "versions": {"locenc": locenc.__version__, **{name: version(name) for name in ("torch", "pyarrow")}},
    }


def _notes(about: dict[str, Any], dim: int, dtype: str, column: str, error: float) -> dict[str, Any]:
    """What the metadata of the file say of the column."""
    notes: dict[str, Any] = {
        "dim": dim,
        "dtype": dtype,
        "largest_error": error,
        "encoder": about["encoder's configuration"],
        "weights_sha256": about["encoder's weights"],
        "versions": about["versions"],
    }
    return notes | ({"scale": f"{column}_scale"} if dtype == "int8" else {})


def _bar(what: str, total: int, first: int, progress: bool | None) -> Any:
    disable = None if progress is None else not progress
    return tqdm(desc=what, total=total, initial=first, unit=" places", unit_scale=True, leave=False, disable=disable)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors about the content of a file name it."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from error
