"""Geo-bias, first score: how surprising the arrangement of a model's performance around each place is."""

import numpy as np
import torch
from numpy.typing import ArrayLike

from locenc._extras import require
from locenc_csp.geo_bias import Floats, GeoBias, Rows, check_values, cross, mean_over
from locenc_csp.neighbourhoods import Batch, Places, local_coordinates, make_places, neighbourhoods, radians

__all__ = ["self_information"]

NEAR = 16
"""Neighbours of each place that are looked up once, for all neighbourhoods."""


def self_information(
    lonlat: ArrayLike,
    values: ArrayLike | None = None,
    *,
    radius_km: float = 100.0,
    centres: ArrayLike | None = None,
    max_neighbours: int | None = None,
) -> GeoBias:
    """Spatial self-information (SSI): how surprising the arrangement of values around each place is, in nats.

    The places of a neighbourhood stand among background points of value 0 on concentric rings, about five for each
    place. Moran's numerator U = zᵀWz (z: values less their mean, W: the four nearest neighbours) is compared with
    its distribution where the same values are shuffled over the same points, a normal one; SSI = -ln p, with p the
    two-sided probability of a U as far from the mean.

    Parameters
    ----------
    lonlat : array_like (N, 2)
        (longitude, latitude) in degrees.
    values : array_like (N,), optional
        Performance at each place, quantised and never 0, which is the background's: 1 for a miss and 2 for a hit, or a
        rank. Without values every place has value 1 (*unmarked*): the surprise is that of the places alone, which the
        score with values (*marked*) contains.
    radius_km : float
        Of a neighbourhood, up to a quarter of the globe.
    centres : array_like (C,) of int, optional
        Rows whose neighbourhoods are scored; all of them unless given.
    max_neighbours : int, optional
        Use the nearest so many places of a neighbourhood, where that bounds the time; the background still covers all
        of it, so dense neighbourhoods then look more clustered than they are. All places unless given.

    Returns
    -------
    GeoBias
        ``local`` has a score for every centre.

    Raises
    ------
    TypeError, ValueError
        For bad coordinates, values that are not (N,) finite numbers other than 0, or settings out of range.
    ImportError
        If scikit-learn is not installed.

    Notes
    -----
    With distinct values c_i that n_i of the N points have, r the most frequent one (the background's), x̄ the mean and
    k = 4, the normal distribution has

        μ = Σ_ij (c_i - x̄)(c_j - x̄) m_ij,    m_ij = k n_i n_j / N, and m_ii = k n_i (n_i - 1) / N - 1,
        σ = 1 + √(Σ_{i,j ≠ r} q_ij² s_ij), where
        q_ij = (c_i - x̄)(c_j - x̄) - 2 (c_i - x̄)(c_r - x̄) + (c_r - x̄)²,   s_ij = min(n_i, n_j) w (1 - w),
        w = k max(n_i, n_j) / N; and q_ii = (c_i - c_r)²,   s_ii = 2 (n_i - 1) (k n_i / N) (1 - k (2 n_i - 1) / (3N)).

    The background's rings, and how ties among neighbours are resolved: see `locenc_csp.concentric`.

    References
    ----------
    Wu et al. 2024, "TorchSpatial: a location encoding framework and benchmark for spatial representation learning",
    NeurIPS.

    Examples
    --------
    >>> grid = [(lon / 10, lat / 10) for lon in range(6) for lat in range(6)]
    >>> east_is_better = [2 if lon > 0.25 else 1 for lon, lat in grid]
    >>> chessboard = [1 + round(10 * lon + 10 * lat) % 2 for lon, lat in grid]
    >>> [round(self_information(grid, values).score, 1) for values in (None, east_is_better, chessboard)]
    [24.2, 30.7, 17.7]
    """
    from locenc_csp import concentric

    places, radius = make_places(lonlat), radians(radius_km)
    marks = np.ones(len(places.vectors)) if values is None else check_values(values, len(places.vectors))
    if (zero := marks == 0).any():
        raise ValueError(
            f"values must not be 0, which is the background's, but row {int(zero.argmax())} has 0: "
            "count a miss as 1 and a hit as 2"
        )
    near, near_chord = _near(places)
    levels, codes = np.unique(marks, return_inverse=True)

    def score(batch: Batch) -> Floats:
        count = np.diff(batch.splits)
        layouts = [concentric.ring_layout(int(one), radius) for one in count]
        spacings, rings = np.array([layout[0] for layout in layouts]), np.array([layout[1] for layout in layouts])
        starts = concentric.ring_starts(int(rings.max()))
        sums = concentric.moran_sums(
            local_coordinates(places, batch),
            batch.members,
            batch.splits,
            marks,
            near,
            near_chord,
            radius,
            spacings,
            rings.astype(np.int64),
            starts,
        )
        background = starts[rings + 1] - 1
        owner = np.repeat(np.arange(len(count)), count)
        counts = cross(owner, codes[batch.members], (len(count), len(levels)))
        mean = counts @ levels / (count + background)
        return surprise(sums[:, 0] - mean * sums[:, 1], *shuffled(levels, counts, background))

    return mean_over(neighbourhoods(places, radius, centres=centres, max_neighbours=max_neighbours), score)


def shuffled(levels: Floats, counts: Rows, background: Rows) -> tuple[Floats, Floats]:
    """Mean and standard deviation of Moran's numerator where values are shuffled: μ and σ of `self_information`.

    Parameters
    ----------
    levels : ndarray
        (K,) distinct values, without the background's 0.
    counts : ndarray
        int (C, K): how many places of each neighbourhood have each.
    background : ndarray
        int (C,): background points of each neighbourhood, more than places.

    Returns
    -------
    tuple of ndarray
        float64 (C,) each.
    """
    means, deviations = np.empty(len(counts)), np.empty(len(counts))
    for i, (row, rest) in enumerate(zip(counts, background, strict=True)):
        present = row > 0
        c, n = levels[present], row[present].astype(np.float64)
        total = n.sum() + rest
        x = n @ c / total
        # Σ_j n_j (c_j - x̄) = 0 over all values leaves the diagonal of m_ij alone
        all_n, away = np.append(n, rest), np.append(c, 0.0) - x
        means[i] = -(away**2 * (4 * all_n / total + 1)).sum()
        away = away[:-1]
        q = away[:, None] * away + 2 * away[:, None] * x + x**2
        share = 4 * np.maximum(n[:, None], n) / total
        s = np.minimum(n[:, None], n) * share * (1 - share)
        np.fill_diagonal(q, c**2)
        np.fill_diagonal(s, 2 * (n - 1) * 4 * n / total * (1 - 4 * (2 * n - 1) / (3 * total)))
        deviations[i] = 1 + np.sqrt((q**2 * s).sum())
    return means, deviations


def surprise(value: Floats, mean: Floats, deviation: Floats) -> Floats:
    """-ln of the two-sided probability 2 Φ(-|value - mean| / deviation), exact however small that is."""
    tail = torch.special.log_ndtr(torch.from_numpy(-np.abs(value - mean) / deviation))
    nats: Floats = -(tail.numpy() + np.log(2))
    return nats


def _near(places: Places) -> tuple[Rows, Floats]:
    """Return the nearest other places of each place, (N, M), and how far they are, as straight lines."""
    tree = require("sklearn.neighbors", extra="csp").KDTree(places.vectors)
    count = min(NEAR + 1, len(places.vectors))
    distance, rows = tree.query(places.vectors, k=count)
    own = rows == np.arange(len(rows))[:, None]
    own[~own.any(1), -1] = True  # hidden behind others at the same place
    shape = (len(rows), count - 1)
    rows, distance = rows[~own].reshape(shape), distance[~own].reshape(shape)
    if count == len(places.vectors):  # all there are: a last one says so
        rows, distance = np.pad(rows, ((0, 0), (0, 1))), np.pad(distance, ((0, 0), (0, 1)), constant_values=np.inf)
    return rows.astype(np.int64), distance
