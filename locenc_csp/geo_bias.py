"""Geo-bias: whether a model does better in some places than in others.

Two scores of a model's performance at places. Self-information says how surprising the arrangement of values in a
neighbourhood is; relative information, how far the values of its parts differ from those of the whole. Every place is
the centre of a neighbourhood; a score is the mean over all neighbourhoods, weighted by their number of places. The
order of the places does not matter, nor does the antimeridian; a pole matters in that it says where north is.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import and_more
from locenc_csp.neighbourhoods import Batch

__all__ = ["GeoBias"]

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]


class GeoBias(NamedTuple):
    """A score, and what it is the mean of.

    Attributes
    ----------
    score : float
        Mean over the neighbourhoods that have a score, weighted by ``num_places``; NaN where none has.
    local : ndarray
        float64 (C,): score of the neighbourhood of each centre, NaN where it has none.
    num_places : ndarray
        int64 (C,): places in it, the centre included.
    """

    score: float
    local: Floats
    num_places: Rows


def mean_over(batches: Iterator[Batch], score: Callable[[Batch], Floats]) -> GeoBias:
    """Score all neighbourhoods, batch by batch, and take the mean."""
    scored = [(score(batch), np.diff(batch.splits)) for batch in batches]
    local = np.concatenate([np.empty(0), *(one for one, _ in scored)])
    weights = np.concatenate([np.empty(0, np.int64), *(one for _, one in scored)])
    known = ~np.isnan(local)
    mean = float(np.average(local[known], weights=weights[known])) if known.any() else float("nan")
    return GeoBias(mean, local, weights)


def check_values(values: ArrayLike, count: int) -> Floats:
    """Values of places: float64 (count,).

    Raises
    ------
    ValueError
        If they are not one finite number for each place; the first bad row is named.
    """
    checked = np.asarray(values)
    if checked.shape != (count,) or checked.dtype.kind not in "fiub":
        raise ValueError(
            f"values must be one number for each of {count} places, got shape {checked.shape} of {checked.dtype}"
        )
    checked = checked.astype(np.float64)
    bad = ~np.isfinite(checked)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"values must be finite, but row {row} has {checked[row]}{and_more(int(bad.sum()))}")
    return checked


def cross(rows: Rows, columns: Rows, shape: tuple[int, int]) -> Rows:
    """How often each row goes with each column."""
    counted: Rows = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return counted
