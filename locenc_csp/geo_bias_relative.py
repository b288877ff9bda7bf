"""Geo-bias, second score: how far a model's performance in parts of a neighbourhood differs from all of it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from locenc._names import and_more, check_count, check_number
from locenc_csp._sphere import EARTH_RADIUS_KM
from locenc_csp.geo_bias import Floats, GeoBias, Rows, check_values, cross, mean_over
from locenc_csp.neighbourhoods import (
    CENTRES,
    SLACK,
    Batch,
    local_coordinates,
    make_places,
    neighbourhoods,
    radians,
)

__all__ = ["relative_information"]

SMOOTHING = 1e-8
MOST_COUNTS = 4_000_000
"""Counts by neighbourhood, part and bin that are held at once."""


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
        As `locenc_csp.self_information`.

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
    marks = check_values(values, len(places.vectors))
    check_count("min_places", min_places)
    part_of, num_parts = _partition(radius, cell_km, ring_km, num_sectors)
    codes, num_bins = _bin_values(marks, bins)
    if num_parts * num_bins > MOST_COUNTS:
        raise ValueError(
            f"{num_parts:,} parts with {num_bins:,} bins are more than {MOST_COUNTS:,} counts for each neighbourhood; "
            "take fewer of either"
        )

    def score(batch: Batch) -> Floats:
        owner = np.repeat(np.arange(len(batch.centres)), np.diff(batch.splits))
        part = owner * num_parts + part_of(local_coordinates(places, batch))
        shape = (len(batch.centres), num_parts, num_bins)
        counts = cross(part, codes[batch.members], (shape[0] * num_parts, num_bins)).reshape(shape)
        whole, size = counts.sum(1), counts.sum(2)
        p_all = (whole / whole.sum(1, keepdims=True))[:, None]
        p_part = counts / np.maximum(size, 1)[..., None] + SMOOTHING
        divergence = (p_all * np.log(np.where(p_all > 0, p_all, 1) / p_part)).sum(2)
        weight = np.where(size >= min_places, size, 0)
        total = weight.sum(1)
        return np.where(total > 0, (weight * divergence).sum(1) / np.maximum(total, 1), np.nan)

    at_once = max(1, min(CENTRES, MOST_COUNTS // (num_parts * num_bins)))
    batches = neighbourhoods(places, radius, centres=centres, max_neighbours=max_neighbours, at_once=at_once)
    return mean_over(batches, score)


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
    if not 0 < check_number(name, size) < np.inf:
        raise ValueError(f"{name} must be positive and finite, got {size!r}")
    width = size / EARTH_RADIUS_KM
    steps_out = int(radius / width) + 2
    parts = {"cell_km": 4 * steps_out**2, "ring_km": steps_out, "num_sectors": count}[name]
    if parts > MOST_COUNTS:
        raise ValueError(
            f"{name}={size!r} cuts a neighbourhood into {parts:,} parts, more than {MOST_COUNTS:,}; take fewer"
        )

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

    return {"cell_km": cells, "ring_km": rings, "num_sectors": sectors}[name], parts


def _bin_values(values: Floats, bins: int | ArrayLike) -> tuple[Rows, int]:
    """Bin of each value, and the number of bins; the last bin holds its upper edge."""
    if np.ndim(bins) == 0:
        edges = np.histogram_bin_edges(values, check_count("bins", bins, most=MOST_COUNTS))
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
