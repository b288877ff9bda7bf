"""The places that are most alike to one, by their embeddings."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._names import check_count, named_row
from locenc.embedding import embed, embedding_dim
from locenc.kernels import chunks
from locenc.location_encoder import LocationEncoder
from locenc.places import is_dask, read
from locenc.position import PositionEncoder

SIMILARITY = "similarity"
#: Numbers of the candidates' embeddings that are there at a time.
NUMBERS = 2**25


class Alike(NamedTuple):
    """Candidates, the most alike first.

    Attributes
    ----------
    indices : ndarray
        (count,) int64 positions among the candidates.
    similarities : ndarray
        (count,) float64 cosine similarities, from -1 to 1.
    """

    indices: NDArray[np.int64]
    similarities: NDArray[np.float64]


def nearest(
    encoder: LocationEncoder | PositionEncoder,
    place: Any,
    candidates: Any,
    *,
    count: int = 5,
    lon: str | None = None,
    lat: str | None = None,
    device: Any = None,
    progress: bool | None = None,
) -> Any:
    """The candidates whose embeddings are most alike to a place's, by cosine similarity.

    Parameters
    ----------
    encoder : LocationEncoder or PositionEncoder
        As in `locenc.embed`.
    place : (lon, lat), Point, GeoSeries or GeoDataFrame
        One place: degrees, a point of shapely in degrees, or geometry of one row in any CRS.
    candidates : GeoDataFrame, GeoSeries, DataFrame or array_like
        As `locenc.embed` takes them. The place itself may be among them: it is its own nearest.
    count : int
        How many; all of them, in order, where there are fewer.
    lon, lat : str, optional
        Columns of longitude and latitude in degrees, for candidates in a table without geometry.
    device, progress
        As in `locenc.embed`.

    Returns
    -------
    GeoDataFrame, DataFrame or Alike
        The rows of the table, most alike first (equals in their order), with all columns, their labels, and a column
        ``similarity``; for candidates that are no table of pandas, their positions and similarities.

    Raises
    ------
    TypeError, ValueError
        For what `locenc.embed` refuses, for several places, for a table that has a column ``similarity`` already, and
        for an embedding that is not finite or, at the place, all zeros.

    Notes
    -----
    A candidate whose embedding is all zeros has similarity 0.

    Examples
    --------
    >>> import locenc
    >>> nearest(locenc.position_encoder("xyz"), (0, 0), [[90, 0], [10, 0], [180, 0]], count=2).indices
    array([1, 0])
    """
    count = check_count("count", count)
    if is_dask(candidates):
        raise TypeError("nearest takes no frame of dask: load it first, candidates.compute()")
    named = candidates.columns if hasattr(candidates, "columns") else [getattr(candidates, "name", None)]
    if SIMILARITY in named:
        raise ValueError(f"the candidates have a column {SIMILARITY!r} already: rename or drop it")
    dim = embedding_dim(encoder)
    there = _one(place)
    lonlat, _, index = read(candidates, lon=lon, lat=lat)
    target = embed(there, encoder, device=device, progress=False)[0].astype(np.float64)
    length = np.linalg.norm(target)
    if not 0 < length < np.inf:
        kind = "all zeros" if length == 0 else "not finite"
        raise ValueError(f"the embedding of the place, longitude {there[0, 0]:g}, latitude {there[0, 1]:g}, is {kind}")
    likeness = np.empty(len(lonlat))
    for part in chunks.slices(len(lonlat), max(1, NUMBERS // dim)):
        rows = embed(lonlat[part], encoder, device=device, progress=progress)
        likeness[part] = _cosine(rows, target / length)
    if not np.isfinite(likeness).all():
        row = int((~np.isfinite(likeness)).argmax())
        raise ValueError(f"the embedding of candidate {named_row(row, index)} is not finite")
    first = np.argsort(-likeness, kind="stable")[:count]
    if index is None:
        return Alike(first, likeness[first])
    table = candidates if hasattr(candidates, "columns") else candidates.to_frame(candidates.name or "geometry")
    return table.iloc[first].assign(**{SIMILARITY: likeness[first]})


def _one(place: Any) -> NDArray[np.float64]:
    lonlat = read(place).lonlat
    if len(lonlat) != 1:
        raise ValueError(f"expected one place, got {len(lonlat)}: choose a row, or call nearest for each")
    return lonlat


def _cosine(rows: NDArray[np.float32], direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N,) cosines of (N, d) rows with a vector of length one; 0 for rows of zeros."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))
    products = np.einsum("ij,j->i", rows, direction, dtype=np.float64)
    cosines: NDArray[np.float64] = np.divide(products, lengths, out=np.zeros(len(rows)), where=lengths != 0)
    return cosines
