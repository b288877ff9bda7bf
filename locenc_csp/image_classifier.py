"""P(class | image) from frozen features: multinomial logistic regression, its strength chosen on validation."""

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc_csp.features import FeatureMatrix
from locenc_csp.projection import FrozenProjection

STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)

Rows = NDArray[np.int64]


def train_image_classifier(
    features: FeatureMatrix,
    codes: Rows,
    *,
    train: Rows,
    val: Rows,
    unlabelled: Rows,
    num_classes: int,
    num_components: int = 256,
) -> Callable[[Rows], NDArray[np.float64]]:
    """Train an image classifier on few labels.

    Parameters
    ----------
    features : FeatureMatrix
        Frozen image features of all rows.
    codes : array (N,) of int
        Class numbers; only those of ``train`` and ``val`` are looked at.
    train, val : array of int
        Rows whose labels train the classifier, and choose the strength of its penalty.
    unlabelled : array of int
        Rows that fit the standardisation and the principal components.
    num_classes : int
        K.
    num_components : int
        Principal components that are used, at most.

    Returns
    -------
    callable
        From rows (B,) to probabilities, float64 (B, K). Rows sum to 1. A class without a training label has
        probability 0.

    Raises
    ------
    ValueError
        If there is no training row.
    """
    if len(train) == 0:
        raise ValueError("an image classifier needs at least one labelled training row, got none")
    linear = require("sklearn.linear_model", extra="csp")
    projection = FrozenProjection.fit(features.values, rows=unlabelled, num_components=num_components)

    known = np.unique(codes[train])

    def inputs(of: Rows) -> NDArray[np.float32]:
        projected: NDArray[np.float32] = projection(features.rows(of)).numpy()
        return projected

    def spread(some: NDArray[np.float64] | float, count: int) -> NDArray[np.float64]:
        """Probabilities of the known classes among all classes."""
        result = np.zeros((count, num_classes))
        result[:, known] = some
        return result

    if len(known) == 1:
        return lambda rows: spread(1.0, len(rows))
    training, validation = inputs(train), inputs(val)
    best, best_score = None, -1.0
    for strength in STRENGTHS:
        model = linear.LogisticRegression(C=strength, max_iter=100, tol=1e-3)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="lbfgs failed to converge")  # validation decides
            warnings.filterwarnings("ignore", message="The number of unique classes is greater")  # few labels, many
            model.fit(training, codes[train])
        score = float(model.score(validation, codes[val])) if len(val) else 0.0
        if score > best_score:
            best, best_score = model, score

    def predict(rows: Rows) -> NDArray[np.float64]:
        some = best.predict_proba(inputs(rows)) if len(rows) else 0.0  # type: ignore[union-attr]
        return spread(some, len(rows))

    return predict
