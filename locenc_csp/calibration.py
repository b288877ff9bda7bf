"""Calibration: whether a probability of 0.7 is right seven times in ten, and the temperature that makes it so.

Pure functions of probabilities (N, K) and labels (N,): arrays, or tensors on the CPU. Rows need not sum to 1 (those of
a presence head do not); every function normalises them first.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from locenc._names import check_count, check_number
from locenc_csp._matrices import as_matrix, blocks, check_labels
from locenc_csp.ranking import ranks

__all__ = [
    "Outcomes",
    "Reliability",
    "expected_calibration_error",
    "fit_temperature",
    "negative_log_likelihood",
    "outcomes",
    "reliability",
    "temper",
]

FLOOR = 1e-12
"""Share of a row's largest probability that a class has at least, in likelihoods: a 0 would be infinite evidence."""
COLDEST, HOTTEST = 0.01, 100.0

Floats = NDArray[np.floating[Any]]


class Reliability(NamedTuple):
    """A reliability table: rows with a like confidence, and how often they are right.

    Attributes
    ----------
    edges : ndarray
        (bins + 1,) bounds of the confidence, from 0 to 1; a bin holds its upper edge, the first one 0 too.
    num_rows : ndarray
        int (bins,): rows in each bin.
    confidence, accuracy : ndarray
        (bins,) mean largest probability, and share of rows where that class is the true one; NaN in an empty bin.
    """

    edges: NDArray[np.float64]
    num_rows: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The `expected_calibration_error`."""
        filled = self.num_rows > 0
        gaps = np.abs(self.accuracy[filled] - self.confidence[filled])
        return float(gaps @ self.num_rows[filled] / self.num_rows.sum())


class Outcomes(NamedTuple):
    """What calibration needs to know of N rows.

    Attributes
    ----------
    confidence : ndarray
        (N,) largest probability.
    right : ndarray
        bool (N,): whether that class is the true one; a tie counts against it.
    surprise : ndarray
        (N,) -ln P(true class), in nats.
    """

    confidence: Floats
    right: NDArray[np.bool_]
    surprise: NDArray[np.float64]

    @classmethod
    def join(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """Outcomes of the rows of all parts."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    @property
    def negative_log_likelihood(self) -> float:
        """The mean surprise."""
        return float(self.surprise.mean())

    def reliability(self, bins: int = 15) -> Reliability:
        """The table of `reliability`."""
        count = check_count("bins", bins, most=2**20)
        edges = np.linspace(0, 1, count + 1)
        rows = np.clip(np.searchsorted(edges, self.confidence, side="left") - 1, 0, count - 1)
        size = np.bincount(rows, minlength=count)
        with np.errstate(invalid="ignore"):
            mean, accuracy = (np.bincount(rows, each, count) / size for each in (self.confidence, self.right))
        return Reliability(edges, size.astype(np.int64), mean, accuracy)


def temper(probs: ArrayLike, temperature: float) -> Floats:
    """Soften (temperature above 1) or sharpen probabilities: p^(1 / temperature), each row normalised.

    Parameters
    ----------
    probs : array_like (N, K)
        Probabilities; a row must not be 0 everywhere.
    temperature : float
        Positive. It divides the logits of a softmax; 1 / temperature is the weight in `multiply_prior`.

    Returns
    -------
    ndarray (N, K)
        float64, or float32 where the input is.

    Raises
    ------
    ValueError
        For values that are no probabilities, or a temperature that is not positive and finite.

    Examples
    --------
    >>> temper([[0.2, 0.8]], 0.5).round(3)
    array([[0.059, 0.941]])
    """
    matrix = _check(probs)
    temperature = check_number("temperature", temperature)
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature!r}")
    result = np.empty_like(matrix)
    for block in blocks(*matrix.shape):
        powers = (matrix[block] / matrix[block].max(1, keepdims=True)) ** (1 / temperature)
        result[block] = powers / powers.sum(1, keepdims=True)
    return result


def fit_temperature(probs: ArrayLike, labels: ArrayLike) -> float:
    """Temperature of `temper` at which the labels are most likely.

    Parameters
    ----------
    probs : array_like (N, K)
        Probabilities of validation rows: other rows than those that are scored.
    labels : array_like (N,) of int
        Their true classes.

    Returns
    -------
    float
        From 0.01 to 100: a bound where the rows ask for more, as perfectly predicted ones do.

    Raises
    ------
    ValueError, TypeError
        For values that are no probabilities, or labels that are no classes.

    Notes
    -----
    Minimises the mean of -ln p_y over β = 1 / temperature, a convex problem, by L-BFGS. A probability below 1e-12 of
    its row's largest counts as that.

    References
    ----------
    Guo, Pleiss, Sun & Weinberger 2017, "On calibration of modern neural networks", ICML.

    Examples
    --------
    >>> round(fit_temperature([[0.9, 0.1]] * 4, [0, 0, 0, 1]), 3)  # right three times in four, not nine in ten
    2.0
    """
    matrix = _check(probs)
    codes = check_labels(labels, *matrix.shape)
    sharpness = torch.zeros((), dtype=torch.float64, requires_grad=True)  # ln β
    optimiser = torch.optim.LBFGS([sharpness], max_iter=100, tolerance_change=1e-12, line_search_fn="strong_wolfe")

    def closure() -> float:
        beta = float(sharpness.detach().exp().clamp(1 / HOTTEST, 1 / COLDEST))
        loss, slope = _likelihood(matrix, codes, beta)
        inside = 1 / HOTTEST < beta < 1 / COLDEST
        sharpness.grad = torch.tensor(slope * beta if inside else 0.0, dtype=torch.float64)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    return float(sharpness.detach().neg().exp().clamp(COLDEST, HOTTEST))


def negative_log_likelihood(probs: ArrayLike, labels: ArrayLike) -> float:
    """Mean of -ln P(true class), in nats, with the floor of `fit_temperature`.

    Raises
    ------
    ValueError, TypeError
        As `fit_temperature`.
    """
    return outcomes(probs, labels).negative_log_likelihood


def reliability(probs: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> Reliability:
    """Compare confidence with accuracy, by bins of equal width.

    Parameters
    ----------
    probs : array_like (N, K)
        Probabilities.
    labels : array_like (N,) of int
        True classes.
    bins : int
        Number of bins of the confidence, each (i / bins, (i + 1) / bins].

    Returns
    -------
    Reliability
        The table. The confidence of a row is its largest probability. It is right where the true class is the first
        by `ranks`, so a tie counts against it.

    Raises
    ------
    ValueError, TypeError
        As `fit_temperature`, or for a number of bins below 1 or above 2^20.

    Examples
    --------
    >>> table = reliability([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]], [0, 1, 1], bins=2)
    >>> table.num_rows, table.accuracy.round(2), table.confidence.round(2)
    (array([0, 3]), array([ nan, 0.67]), array([ nan, 0.77]))
    """
    return outcomes(probs, labels).reliability(bins)


def expected_calibration_error(probs: ArrayLike, labels: ArrayLike, *, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy: Σ_bin (n_bin / N) abs(accuracy - confidence), bins as `reliability`.

    Raises
    ------
    ValueError, TypeError
        As `reliability`.

    References
    ----------
    Naeini, Cooper & Hauskrecht 2015, AAAI; Guo et al. 2017, ICML.

    Examples
    --------
    >>> round(expected_calibration_error([[0.9, 0.1]] * 4, [0, 0, 0, 1]), 3)
    0.15
    """
    return reliability(probs, labels, bins=bins).error


def outcomes(probs: ArrayLike, labels: ArrayLike) -> Outcomes:
    """What is left of probabilities (N, K) for calibration, once they are seen; input and errors as `fit_temperature`.

    Outcomes of several blocks of rows, joined by `Outcomes.join`, are those of all rows.
    """
    matrix = _check(probs)
    right = ranks(matrix, labels) == 1
    codes = check_labels(labels, *matrix.shape)
    confidence, surprise = np.empty(len(codes), matrix.dtype), np.empty(len(codes))
    for block in blocks(*matrix.shape):
        part, logs = matrix[block], _log_ratios(matrix[block])
        confidence[block] = part.max(1) / part.sum(1)
        surprise[block] = np.log(np.exp(logs).sum(1)) - np.take_along_axis(logs, codes[block, None], 1)[:, 0]
    return Outcomes(confidence, right, surprise)


def _log_ratios(part: Floats) -> NDArray[np.float64]:
    """Logarithms of p less the row's largest, at least ln FLOOR."""
    logs: NDArray[np.float64] = np.log(np.maximum(part / part.max(1, keepdims=True), FLOOR)).astype(np.float64)
    return logs


def _likelihood(matrix: Floats, codes: NDArray[np.int64], beta: float) -> tuple[float, float]:
    """Mean of -ln p_y where p ~ exp(β logs), and its derivative by β."""
    loss = slope = 0.0
    for block in blocks(*matrix.shape):
        rows = _log_ratios(matrix[block])
        own = np.take_along_axis(rows, codes[block, None], 1)[:, 0]
        weights = np.exp(beta * rows)
        total = weights.sum(1)
        loss += float((np.log(total) - beta * own).sum())
        slope += float(((weights * rows).sum(1) / total - own).sum())
    return loss / len(codes), slope / len(codes)


def _check(probs: ArrayLike) -> Floats:
    matrix = as_matrix("probs", probs)
    for block in blocks(*matrix.shape):
        part = matrix[block]
        with np.errstate(invalid="ignore"):
            bad = ~((part >= 0) & (part < np.inf)).all(1) | ~(part > 0).any(1)
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                f"probs must be >= 0 and finite, and not 0 for every class, but row {block.start + row} is "
                f"{np.array2string(part[row], threshold=6, precision=3)}; leave rows without a location out"
            )
    return matrix
