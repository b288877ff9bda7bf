"""The linear probe: logistic regression on a frozen embedding, solved to convergence."""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import check_count, check_number
from locenc_csp._matrices import as_matrix, check_labels
from locenc_csp.heads import SoftmaxHead

__all__ = ["linear_probe"]

TOLERANCE = 1e-6
"""The solver stops at a gradient whose largest entry is below this, or where float64 shows no more progress."""
MAX_ITERATIONS = 20_000

Floats = NDArray[np.floating[Any]]


def linear_probe(embedding: Floats, codes: NDArray[np.int64], num_classes: int, penalty: float) -> SoftmaxHead:
    """Fit a softmax head by L2-regularised multinomial logistic regression in float64.

    It minimises ``mean_i −log softmax(W z_i + b)_{y_i} + penalty/2 · |W|²`` over W and b, with z the embedding,
    standardised by column: so a penalty means the same for every encoder. The head that is returned reads the
    embedding itself. Nothing is random.

    Parameters
    ----------
    embedding : array (N, dim)
        Frozen embeddings of the labelled places.
    codes : array (N,) of int
        Their classes, 0 .. num_classes-1.
    num_classes : int
        K. A class without a place gets probability 0, which is where an unpenalised bias tends to.
    penalty : float
        > 0; the bias is not penalised.

    Returns
    -------
    SoftmaxHead
        In float32, with weights for raw embeddings.

    Raises
    ------
    ValueError
        For no rows, labels that do not fit, an embedding that is not finite, or no convergence.
    ModuleNotFoundError
        If scikit-learn is not installed.
    """
    values = as_matrix("embedding", embedding).astype(np.float64)
    codes = check_labels(codes, len(values), check_count("num_classes", num_classes))
    if not 0 < check_number("penalty", penalty) < np.inf:
        raise ValueError(f"penalty must be positive and finite, got {penalty!r}")
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values).all(1)).argmax())
        raise ValueError(f"embeddings must be finite, but row {row} is not: has the pre-training diverged?")
    mean, spread = values.mean(0), values.std(0)
    spread[spread <= 1e-6 * np.abs(mean)] = np.inf  # constant but for rounding: its weight is 0
    known, inner = np.unique(codes, return_inverse=True)
    weight, bias = np.zeros((num_classes, values.shape[1])), np.full(num_classes, -np.inf)
    if len(known) == 1:
        bias[known] = 0
    else:
        weight[known], bias[known] = _solve((values - mean) / spread, inner, penalty)
    weight /= spread
    bias -= weight @ mean
    head = SoftmaxHead(values.shape[1], num_classes)
    head.load_state_dict({"weight": torch.from_numpy(weight).float(), "bias": torch.from_numpy(bias).float()})
    return head


def _solve(values: Floats, codes: NDArray[np.int64], penalty: float) -> tuple[Floats, Floats]:
    """Weights (K, dim) and biases (K,) for classes that all occur."""
    linear = require("sklearn.linear_model", extra="csp")
    binary = int(codes.max()) == 1
    # scikit-learn minimises C * sum of losses + |w|²/2, and of two classes has one w, the difference of their weights
    strength = (2 if binary else 1) / (penalty * len(values))
    model = linear.LogisticRegression(C=strength, tol=TOLERANCE, max_iter=MAX_ITERATIONS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(values, codes)
    if any("failed to converge" in str(warning.message) for warning in caught):
        raise ValueError(
            f"logistic regression with penalty {penalty:g} has not converged in {MAX_ITERATIONS} iterations: leave "
            "small penalties out"
        )
    if binary:
        return np.concatenate([-model.coef_, model.coef_]) / 2, np.concatenate(
            [-model.intercept_, model.intercept_]
        ) / 2
    return model.coef_, model.intercept_
