"""Splits of places into train, val, test and pool rows, and small labelled subsets; each fixed by its seed."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import check_count
from locenc.coords import as_lonlat

__all__ = ["equal_area_blocks", "label_gap_split", "random_split", "stratified_subset"]

BLOCK_DEGREES = 10
TRAIN_BLOCKS, VAL_BLOCKS = 0.6, 0.1  # the rest are test blocks
TRAIN_ROWS, VAL_ROWS = 19 / 30, 2 / 30  # of the random split; the rest are test rows


def equal_area_blocks(lonlat: ArrayLike) -> NDArray[np.int64]:
    """Number of the block that each point lies in: bands of 10 degrees of latitude, cut into blocks of like area.

    A band holds as many blocks, of equal width, as bring their area closest to that of a block of 10 by 10 degrees at
    the equator (1.2 million square km).

    Parameters
    ----------
    lonlat : array_like
        (N, 2) longitudes and latitudes in degrees.

    Returns
    -------
    ndarray
        int64 (N,), counted from the south pole, eastward from 180° W.
    """
    lon, lat = as_lonlat(lonlat).numpy().T
    edges = np.sin(np.deg2rad(np.arange(-90, 91, BLOCK_DEGREES)))
    per_band = np.rint(360 / BLOCK_DEGREES * np.diff(edges) / np.sin(np.deg2rad(BLOCK_DEGREES))).astype(np.int64)
    band = np.minimum(np.floor((lat + 90) / BLOCK_DEGREES).astype(np.int64), len(per_band) - 1)
    column = np.floor((lon + 180) % 360 / 360 * per_band[band]).astype(np.int64) % per_band[band]
    blocks: NDArray[np.int64] = (np.cumsum(per_band) - per_band)[band] + column
    return blocks


def label_gap_split(lonlat: ArrayLike, seed: int) -> NDArray[np.str_]:
    """Split by blocks of about 10 degrees: labels in some parts of the world, images without labels everywhere.

    60 % of the blocks that hold points are for training, 10 % for validation, 30 % for testing. Of the points in test
    blocks, half are test rows; the other half may be used without labels (``pool``). So test rows are never seen in
    pre-training, but their surroundings are.

    Parameters
    ----------
    lonlat : array_like
        (N, 2) longitudes and latitudes in degrees.
    seed : int
        Decides which blocks, and which points of the test blocks.

    Returns
    -------
    ndarray
        str (N,): ``train``, ``val``, ``test`` or ``pool``.

    Raises
    ------
    ValueError
        For a negative seed.
    """
    check_count("seed", seed, least=0)
    rng = np.random.default_rng(seed)
    blocks, block_of = np.unique(equal_area_blocks(lonlat), return_inverse=True)
    roles = np.full(len(blocks), "test", dtype="<U5")
    order = rng.permutation(len(blocks))
    end_train = round(TRAIN_BLOCKS * len(blocks))
    end_val = end_train + round(VAL_BLOCKS * len(blocks))
    roles[order[:end_train]] = "train"
    roles[order[end_train:end_val]] = "val"
    split = roles[block_of]
    in_test = np.flatnonzero(split == "test")
    split[rng.permutation(in_test)[: len(in_test) // 2]] = "pool"
    return split


def random_split(count: int, seed: int) -> NDArray[np.str_]:
    """Split rows at random: 19/30 for training, 2/30 for validation, 9/30 for testing.

    Parameters
    ----------
    count : int
        Number of rows.
    seed : int
        Decides which.

    Returns
    -------
    ndarray
        str (count,): ``train``, ``val`` or ``test``.

    Raises
    ------
    ValueError
        For a negative count or seed.
    """
    check_count("count", count, least=0)
    check_count("seed", seed, least=0)
    order = np.random.default_rng(seed).permutation(count)
    split = np.full(count, "test", dtype="<U5")
    end_train = round(TRAIN_ROWS * count)
    split[order[:end_train]] = "train"
    split[order[end_train : end_train + round(VAL_ROWS * count)]] = "val"
    return split


def stratified_subset(codes: ArrayLike, ratio: float, seed: int) -> NDArray[np.int64]:
    """Choose a share of the labelled rows, the same share of every class and at least one row of each.

    Parameters
    ----------
    codes : array_like
        int (N,) class numbers; negative where a label is missing, and such rows are never chosen.
    ratio : float
        Share of each class, in (0, 1]: a class of n rows keeps max(1, round(ratio * n)), half rounded to even.
    seed : int
        Decides which rows.

    Returns
    -------
    ndarray
        int64, sorted positions in ``codes``.

    Raises
    ------
    ValueError
        For a ratio outside (0, 1], or a negative seed.

    References
    ----------
    Mai et al. 2023, "CSP", section 4: label ratios of the few-shot experiments.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"the ratio of labels must lie in (0, 1], got {ratio}; 5 % is 0.05")
    check_count("seed", seed, least=0)
    codes = np.asarray(codes)
    rng = np.random.default_rng(seed)
    chosen = [np.empty(0, dtype=np.int64)]
    for code in np.unique(codes[codes >= 0]):
        rows = np.flatnonzero(codes == code)
        chosen.append(rng.permutation(rows)[: max(1, round(ratio * len(rows)))])
    return np.sort(np.concatenate(chosen))
