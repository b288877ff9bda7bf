"""Geo-bias: whether a model does better in some places than in others.

Two scores of a model's performance at places. Self-information says how surprising the arrangement of values in a
neighbourhood is; relative information, how far the values of its parts differ from those of the whole. Every place is
the centre of a neighbourhood; a score is the mean over all neighbourhoods, weighted by their number of places. The
order of the places does not matter, nor does the antimeridian; a pole matters in that it says where north is.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc._names import and_more, check_count
from locenc_csp._sphere import EARTH_RADIUS_KM
from locenc_csp.neighbourhoods import (
    CENTRES,
    SLACK,
    Batch,
    Places,
    local_coordinates,
    make_places,
    neighbourhoods,
    radians,
)

__all__ = ["GeoBias", "relative_information", "self_information"]

NEAR = 16
"""Neighbours of each place that are looked up once, for all neighbourhoods."""
SMOOTHING = 1e-8
MOST_COUNTS = 4_000_000
"""Counts by neighbourhood, part and bin that are held at once."""

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
    marks = np.ones(len(places.vectors)) if values is None else _check_values(values, len(places.vectors))
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
        counts = _cross(owner, codes[batch.members], (len(count), len(levels)))
        mean = counts @ levels / (count + background)
        return surprise(sums[:, 0] - mean * sums[:, 1], *shuffled(levels, counts, background))

    return _mean_over(neighbourhoods(places, radius, centres=centres, max_neighbours=max_neighbours), score)


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


def relative_information(
    lonlat: ArrayLike,
    values: ArrayLike,
    *,
    radius_km: float,
    cell_km: float | None = None,
    ring_km: float | None = None,
    num_sectors: int | None = None,
    min_places: int = 20,
    bins: int | ArrayLike = 10,
    centres: ArrayLike | None = None,
    max_neighbours: int | None = None,
) -> GeoBias:
    """Spatial relative information (SRI): how far performance in parts of a neighbourhood differs from all of it.

    SRI = Σ_part (n_part / Σ n_part) KL(P_all ‖ P_part + 1e-8), in nats, over the parts with at least ``min_places``
    places. P are histograms of the values over the same bins, P_all that of the whole neighbourhood.

    Parameters
    ----------
    lonlat : array_like (N, 2)
        (longitude, latitude) in degrees.
    values : array_like (N,)
        Performance at each place, such as 0 for a miss and 1 for a hit.
    radius_km : float
        Of a neighbourhood, up to a quarter of the globe.
    cell_km, ring_km, num_sectors
        Exactly one of them says what the parts are. Square cells of so many km in the centre's azimuthal equidistant
        projection, four of which meet at the centre, their edges running north and east. Rings of such a width.
        So many sectors of equal angle, the first one clockwise from north. A place on a bound is in the part that lies
        east, north, outward or clockwise of it; the centre itself in the first sector.
    min_places : int
        Smaller parts are left out.
    bins : int or array_like
        Number of equal bins from the smallest to the largest of all values, or their edges.
    centres, max_neighbours
        As `self_information`.

    Returns
    -------
    GeoBias
        ``local`` is NaN where no part has enough places.

    Raises
    ------
    TypeError, ValueError
        For bad coordinates, values that are not (N,) finite numbers or lie outside the edges, or settings out of range.
    ImportError
        If scikit-learn is not installed.

    References
    ----------
    Wang et al. 2025, "GeoBS: information-theoretic quantification of geographic bias in AI models".

    Examples
    --------
    >>> grid = [(lon / 10, lat / 10) for lon in range(10) for lat in range(10)]
    >>> east_is_better = [lon > 0.45 for lon, lat in grid]
    >>> chessboard = [round(10 * lon + 10 * lat) % 2 for lon, lat in grid]
    >>> for values in (east_is_better, chessboard):
    ...     score = relative_information(grid, values, radius_km=200, num_sectors=2).score
    ...     print(round(score, 3))
    1.949
    0.0
    """
    places, radius = make_places(lonlat), radians(radius_km)
    marks = _check_values(values, len(places.vectors))
    check_count("min_places", min_places)
    part_of, num_parts = _partition(radius, cell_km, ring_km, num_sectors)
    codes, num_bins = _bin_values(marks, bins)

    def score(batch: Batch) -> Floats:
        owner = np.repeat(np.arange(len(batch.centres)), np.diff(batch.splits))
        part = owner * num_parts + part_of(local_coordinates(places, batch))
        shape = (len(batch.centres), num_parts, num_bins)
        counts = _cross(part, codes[batch.members], (shape[0] * num_parts, num_bins)).reshape(shape)
        whole, size = counts.sum(1), counts.sum(2)
        p_all = (whole / whole.sum(1, keepdims=True))[:, None]
        p_part = counts / np.maximum(size, 1)[..., None] + SMOOTHING
        divergence = (p_all * np.log(np.where(p_all > 0, p_all, 1) / p_part)).sum(2)
        weight = np.where(size >= min_places, size, 0)
        total = weight.sum(1)
        return np.where(total > 0, (weight * divergence).sum(1) / np.maximum(total, 1), np.nan)

    at_once = max(1, min(CENTRES, MOST_COUNTS // (num_parts * num_bins)))
    batches = neighbourhoods(places, radius, centres=centres, max_neighbours=max_neighbours, at_once=at_once)
    return _mean_over(batches, score)


def _partition(
    radius: float, cell_km: float | None, ring_km: float | None, num_sectors: int | None
) -> tuple[Callable[[Floats], Rows], int]:
    """Make a function from local coordinates (P, 3) to numbers of parts (P,), and say how many parts there can be."""
    given = {"cell_km": cell_km, "ring_km": ring_km, "num_sectors": num_sectors}
    named = {name: value for name, value in given.items() if value is not None}
    if len(named) != 1:
        raise ValueError(f"give exactly one of {', '.join(given)}; got {' and '.join(named) or 'none'}")
    ((name, size),) = named.items()
    count = check_count(name, size) if name == "num_sectors" else 1
    if not 0 < size < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {size!r}")
    width = size / EARTH_RADIUS_KM
    steps_out = int(radius / width) + 2
    if name == "cell_km" and 4 * steps_out**2 > MOST_COUNTS:
        raise ValueError(f"cell_km must be at least a thousandth of the radius, or about that, got {size!r}")

    def polar(local: Floats) -> tuple[Floats, Floats]:
        flat = np.hypot(local[:, 0], local[:, 1])
        azimuth: Floats = np.where(flat > SLACK * radius, np.arctan2(local[:, 0], local[:, 1]), 0.0)
        return np.arctan2(flat, local[:, 2]), azimuth

    def steps(length: Floats) -> Rows:
        return np.floor(length + SLACK).astype(np.int64)

    def cells(local: Floats) -> Rows:
        angle, azimuth = polar(local)
        east, north = (steps(angle * turn(azimuth) / width) + steps_out for turn in (np.sin, np.cos))
        return east * 2 * steps_out + north

    def rings(local: Floats) -> Rows:
        return steps(polar(local)[0] / width)

    def sectors(local: Floats) -> Rows:
        return steps(polar(local)[1] / (2 * np.pi) * count) % count

    return {
        "cell_km": (cells, 4 * steps_out**2),
        "ring_km": (rings, steps_out),
        "num_sectors": (sectors, count),
    }[name]


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


def _check_values(values: ArrayLike, count: int) -> Floats:
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


def _bin_values(values: Floats, bins: int | ArrayLike) -> tuple[Rows, int]:
    """Bin of each value, and the number of bins; the last bin holds its upper edge."""
    if np.ndim(bins) == 0:
        edges = np.histogram_bin_edges(values, check_count("bins", bins))
    else:
        edges = np.asarray(bins, np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise ValueError(f"bins must be a number, or two or more rising edges, got {bins!r}")
    outside = (values < edges[0]) | (values > edges[-1])
    if outside.any():
        row = int(outside.argmax())
        raise ValueError(
            f"values must lie within the bins, {edges[0]:g} to {edges[-1]:g}, but row {row} has {values[row]:g}"
            f"{and_more(int(outside.sum()))}"
        )
    codes = np.searchsorted(edges, values, side="right") - 1
    return np.minimum(codes, len(edges) - 2), len(edges) - 1


def _cross(rows: Rows, columns: Rows, shape: tuple[int, int]) -> Rows:
    """How often each row goes with each column."""
    counted: Rows = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return counted


def _mean_over(batches: Iterator[Batch], score: Callable[[Batch], Floats]) -> GeoBias:
    scored = [(score(batch), np.diff(batch.splits)) for batch in batches]
    local = np.concatenate([np.empty(0), *(one for one, _ in scored)])
    weights = np.concatenate([np.empty(0, np.int64), *(one for _, one in scored)])
    known = ~np.isnan(local)
    mean = float(np.average(local[known], weights=weights[known])) if known.any() else float("nan")
    return GeoBias(mean, local, weights)
