"""P(class | image) times P(class | location), and how good it is: top-k and mean reciprocal rank.

Probabilities are arrays (N, K): NumPy, or tensors on the CPU. Labels are integers in 0 .. K-1; a row without a label
is left out by the caller.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._names import and_more

__all__ = ["WEIGHTS", "Scores", "Weights", "check_labels", "choose_weights", "multiply_prior", "scores"]

Floats = NDArray[np.floating[Any]]

TOLERANCE = 1e-3
"""How far a probability may pass 1: softmax in half precision does."""


@dataclass(frozen=True)
class Scores:
    """Fractions in [0, 1]: the true class among the 1, 3, 5 best, mean reciprocal rank; and the number of rows."""

    top1: float
    top3: float
    top5: float
    mrr: float
    count: int


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
    image = _as_matrix("image_probs", image_probs)
    location = _as_matrix("location_probs", location_probs)
    if image.shape != location.shape:
        raise ValueError(
            f"image_probs and location_probs must have the same rows and classes, got {image.shape} and "
            f"{location.shape}"
        )
    known = np.ones(len(image), bool) if has_location is None else np.asarray(has_location)
    if known.dtype != np.bool_ or known.shape != image.shape[:1]:
        raise ValueError(f"has_location must be bool of shape ({len(image)},), got {known.dtype} {known.shape}")
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


def scores(probs: ArrayLike, labels: ArrayLike) -> Scores:
    """Top-1, 3, 5 accuracy and mean reciprocal rank.

    Parameters
    ----------
    probs : array_like (N, K)
        Any score per class, higher is better; probabilities or not.
    labels : array_like (N,) of int
        True classes, 0 .. K-1.

    Returns
    -------
    Scores
        Ties count against the prediction: the true class ranks behind every class with the same score. So a
        constant prediction has top-1 0, and the order of the classes does not matter. With k classes or fewer top-k
        is 1.

    Raises
    ------
    ValueError, TypeError
        For shapes that do not match, no rows, NaN, or labels that are not integers in range.

    Examples
    --------
    >>> scores([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], [0, 1])
    Scores(top1=0.5, top3=1.0, top5=1.0, mrr=0.6666666666666666, count=2)
    """
    matrix = _as_matrix("probs", probs)
    codes = check_labels(labels, *matrix.shape)
    bad = np.isnan(matrix).any(1)
    if bad.any():
        raise ValueError(f"probs has NaN in row {int(bad.argmax())}")
    own = matrix[np.arange(len(codes)), codes]
    rank = (matrix >= own[:, None]).sum(1)
    top1, top3, top5 = (float((rank <= k).mean()) for k in (1, 3, 5))
    return Scores(top1, top3, top5, float((1 / rank).mean()), len(codes))


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

    def quality(weights: Weights) -> tuple[float, float]:
        combined = multiply_prior(image_probs, location_probs, has_location=has_location, **weights._asdict())
        result = scores(combined, labels)
        return result.top1, result.mrr

    return max(WEIGHTS, key=quality)


def check_labels(labels: ArrayLike, num_rows: int, num_classes: int | None = None) -> NDArray[np.int64]:
    """Check class numbers: one per row, integers >= 0, and below ``num_classes`` if it is given.

    Raises
    ------
    TypeError
        If they are not integers.
    ValueError
        For another number of rows, no rows, or a label out of range; the first bad row is named.
    """
    codes = np.asarray(labels)
    if codes.shape != (num_rows,) or num_rows == 0:
        raise ValueError(f"labels must be one per row, at least one: got shape {codes.shape} for {num_rows} rows")
    if codes.dtype.kind not in "iu":
        raise TypeError(f"labels must be integer class numbers, got {codes.dtype}")
    bad = codes < 0 if num_classes is None else (codes < 0) | (codes >= num_classes)
    if bad.any():
        row = int(bad.argmax())
        bound = ">= 0" if num_classes is None else f"in 0 .. {num_classes - 1}"
        raise ValueError(
            f"labels must be {bound}, but row {row} has {codes[row]}{and_more(int(bad.sum()))}; "
            "-1 means a missing label: leave such rows out"
        )
    checked: NDArray[np.int64] = codes.astype(np.int64, copy=False)
    return checked


def _as_matrix(name: str, values: ArrayLike) -> Floats:
    matrix = np.asarray(values)
    if matrix.ndim != 2 or matrix.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be numbers of shape (N, K), got {matrix.dtype} {matrix.shape}")
    wide: Floats = matrix if matrix.dtype == np.float32 else matrix.astype(np.float64, copy=False)
    return wide


def _check_probabilities(name: str, matrix: Floats, rows: NDArray[np.bool_]) -> None:
    with np.errstate(invalid="ignore"):
        bad = rows & ~((matrix >= 0) & (matrix <= 1 + TOLERANCE)).all(1)
    if bad.any():
        row = int(bad.argmax())
        values = matrix[row]
        column = int((~((values >= 0) & (values <= 1 + TOLERANCE))).argmax())
        hint = "; a row without a location is marked by has_location" if name == "location_probs" else ""
        raise ValueError(
            f"{name} must lie in [0, 1], but row {row} has {values[column]} for class {column}"
            f"{and_more(int(bad.sum()))}{hint}"
        )
