"""Search among places: the location that an image fits best, and the nearest labelled location on the sphere."""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from locenc._extras import require
from locenc.coords import as_lonlat, unit_sphere
from locenc_csp._matrices import check_labels
from locenc_csp._sphere import great_circle_km
from locenc_csp._tensors import check_tensors

__all__ = ["nearest_neighbour", "retrieval"]

ROWS = 1024
"""Rows of the similarity matrix that are held at once."""


@torch.no_grad()
def retrieval(location_embeddings: Tensor, image_embeddings: Tensor, lonlat: ArrayLike | Tensor) -> dict[str, float]:
    """How well images find their locations: the validation of pre-training, which needs no label.

    Parameters
    ----------
    location_embeddings, image_embeddings : Tensor (N, d)
        Raw embeddings; row i of both and of ``lonlat`` is one pair. All N locations are candidates of every image,
        by cosine. (For MSE: decoded locations and features.)
    lonlat : array_like (N, 2)
        (longitude, latitude) in degrees.

    Returns
    -------
    dict
        ``recall_at_1``, ``recall_at_10``: fraction of images whose own location is among the best 1, 10. Ties count
        against it, except candidates at exactly the same place. ``median_km``: median great-circle distance from the
        best candidate to the truth.

    Raises
    ------
    ValueError
        For no pairs, shapes that do not match, or embeddings that are not finite.
    """
    check_tensors(location_embeddings=location_embeddings, image_embeddings=image_embeddings)
    places = as_lonlat(lonlat)
    shape = location_embeddings.shape
    if location_embeddings.ndim != 2 or image_embeddings.shape != shape or len(places) != shape[0]:
        raise ValueError(
            "retrieval needs embeddings of one shape (N, d) and N locations, got "
            f"{tuple(shape)}, {tuple(image_embeddings.shape)} and {len(places)} locations"
        )
    if len(places) == 0:
        raise ValueError("retrieval needs at least one pair, got none")
    for name, rows in (("location", location_embeddings), ("image", image_embeddings)):
        bad = ~rows.isfinite().all(1)
        if bad.any():
            raise ValueError(
                f"{name} embeddings must be finite, but row {int(bad.nonzero()[0])} is not: "
                "the training has probably diverged; start it again with a lower learning rate"
            )
    candidates = functional.normalize(location_embeddings.float(), dim=-1)
    queries = functional.normalize(image_embeddings.float(), dim=-1)
    _, place = torch.unique(places, dim=0, return_inverse=True)
    place = place.to(candidates.device)
    ranks, best = [], []
    for start in range(0, len(queries), ROWS):
        cosine = queries[start : start + ROWS] @ candidates.T
        rows = torch.arange(start, start + len(cosine), device=cosine.device)
        own = cosine.gather(1, rows[:, None])
        elsewhere = place[None] != place[rows, None]
        ranks.append(1 + ((cosine >= own) & elsewhere).sum(1))
        best.append(cosine.argmax(1))
    rank, hit = torch.cat(ranks).cpu(), torch.cat(best).cpu()
    return {
        "recall_at_1": float((rank <= 1).double().mean()),
        "recall_at_10": float((rank <= 10).double().mean()),
        "median_km": float(np.median(great_circle_km(places[hit], places).numpy())),
    }


def nearest_neighbour(train_lonlat: ArrayLike, train_codes: ArrayLike, query_lonlat: ArrayLike) -> NDArray[np.int64]:
    """Predict the class of the nearest training location on the sphere: the baseline that any encoder must beat.

    Parameters
    ----------
    train_lonlat : array_like (N, 2)
        (longitude, latitude) in degrees.
    train_codes : array_like (N,) of int
        Classes, >= 0.
    query_lonlat : array_like (M, 2)
        Where to predict.

    Returns
    -------
    array (M,) of int64
        Predicted classes.

    Raises
    ------
    ValueError, TypeError
        For bad coordinates, no training location, or codes that are not one integer >= 0 per location.
    ImportError
        If scikit-learn is not installed.
    """
    neighbours = require("sklearn.neighbors", extra="csp")
    train, query = (unit_sphere(as_lonlat(points)).numpy() for points in (train_lonlat, query_lonlat))
    if len(train) == 0:
        raise ValueError("nearest_neighbour needs at least one training location, got none")
    codes = check_labels(train_codes, len(train))
    if len(query) == 0:
        return np.empty(0, np.int64)
    nearest = neighbours.KDTree(train).query(query, return_distance=False)[:, 0]  # a chord orders as its arc
    predicted: NDArray[np.int64] = codes[nearest]
    return predicted
