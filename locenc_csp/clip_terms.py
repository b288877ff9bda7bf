"""The terms of the forms that came after CLIP: CLIP itself, SigLIP and GeoCLIP; one pure function each.

They are called as those of `locenc_csp.terms` are: row i of ``location`` belongs to row i of ``image``.
"""

import torch
from torch import Tensor

from locenc_csp._pairs import check_matrix, check_pairs, per_pair
from locenc_csp._tensors import check_tensors
from locenc_csp.contrastive import cross_entropy, unit
from locenc_csp.logistic import surprise
from locenc_csp.masks import SamePlace
from locenc_csp.sigmoid import sigmoid_loss
from locenc_csp.terms import mc_batch, mc_location

__all__ = [
    "DEFAULT_BIAS",
    "DEFAULT_TEMPERATURE",
    "clip_batch",
    "clip_dropout",
    "clip_location",
    "geoclip_batch",
    "siglip_batch",
    "siglip_dropout",
    "siglip_location",
]

DEFAULT_TEMPERATURE = {"CLIP": 0.07, "SIGLIP": 0.1, "GEOCLIP": 0.07}
"""Where the published trainings start from; all of them learn it."""

DEFAULT_BIAS = -10.0
"""Where SigLIP starts from: at first every couple is taken for no pair, as nearly all are."""


def clip_batch(
    location: Tensor,
    image: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["CLIP"],
    *,
    mask: SamePlace | None = None,
) -> Tensor:
    """CLIP, term B: locations find their images and images their locations; the mean of both.

    Parameters, result and errors are those of `locenc_csp.terms.mc_batch`.

    References
    ----------
    Radford et al. 2021, "Learning transferable visual models from natural language supervision"; for locations Klemmer
    et al. 2025 (SatCLIP).
    """
    return mc_batch(location, image, temperature, symmetric="mean", mask=mask)


def clip_location(
    location: Tensor, image: Tensor, negatives: Tensor, temperature: float | Tensor = DEFAULT_TEMPERATURE["CLIP"]
) -> Tensor:
    """CLIP, term L: that of the softmax form, `locenc_csp.terms.mc_location`. Random locations have no images."""
    return mc_location(location, image, negatives, temperature)


def clip_dropout(
    location: Tensor,
    twin: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["CLIP"],
    *,
    mask: SamePlace | None = None,
) -> Tensor:
    """CLIP, term D: `clip_batch` between a first pass and a second one with other dropout masks."""
    check_pairs(location, "twin", twin)
    return mc_batch(location, twin, temperature, symmetric="mean", mask=mask)


def siglip_batch(
    location: Tensor,
    image: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["SIGLIP"],
    bias: float | Tensor = DEFAULT_BIAS,
    *,
    mask: SamePlace | None = None,
) -> Tensor:
    """SigLIP, term B: every couple of the batch is a pair or none; a sum over the B·B couples, divided by B.

    ``1/B sum_ij -log σ(y_ij (s_ij / t + b))`` with s_ij the cosine, y_ij 1 for i = j and -1 elsewhere.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings; rows are normalised here.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient.
    bias : float or Tensor ()
        b, added to the scores; a tensor gets a gradient.
    mask : SamePlace, optional
        Pairs at one place are no negatives of each other: `locenc_csp.same_place` of the B places.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For an empty batch, shapes that do not match, or a mask of another number of places.

    References
    ----------
    Zhai et al. 2023, "Sigmoid loss for language image pre-training", ICCV.

    Examples
    --------
    >>> corner = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> siglip_batch(corner, corner, 1.0, 0.0)
    tensor(1.0064)
    """
    check_pairs(location, "image", image)
    return sigmoid_loss(unit(location), unit(image), temperature, bias, mean_of_others=False, mask=mask)


def siglip_location(
    image: Tensor,
    negatives: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["SIGLIP"],
    bias: float | Tensor = DEFAULT_BIAS,
) -> Tensor:
    """SigLIP, term L: image i and its C random locations are no pairs; a sum over the C·B couples, divided by B.

    ``negatives`` (C*B, d): row c*B + i belongs to pair i. The rest is that of `siglip_batch`.
    """
    scores = (per_pair(negatives, image, plain=False) * unit(image)).sum(-1) / temperature + bias
    return surprise(scores, present=False).sum(0).mean()


def siglip_dropout(
    location: Tensor,
    twin: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["SIGLIP"],
    bias: float | Tensor = DEFAULT_BIAS,
    *,
    mask: SamePlace | None = None,
) -> Tensor:
    """SigLIP, term D: `siglip_batch` between a first pass and a second one with other dropout masks."""
    check_pairs(location, "twin", twin)
    return siglip_batch(location, twin, temperature, bias, mask=mask)


def geoclip_batch(
    location: Tensor,
    image: Tensor,
    queue: Tensor | None = None,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["GEOCLIP"],
    *,
    mask: SamePlace | None = None,
) -> Tensor:
    """GeoCLIP, term B: each image must find its location among those of the batch and those of a queue.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings; rows are normalised here.
    queue : Tensor (Q, d), optional
        Embeddings, of this step, of places of earlier batches: see `locenc_csp.CoordinateQueue`.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient.
    mask : SamePlace, optional
        Places at an image's own place are no negatives of it: `locenc_csp.same_place` of the B places, then the Q.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For an empty batch, shapes that do not match, or a mask of another number of places.

    References
    ----------
    Vivanco Cepeda et al. 2023, "GeoCLIP", NeurIPS.
    """
    check_pairs(location, "image", image)
    if queue is not None:
        check_tensors(queue=queue)
    if queue is not None and queue.shape[:1] != (0,):
        if check_matrix("queue", queue)[1] != location.shape[1]:
            raise ValueError(
                f"location has {location.shape[1]} columns and queue {queue.shape[1]}: both must be of one dimension"
            )
        location = torch.cat([location, queue])
    return cross_entropy(unit(image), unit(location), temperature, mask)
