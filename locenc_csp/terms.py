"""The terms of contrastive spatial pre-training (CSP): one pure function of raw embeddings each.

Rows are pairs: row i of ``location`` belongs to row i of ``image``. Similarity is the cosine, divided by a
temperature. MC is the softmax form, NCE the sigmoid form, MSE the regression baseline; B compares within
the batch, L with random locations, D with a second pass under other dropout masks (Mai et al. 2023, ICML).
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from locenc_csp._pairs import check_pairs, per_pair
from locenc_csp.contrastive import cross_entropy, full, unit
from locenc_csp.logistic import surprise
from locenc_csp.masks import SamePlace
from locenc_csp.sigmoid import sigmoid_loss

__all__ = [
    "DEFAULT_TEMPERATURE",
    "mc_batch",
    "mc_dropout",
    "mc_location",
    "mse",
    "nce_batch",
    "nce_dropout",
    "nce_location",
]

Symmetric = Literal["mean", "sum"] | None

DEFAULT_TEMPERATURE = {"MC": 0.1, "NCE": 1.0}
"""MC: the sharp 0.1, which served B, L and D well on satellite patches. NCE: the cosine as it is, the paper's form;
our pre-training recipe divides by 0.1 there too."""


def mc_batch(
    location: Tensor,
    image: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["MC"],
    *,
    symmetric: Symmetric = None,
    mask: SamePlace | None = None,
    csp_compat: bool = False,
) -> Tensor:
    """Softmax form, term B: each location must find its image among all images of the batch.

    ``mean_i -log( exp(s_ii / t) / sum_j exp(s_ij / t) )`` with s_ij the cosine of location i and image j.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings; rows are normalised here.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient.
    symmetric : {None, "mean", "sum"}
        Also let each image find its location: the mean of both directions (as CLIP), or their sum (as the
        option ``contsoftmaxsym`` of the CSP code).
    mask : SamePlace, optional
        Pairs at one place are no negatives of each other: `locenc_csp.same_place` of the B places.
    csp_compat : bool
        Divide by the plain norm, as the CSP code does: a zero row then gives NaN.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For an empty batch, shapes that do not match, or a mask of another number of places.

    Notes
    -----
    Mai et al. 2023, ICML, Eq. 4. Memory grows with B, not with its square.

    Examples
    --------
    >>> corner = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> mc_batch(corner, corner, 1.0)
    tensor(0.3133)
    """
    check_pairs(location, "image", image)
    location, image = unit(location, plain=csp_compat), unit(image, plain=csp_compat)
    forward = cross_entropy(location, image, temperature, mask)
    if symmetric is None:
        return forward
    both = forward + cross_entropy(image, location, temperature, mask)
    return both if symmetric == "sum" else both / 2


def mc_location(
    location: Tensor,
    image: Tensor,
    negatives: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["MC"],
    *,
    csp_compat: bool = False,
) -> Tensor:
    """Softmax form, term L: each image must tell its location from C random ones of its own.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings.
    negatives : Tensor (C*B, d)
        Raw embeddings of the random locations; row c*B + i belongs to pair i.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient.
    csp_compat : bool
        Divide by the plain norm, as the CSP code does.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For an empty batch, shapes that do not match, or negatives that are not C whole batches.
    """
    check_pairs(location, "image", image)
    random = per_pair(negatives, image, csp_compat)
    target = unit(image, plain=csp_compat)
    positive = (unit(location, plain=csp_compat) * target).sum(-1) / temperature
    negative = (random * target).sum(-1) / temperature
    return (torch.cat([positive[None], negative]).logsumexp(0) - positive).mean()


def mc_dropout(
    location: Tensor,
    twin: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["MC"],
    *,
    mask: SamePlace | None = None,
    csp_compat: bool = False,
) -> Tensor:
    """Softmax form, term D: `mc_batch` between a first pass and a second one with other dropout masks.

    Parameters, result and errors are those of `mc_batch`, with ``twin`` (B, d) for the image.
    """
    check_pairs(location, "twin", twin)
    return mc_batch(location, twin, temperature, mask=mask, csp_compat=csp_compat)


def nce_batch(
    location: Tensor,
    image: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["NCE"],
    *,
    mask: SamePlace | None = None,
    csp_compat: bool = False,
) -> Tensor:
    """Sigmoid form, term B: pairs are told from the other couples of the batch one by one.

    ``mean_i [ -log σ(s_ii / t) + 1/(B-1) · sum_{j≠i} -log(1 - σ(s_ij / t)) ]``.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings, B at least 2.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient. The paper has none (1); our pre-training recipe takes 0.1.
    mask : SamePlace, optional
        Pairs at one place are no negatives of each other: `locenc_csp.same_place` of the B places. The mean is over
        the negatives that remain.
    csp_compat : bool
        The CSP code's arithmetic: 1e-5 is added inside the logarithm, and rows are divided by the plain norm.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For a batch of fewer than two pairs, shapes that do not match, or a mask of another number of
        places.
    """
    check_pairs(location, "image", image)
    if len(location) < 2:
        raise ValueError(
            "NCE compares each pair with the others of its batch, but the batch has one row: "
            "use at least 2 (drop the last batch, or choose another batch size)"
        )
    location, image = unit(location, plain=csp_compat), unit(image, plain=csp_compat)
    return sigmoid_loss(location, image, temperature, mean_of_others=True, mask=mask, csp_compat=csp_compat)


def nce_location(
    image: Tensor,
    negatives: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["NCE"],
    *,
    csp_compat: bool = False,
) -> Tensor:
    """Sigmoid form, term L: random locations are pushed from the image. There is no positive pair in it.

    Parameters
    ----------
    image : Tensor (B, d)
        Raw embeddings.
    negatives : Tensor (C*B, d)
        Raw embeddings of the random locations; row c*B + i belongs to pair i.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient.
    csp_compat : bool
        As in `nce_batch`.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For an empty batch, or negatives that are not C whole batches.
    """
    scores = (per_pair(negatives, image, csp_compat) * unit(image, plain=csp_compat)).sum(-1) / temperature
    return surprise(scores, present=False, csp_compat=csp_compat).mean()


def nce_dropout(
    location: Tensor,
    twin: Tensor,
    temperature: float | Tensor = DEFAULT_TEMPERATURE["NCE"],
    *,
    mask: SamePlace | None = None,
    csp_compat: bool = False,
) -> Tensor:
    """Sigmoid form, term D: `nce_batch` between a first pass and a second one with other dropout masks.

    Parameters, result and errors are those of `nce_batch`, with ``twin`` (B, d) for the image.
    """
    check_pairs(location, "twin", twin)
    return nce_batch(location, twin, temperature, mask=mask, csp_compat=csp_compat)


def mse(decoded: Tensor, features: Tensor) -> Tensor:
    """Mean squared error between decoded locations and image features, both (B, F): the baseline of CSP.

    Raises ValueError for an empty batch or shapes that do not match.
    """
    check_pairs(decoded, "image", features)
    return functional.mse_loss(full(decoded), full(features))
