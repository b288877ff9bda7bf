"""An embedding in few bytes: principal components as 16-bit integers, whose products are cosines."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

Floats = NDArray[np.float64]

#: Pairs of rows that are compared at most, to find how far the cosines are off.
PAIRS = 2**28
_ROWS = 512  # compared at a time
_CONSTANT = 1e-10  # variance of unit rows below which it is float32 rounding


class Packed(NamedTuple):
    """Principal components of unit rows.

    Attributes
    ----------
    values : ndarray
        int16 (N, k): components, most important first, in units of ``step``.
    step : float
        The unit. The cosine of rows i and j is about ``step**2 * values[i] @ values[j]``.
    kept : float
        Share of the variance in these components.
    """

    values: NDArray[np.int16]
    step: float
    kept: float


class Deviation(NamedTuple):
    """How far cosines from packed components are from those of the whole embedding, between different rows.

    Attributes
    ----------
    largest, typical : float
        The largest, and the root mean square (rows weighted by area).
    rows : int
        How many rows were compared with all others: all of them where that is no more than `PAIRS`.
    """

    largest: float
    typical: float
    rows: int


def pack(embedding: NDArray[np.float32], area: Floats, components: int) -> Packed:
    """Pack unit rows so that products of packed rows are their cosines, as far as so many numbers can hold them.

    The mean is a part of the components (the eigenvectors of the second moment, not of the covariance), since cosines
    of centred rows are other ones. The sum of squared errors of the rows, weighted by area, is the least possible.

    Parameters
    ----------
    embedding : ndarray
        float32 (N, d), rows of length one.
    area : ndarray
        (N,) weights that sum to one.
    components : int
        At most so many; d if that is less.
    """
    with require("threadpoolctl", extra="geo").threadpool_limits(1):  # sums have one order, and runs repeat
        weighted = embedding * np.sqrt(area, dtype=np.float32)[:, None]
        moment, axes = np.linalg.eigh((weighted.T @ weighted).astype(np.float64))
        moment, axes = moment[::-1], axes[:, ::-1][:, :components]
        largest = axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])]
        scores = embedding @ (axes * np.sign(largest)).astype(np.float32)
    step = float(np.abs(scores).max()) / np.iinfo(np.int16).max or 1.0
    total = moment.sum() - _squared(area @ embedding)
    kept = moment[:components].sum() - _squared(area @ scores)
    share = float(kept / total) if total > _CONSTANT else 1.0
    return Packed(np.rint(scores / step).astype(np.int16), step, min(max(share, 0.0), 1.0))


def deviation(embedding: NDArray[np.float32], packed: Packed, area: Floats, pairs: int = PAIRS) -> Deviation:
    """Compare the cosines of packed rows with those of (N, d) float32 unit rows; see `Deviation`."""
    count = len(embedding)
    chosen = np.arange(0, count, max(1, -(-count * count // pairs)))
    approximate = packed.values * np.float32(packed.step)
    whole, difference = np.hstack([embedding, approximate]), np.hstack([embedding, -approximate])
    largest, squares = 0.0, 0.0
    weight = area.astype(np.float32)
    with require("threadpoolctl", extra="geo").threadpool_limits(1):
        for rows in np.split(chosen, range(_ROWS, len(chosen), _ROWS)):
            errors = difference[rows] @ whole.T
            errors[np.arange(len(rows)), rows] = 0
            largest = max(largest, float(errors.max()), -float(errors.min()))
            squares += float(area[rows] @ (np.square(errors, out=errors) @ weight))
    return Deviation(largest, float(np.sqrt(squares / area[chosen].sum())), len(chosen))


def _squared(vector: Floats) -> float:
    return float(vector @ vector)
