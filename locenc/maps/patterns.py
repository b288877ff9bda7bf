"""What an embedding groups together: principal components, clusters, and how far clusters agree with known classes.

All statistics weigh each row by the area that it stands for.
"""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]

#: K-means of more rows is fitted to a sample of them.
_MOST_ROWS, _SAMPLE = 65_536, 16_384
_NOISE = 1e-5  # spread of a component of unit rows below which it is float32 rounding


def principal_channels(embedding: NDArray[np.float32], area: Floats) -> tuple[Floats, Floats]:
    """First three principal components, each spread evenly over [0, 1].

    Parameters
    ----------
    embedding : ndarray
        float32 (N, d).
    area : ndarray
        (N,) weights that sum to one.

    Returns
    -------
    channels : ndarray
        (N, 3): equal shares of area have values in intervals of equal length. A component without variation is 0.5.
    shares : ndarray
        (3,) share of the total variance in each component.
    """
    centred = embedding - (area @ embedding).astype(np.float32)
    weighted = centred * np.sqrt(area, dtype=np.float32)[:, None]
    variance, axes = np.linalg.eigh((weighted.T @ weighted).astype(np.float64))
    variance, axes = variance[::-1].clip(0), axes[:, ::-1]
    if len(embedding) > _MOST_ROWS:
        axes = axes.astype(np.float32)  # a product with float64 would copy all rows
    channels, shares = np.full((len(embedding), 3), 0.5), np.zeros(3)
    for i in range(min(3, len(variance))):
        if np.sqrt(variance[i]) > _NOISE:
            channels[:, i] = _equalised(centred @ axes[:, i], area)
            shares[i] = variance[i] / variance.sum()
    return channels, shares


def turn_channels(channels: Floats, lat: Floats, area: Floats) -> Floats:
    """Turn (N, 3) channels (1 - x for x) so that red falls, and green and blue rise, with (N,) latitude."""
    covariance = ((lat - area @ lat) * area) @ channels * [-1, 1, 1]
    return np.where(covariance < 0, 1 - channels, channels)


def match_channels(channels: Floats, target: Floats, area: Floats) -> tuple[Floats, list[int]]:
    """Order and turn channels so that they resemble others as far as possible.

    Parameters
    ----------
    channels, target : ndarray
        (N, 3) in [0, 1].
    area : ndarray
        (N,) weights that sum to one.

    Returns
    -------
    channels : ndarray
        (N, 3): the given ones in the order of largest summed absolute covariance with ``target``, each turned
        (1 - x for x) where its covariance is negative.
    order : list of int
        Which of the given channels went where.
    """
    covariance = (channels * area[:, None]).T @ (target - area @ target)
    kept = [0, 1, 2]
    order = max(map(list, permutations(kept)), key=lambda order: float(np.abs(covariance[order, kept]).sum()))
    return np.where(covariance[order, kept] < 0, 1 - channels[:, order], channels[:, order]), order


def clusters(embedding: NDArray[np.float32], area: Floats, num_clusters: int, seed: int) -> Codes:
    """K-means clusters, 0 the largest by area; one thread, so that sums have one order and runs repeat.

    Of more than 65,536 rows 16,384 are drawn by area, without replacement, and give the centres; all rows go to the
    nearest of them.
    """
    cluster = require("sklearn.cluster", extra="geo")
    with require("threadpoolctl", extra="geo").threadpool_limits(1):
        kmeans = cluster.KMeans(num_clusters, n_init=4, random_state=seed)
        if len(embedding) <= _MOST_ROWS:
            found = kmeans.fit_predict(embedding, sample_weight=area * len(area)).astype(np.int64)
        else:
            sample = np.random.default_rng(seed).choice(len(area), _SAMPLE, replace=False, p=area / area.sum())
            found = kmeans.fit(embedding[np.sort(sample)]).predict(embedding).astype(np.int64)
    by_area = np.argsort(-area_by_code(found, area, num_clusters), kind="stable")
    numbers: Codes = np.argsort(by_area)[found]
    return numbers


def match_clusters(labels: Codes, target: Codes, area: Floats, num_clusters: int) -> Codes:
    """Renumber clusters one to one so that the area with equal numbers in both is largest."""
    overlap = _shared_area(labels, target, area, (num_clusters, num_clusters))
    _, numbers = require("scipy.optimize", extra="geo").linear_sum_assignment(overlap, maximize=True)
    matched: Codes = numbers[labels]
    return matched


def area_by_code(codes: Codes, area: Floats, num_codes: int) -> Floats:
    """Summed (N,) area of each of the codes 0 to num_codes - 1."""
    return np.bincount(codes, area, num_codes).astype(np.float64)


def mutual_information(labels: Codes, classes: Codes, area: Floats) -> float:
    """Normalised mutual information of two partitions, weighted by area.

    Parameters
    ----------
    labels, classes : ndarray
        (N,) integer codes; those of the labels are small and not negative.
    area : ndarray
        (N,) weights.

    Returns
    -------
    float
        2 I(labels; classes) / (H(labels) + H(classes)), from 0 (independent) to 1 (the same partition). 1 where
        both have a single part.
    """
    present, classes = np.unique(classes, return_inverse=True)
    joint = _shared_area(labels, classes, area, (int(labels.max()) + 1, len(present))) / area.sum()
    parts = _entropy(joint.sum(1)) + _entropy(joint.sum(0))
    return 2 * (parts - _entropy(joint.ravel())) / parts if parts > 0 else 1.0


def _equalised(values: NDArray[np.float32], area: Floats) -> Floats:
    """Weighted distribution function of the values, straight within each of 1024 intervals (so noise stays small)."""
    mass, edges = np.histogram(values, bins=1024, weights=area)
    heights: Floats = np.interp(values, edges, np.concatenate([[0.0], np.cumsum(mass)])) / mass.sum()
    return heights


def _shared_area(labels: Codes, classes: Codes, area: Floats, shape: tuple[int, int]) -> Floats:
    return area_by_code(labels * shape[1] + classes, area, shape[0] * shape[1]).reshape(shape)


def _entropy(shares: Floats) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())
