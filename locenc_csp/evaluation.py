"""P(class | image) times P(class | location), with weights chosen on validation rows.

Probabilities are arrays (N, K): NumPy, or tensors on the CPU. Labels are integers in 0 .. K-1; a row without a label
is left out by the caller. Rows are worked on in blocks, so beside arrays and results little memory is used.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import and_more, check_number
from locenc_csp._matrices import as_matrix, blocks
from locenc_csp.ranking import ranks, scores_of_ranks

__all__ = ["WEIGHTS", "Weights", "best_weights", "choose_weights", "multiply_prior", "ranks_by_weights"]

Floats = NDArray[np.floating[Any]]

TOLERANCE = 1e-3
"""How far a probability may pass 1: softmax in half precision does."""


class Weights(NamedTuple):
    """Exponents of the two branches, as `multiply_prior` takes them: ``multiply_prior(i, x, **w._asdict())``."""

    image_weight: float
    location_weight: float


WEIGHTS = tuple(
    Weights(*pair) for pair in [(1.0, 1.0), (0.5, 1.0), (1.0, 0.5), (0.25, 1.0), (1.0, 0.25), (0.0, 1.0), (1.0, 0.0)]
)
"""What `choose_weights` tries, the plain product first, the single branches last."""


def multiply_prior(
    image_probs: ArrayLike,
    location_probs: ArrayLike,
    *,
    has_location: ArrayLike | None = None,
    image_weight: float = 1.0,
    location_weight: float = 1.0,
) -> Floats:
    """Combine the branches: P(y | image)^a · P(y | location)^b, each row normalised to sum 1.

    Parameters
    ----------
    image_probs, location_probs : array_like (N, K)
        Probabilities of the same classes in the same order. Rows of ``location_probs`` need not sum to 1 (a presence
        head's do not).
    has_location : array_like (N,) of bool, optional
        False where the location is missing; those rows of ``location_probs`` are not looked at. Default: all True.
    image_weight, location_weight : float
        a and b, >= 0, not both 0. At 0 the branch is left out.

    Returns
    -------
    array (N, K)
        float64, or float32 where both inputs are. A row without a location is the image's alone, and so is a row in
        which the product is 0 for every class (the branches exclude each other).

    Raises
    ------
    ValueError
        For shapes that do not match, a NaN, a negative value or one above 1, an image row that is 0 everywhere, or
        weights out of range.

    Notes
    -----
    Mac Aodha, Cole & Perona 2019, ICCV: with a uniform prior over classes and image and location independent given
    the class, P(y | image, location) is proportional to the product.

    Examples
    --------
    >>> multiply_prior([[0.5, 0.3, 0.2]], [[0.1, 0.8, 0.1]]).round(3)
    array([[0.161, 0.774, 0.065]])
    """
    image = as_matrix("image_probs", image_probs)
    location = as_matrix("location_probs", location_probs)
    if image.shape != location.shape:
        raise ValueError(
            f"image_probs and location_probs must have the same rows and classes, got {image.shape} and "
            f"{location.shape}"
        )
    known = np.ones(len(image), bool) if has_location is None else np.asarray(has_location)
    if known.dtype != np.bool_ or known.shape != image.shape[:1]:
        raise ValueError(f"has_location must be bool of shape ({len(image)},), got {known.dtype} {known.shape}")
    image_weight = check_number("image_weight", image_weight)
    location_weight = check_number("location_weight", location_weight)
    for name, value in (("image_weight", image_weight), ("location_weight", location_weight)):
        if not 0 <= value < np.inf:
            raise ValueError(f"{name} must be finite and >= 0, got {value!r}")
    if image_weight == 0 and location_weight == 0:
        raise ValueError("image_weight and location_weight are both 0: nothing is left of the product")
    _check_probabilities("image_probs", image, np.ones(len(image), bool))
    _check_probabilities("location_probs", location, known)
    empty = ~image.any(1)
    if empty.any():
        raise ValueError(f"image_probs is 0 for every class in row {int(empty.argmax())}: it cannot be normalised")

    result = np.empty(image.shape, np.result_type(image, location))
    for block in blocks(*image.shape):
        result[block] = _product(image[block], location[block], known[block], image_weight, location_weight)
    return result


def _product(
    image: Floats, location: Floats, known: NDArray[np.bool_], image_weight: float, location_weight: float
) -> Floats:
    """The product of checked rows."""
    result: Floats = image / image.sum(1, keepdims=True, dtype=np.result_type(image, location))
    logs = np.zeros_like(result[known])
    with np.errstate(divide="ignore"):  # log 0 is -inf, as meant
        if image_weight > 0:
            logs += image_weight * np.log(image[known])
        if location_weight > 0:
            logs += location_weight * np.log(location[known])
    best = logs.max(1, initial=-np.inf)
    possible = np.isfinite(best)
    product = np.exp(logs[possible] - best[possible, None])
    result[np.flatnonzero(known)[possible]] = product / product.sum(1, keepdims=True)
    return result


def choose_weights(
    image_probs: ArrayLike, location_probs: ArrayLike, labels: ArrayLike, *, has_location: ArrayLike | None = None
) -> Weights:
    """Choose the weights of `multiply_prior` on validation rows.

    The branches share evidence, so the plain product can be worse than one of them. This tries `WEIGHTS`, from the
    image alone to the location alone, and takes the best top-1; of equals the best MRR, then the one nearest to the
    plain product.

    Parameters
    ----------
    image_probs, location_probs : array_like (N, K)
        Probabilities on the validation rows.
    labels : array_like (N,) of int
        Their true classes.
    has_location : array_like (N,) of bool, optional
        As in `multiply_prior`.

    Returns
    -------
    Weights
        ``multiply_prior(image, location, **weights._asdict())`` applies them.

    Raises
    ------
    ValueError, TypeError
        As `multiply_prior` and `scores`.
    """
    return best_weights(ranks_by_weights(image_probs, location_probs, labels, has_location=has_location))


def ranks_by_weights(
    image_probs: ArrayLike, location_probs: ArrayLike, labels: ArrayLike, *, has_location: ArrayLike | None = None
) -> NDArray[np.int64]:
    """Rank of each row's true class under each of `WEIGHTS`: int64 (number of weights, N); input as `choose_weights`.

    Ranks of several blocks of rows, side by side, are those of all rows.
    """
    known = None if has_location is None else np.asarray(has_location)
    return np.stack(
        [
            ranks(multiply_prior(image_probs, location_probs, has_location=known, **weights._asdict()), labels)
            for weights in WEIGHTS
        ]
    )


def best_weights(rank: NDArray[np.int64]) -> Weights:
    """Choose from the ranks of `ranks_by_weights`, as `choose_weights` does."""
    found = dict(zip(WEIGHTS, map(scores_of_ranks, rank), strict=True))
    return max(WEIGHTS, key=lambda weights: (found[weights].top1, found[weights].mrr))


def _check_probabilities(name: str, matrix: Floats, rows: NDArray[np.bool_]) -> None:
    bad = np.zeros(len(matrix), bool)
    for block in blocks(*matrix.shape):
        with np.errstate(invalid="ignore"):
            bad[block] = ~((matrix[block] >= 0) & (matrix[block] <= 1 + TOLERANCE)).all(1)
    bad &= rows
    if bad.any():
        row = int(bad.argmax())
        values = matrix[row]
        column = int((~((values >= 0) & (values <= 1 + TOLERANCE))).argmax())
        hint = "; a row without a location is marked by has_location" if name == "location_probs" else ""
        raise ValueError(
            f"{name} must lie in [0, 1], but row {row} has {values[column]} for class {column}"
            f"{and_more(int(bad.sum()))}{hint}"
        )
