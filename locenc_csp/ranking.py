"""How good a ranking of classes is: top-k, mean reciprocal rank, and accuracy class by class.

Rows are worked on in blocks, so beside the array of a number for each row and class little memory is used.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import check_count
from locenc_csp._matrices import as_matrix, blocks, check_labels
from locenc_csp._tensors import as_array

__all__ = ["ClassScores", "Scores", "class_scores", "ranks", "scores", "scores_of_ranks"]


@dataclass(frozen=True)
class Scores:
    """Fractions in [0, 1]: the true class among the 1, 3, 5, 10 best, mean reciprocal rank; and the number of rows."""

    top1: float
    top3: float
    top5: float
    top10: float
    mrr: float
    count: int


class ClassScores(NamedTuple):
    """Top-1 accuracy of each of K classes.

    Attributes
    ----------
    accuracy : ndarray
        float64 (K,): share of the rows of a class where it is first; NaN for a class without a row.
    num_rows : ndarray
        int64 (K,): rows of each class.
    macro : float
        Mean accuracy of the classes that have rows, each counting the same.
    """

    accuracy: NDArray[np.float64]
    num_rows: NDArray[np.int64]
    macro: float


def ranks(probs: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """Rank of each row's true class, 1 the best.

    Parameters
    ----------
    probs : array_like (N, K)
        Any score per class, higher is better; probabilities or not.
    labels : array_like (N,) of int
        True classes, 0 .. K-1.

    Returns
    -------
    ndarray
        int64 (N,). Ties count against the prediction: the true class ranks behind every class with the same score. So
        a constant prediction is never right, and the order of the classes does not matter.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not match, no rows, NaN, or labels that are not integers in range.

    Examples
    --------
    >>> ranks([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], [0, 1])
    array([1, 3])
    """
    matrix = as_matrix("probs", probs)
    codes = check_labels(labels, *matrix.shape)
    result = np.empty(len(codes), np.int64)
    for block in blocks(*matrix.shape):
        part = matrix[block]
        bad = np.isnan(part).any(1)
        if bad.any():
            raise ValueError(f"probs has NaN in row {block.start + int(bad.argmax())}")
        own = np.take_along_axis(part, codes[block, None], 1)
        result[block] = (part >= own).sum(1)
    return result


def scores(probs: ArrayLike, labels: ArrayLike) -> Scores:
    """Top-1, 3, 5, 10 accuracy and mean reciprocal rank.

    Parameters
    ----------
    probs, labels
        As `ranks`.

    Returns
    -------
    Scores
        By `ranks`: ties count against the prediction. With k classes or fewer top-k is 1.

    Raises
    ------
    ValueError, TypeError
        As `ranks`.

    Examples
    --------
    >>> scores([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], [0, 1])
    Scores(top1=0.5, top3=1.0, top5=1.0, top10=1.0, mrr=0.6666666666666666, count=2)
    """
    return scores_of_ranks(ranks(probs, labels))


def scores_of_ranks(rank: NDArray[np.int64]) -> Scores:
    """`scores` from the rank of each row's true class (N,), at least one row."""
    top1, top3, top5, top10 = (float((rank <= k).mean()) for k in (1, 3, 5, 10))
    return Scores(top1, top3, top5, top10, float((1 / rank).mean()), len(rank))


def class_scores(rank: NDArray[np.int64], labels: ArrayLike, num_classes: int) -> ClassScores:
    """Top-1 accuracy by class.

    Parameters
    ----------
    rank : ndarray (N,) of int
        Rank of each row's true class, by `ranks`.
    labels : array_like (N,) of int
        True classes, 0 .. K-1.
    num_classes : int
        K.

    Returns
    -------
    ClassScores
        Accuracy and number of rows of each class, and the macro mean.

    Raises
    ------
    ValueError, TypeError
        For labels that are no classes, or another number of them.

    Examples
    --------
    >>> class_scores(np.array([1, 2, 1]), [0, 0, 2], 3)
    ClassScores(accuracy=array([0.5, nan, 1. ]), num_rows=array([2, 0, 1]), macro=0.75)
    """
    num_classes, rank = check_count("num_classes", num_classes), as_array("rank", rank)
    if rank.ndim != 1 or rank.dtype.kind not in "iu" or (rank < 1).any():
        raise ValueError(f"rank must be whole numbers from 1, one per row, got {rank.dtype} {rank.shape}")
    codes = check_labels(labels, len(rank), num_classes)
    count = np.bincount(codes, minlength=num_classes)
    accuracy = np.full(num_classes, np.nan)
    present = count > 0
    accuracy[present] = np.bincount(codes, rank == 1, num_classes)[present] / count[present]
    return ClassScores(accuracy, count.astype(np.int64), float(accuracy[present].mean()))
