"""Geolocation: the place of a gallery that an image fits best, and how far from the truth that is."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from locenc._names import check_number
from locenc.coords import as_lonlat
from locenc_csp._matrices import blocks
from locenc_csp._sphere import great_circle_km
from locenc_csp._tensors import check_tensors

__all__ = ["LEVELS_KM", "geolocate", "within_km"]

LEVELS_KM = (1.0, 25.0, 200.0, 750.0, 2500.0)
"""Street, city, region, country, continent: the levels of Im2GPS, as GeoCLIP reports them."""


@torch.no_grad()
def geolocate(image_embeddings: Tensor, gallery_embeddings: Tensor) -> NDArray[np.int64]:
    """Find the gallery's place with the highest cosine for each image.

    Parameters
    ----------
    image_embeddings : Tensor (N, d)
        Raw embeddings of the images.
    gallery_embeddings : Tensor (M, d)
        Raw embeddings of the candidate places, on the same device.

    Returns
    -------
    array (N,) of int64
        Rows of the gallery. The matrix of all cosines is never held.

    Raises
    ------
    ValueError
        For an empty gallery, or embeddings whose sizes differ.
    """
    check_tensors(image_embeddings=image_embeddings, gallery_embeddings=gallery_embeddings)
    shapes = tuple(image_embeddings.shape), tuple(gallery_embeddings.shape)
    if len(shapes[0]) != 2 or len(shapes[1]) != 2 or shapes[0][1] != shapes[1][1] or shapes[1][0] == 0:
        raise ValueError(
            f"images must have embeddings (N, d) and the gallery (M, d), M at least 1, got {shapes[0]} and {shapes[1]}"
        )
    queries = functional.normalize(image_embeddings.float(), dim=-1)
    places = functional.normalize(gallery_embeddings.float(), dim=-1)
    best = [(queries[rows] @ places.T).argmax(1).cpu().numpy() for rows in blocks(len(queries), len(places))]
    return np.concatenate([*best, np.zeros(0, np.int64)])


def within_km(
    predicted: ArrayLike | Tensor, truth: ArrayLike | Tensor, km: Sequence[float] = LEVELS_KM
) -> dict[float, float]:
    """Share of predicted places within each distance of the true ones, on the sphere.

    Parameters
    ----------
    predicted, truth : array_like (N, 2)
        (longitude, latitude) in degrees.
    km : sequence of float
        Distances.

    Returns
    -------
    dict
        From distance to share.

    Raises
    ------
    ValueError
        For no places, or different numbers of them.

    Examples
    --------
    >>> within_km([[2.35, 48.86], [0.0, 0.0]], [[2.35, 48.80], [0.0, 10.0]])
    {1.0: 0.0, 25.0: 0.5, 200.0: 0.5, 750.0: 0.5, 2500.0: 1.0}
    """
    if not isinstance(km, Sequence | np.ndarray) or np.ndim(km) == 0:
        raise TypeError(f"km must be distances, such as (1.0, 25.0), got {km!r:.60}")
    km = [check_number("a distance of km", one) for one in km]
    found, true = as_lonlat(predicted), as_lonlat(truth)
    if found.shape != true.shape or len(found) == 0:
        raise ValueError(f"as many predicted places as true ones are needed, got {len(found)} and {len(true)}")
    distance = great_circle_km(found, true)
    return {float(limit): float((distance <= limit).double().mean()) for limit in km}
