"""The terms of contrastive spatial pre-training (CSP): one pure function of raw embeddings each.

Rows are pairs: row i of ``location`` belongs to row i of ``image``. Similarity is the cosine, divided by a
temperature. MC is the softmax form, NCE the sigmoid form, MSE the regression baseline; B compares within
the batch, L with random locations, D with a second pass under other dropout masks (Mai et al. 2023, ICML).
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from locenc_csp.contrastive import cross_entropy, full, unit

__all__ = [
    "DEFAULT_TEMPERATURE",
    "mc_batch",
    "mc_dropout",
    "mc_location",
    "mse",
    "nce_batch",
    "nce_dropout",
    "nce_location",
    "surprise",
]

Symmetric = Literal["mean", "sum"] | None

DEFAULT_TEMPERATURE = {"MC": 0.1, "NCE": 1.0}
"""MC: the sharp 0.1, which served B, L and D well on satellite patches. NCE: the cosine as it is, the paper's form;
our pre-training recipe divides by 0.1 there too."""


def mc_batch(
    location: Tensor,
    image: Tensor,
    temperature: float = DEFAULT_TEMPERATURE["MC"],
    *,
    symmetric: Symmetric = None,
    csp_compat: bool = False,
) -> Tensor:
    """Softmax form, term B: each location must find its image among all images of the batch.

    ``mean_i -log( exp(s_ii / t) / sum_j exp(s_ij / t) )`` with s_ij the cosine of location i and image j.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings; rows are normalised here.
    temperature : float
        Divides the cosine.
    symmetric : {None, "mean", "sum"}
        Also let each image find its location: the mean of both directions (as CLIP), or their sum (as the
        option ``contsoftmaxsym`` of the CSP code).
    csp_compat : bool
        Divide by the plain norm, as the CSP code does: a zero row then gives NaN.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For an empty batch or shapes that do not match.

    Notes
    -----
    Mai et al. 2023, ICML, Eq. 4.

    Examples
    --------
    >>> corner = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> mc_batch(corner, corner, 1.0)
    tensor(0.3133)
    """
    _check_pairs(location, "image", image)
    location, image = unit(location, plain=csp_compat), unit(image, plain=csp_compat)
    forward = cross_entropy(location, image, temperature)
    if symmetric is None:
        return forward
    both = forward + cross_entropy(image, location, temperature)
    return both if symmetric == "sum" else both / 2


def mc_location(
    location: Tensor,
    image: Tensor,
    negatives: Tensor,
    temperature: float = DEFAULT_TEMPERATURE["MC"],
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
    temperature : float
        Divides the cosine.
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
    _check_pairs(location, "image", image)
    random = _per_pair(negatives, image, csp_compat)
    target = unit(image, plain=csp_compat)
    positive = (unit(location, plain=csp_compat) * target).sum(-1) / temperature
    negative = (random * target).sum(-1) / temperature
    return (torch.cat([positive[None], negative]).logsumexp(0) - positive).mean()


def mc_dropout(
    location: Tensor,
    twin: Tensor,
    temperature: float = DEFAULT_TEMPERATURE["MC"],
    *,
    csp_compat: bool = False,
) -> Tensor:
    """Softmax form, term D: `mc_batch` between a first pass and a second one with other dropout masks.

    Parameters, result and errors are those of `mc_batch`, with ``twin`` (B, d) for the image.
    """
    _check_pairs(location, "twin", twin)
    return mc_batch(location, twin, temperature, csp_compat=csp_compat)


def nce_batch(
    location: Tensor,
    image: Tensor,
    temperature: float = DEFAULT_TEMPERATURE["NCE"],
    *,
    csp_compat: bool = False,
) -> Tensor:
    """Sigmoid form, term B: pairs are told from the other couples of the batch one by one.

    ``mean_i [ -log σ(s_ii / t) + 1/(B-1) · sum_{j≠i} -log(1 - σ(s_ij / t)) ]``.

    Parameters
    ----------
    location, image : Tensor (B, d)
        Raw embeddings, B at least 2.
    temperature : float
        Divides the cosine. The paper has none (1); our pre-training recipe takes 0.1.
    csp_compat : bool
        The CSP code's arithmetic: 1e-5 is added inside the logarithm, and rows are divided by the plain norm.

    Returns
    -------
    Tensor ()
        The term, unweighted.

    Raises
    ------
    ValueError
        For a batch of fewer than two pairs, or shapes that do not match.
    """
    _check_pairs(location, "image", image)
    size = len(location)
    if size < 2:
        raise ValueError(
            "NCE compares each pair with the others of its batch, but the batch has one row: "
            "use at least 2 (drop the last batch, or choose another batch size)"
        )
    scores = unit(location, plain=csp_compat) @ unit(image, plain=csp_compat).T / temperature
    own = torch.eye(size, dtype=torch.bool, device=scores.device)
    others = surprise(scores, present=False, csp_compat=csp_compat).masked_fill(own, 0.0)
    return surprise(scores.diagonal(), csp_compat=csp_compat).mean() + others.sum() / (size * (size - 1))


def nce_location(
    image: Tensor,
    negatives: Tensor,
    temperature: float = DEFAULT_TEMPERATURE["NCE"],
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
    temperature : float
        Divides the cosine.
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
    scores = (_per_pair(negatives, image, csp_compat) * unit(image, plain=csp_compat)).sum(-1) / temperature
    return surprise(scores, present=False, csp_compat=csp_compat).mean()


def nce_dropout(
    location: Tensor,
    twin: Tensor,
    temperature: float = DEFAULT_TEMPERATURE["NCE"],
    *,
    csp_compat: bool = False,
) -> Tensor:
    """Sigmoid form, term D: `nce_batch` between a first pass and a second one with other dropout masks.

    Parameters, result and errors are those of `nce_batch`, with ``twin`` (B, d) for the image.
    """
    _check_pairs(location, "twin", twin)
    return nce_batch(location, twin, temperature, csp_compat=csp_compat)


def mse(decoded: Tensor, features: Tensor) -> Tensor:
    """Mean squared error between decoded locations and image features, both (B, F): the baseline of CSP.

    Raises ValueError for an empty batch or shapes that do not match.
    """
    _check_pairs(decoded, "image", features)
    return functional.mse_loss(full(decoded), full(features))


def surprise(logits: Tensor, *, present: bool = True, csp_compat: bool = False) -> Tensor:
    """-log σ(logits), or -log(1 - σ(logits)) where ``present`` is false; elementwise, any shape.

    The stable form by default. ``csp_compat=True`` is the CSP code's -log(p + 1e-5), which cannot exceed 11.5
    and hardly corrects confident errors.
    """
    if not csp_compat:
        return -functional.logsigmoid(logits if present else -logits)  # softplus is cut off at 20
    probability = torch.sigmoid(logits)
    return -torch.log((probability if present else 1 - probability) + 1e-5)


# Checks and shared steps


def _per_pair(negatives: Tensor, image: Tensor, plain: bool) -> Tensor:
    """Return the unit vectors of the negatives, (C, B, d)."""
    size, dim = _check_matrix("image", image)
    rows, width = _check_matrix("negatives", negatives)
    if width != dim:
        raise ValueError(f"negatives have {width} columns, the image embeddings {dim}: both must be of one dimension")
    if rows % size:
        raise ValueError(
            f"negatives must be C whole batches (row c*B + i belongs to pair i), but {rows} rows are no "
            f"multiple of {size}"
        )
    return unit(negatives, plain=plain).view(-1, size, dim)


def _check_pairs(location: Tensor, name: str, other: Tensor) -> None:
    size, dim = _check_matrix("location", location)
    rows, width = _check_matrix(name, other)
    if rows != size:
        raise ValueError(f"row i of location and {name} must be one pair, but they have {size} and {rows} rows")
    if width != dim:
        raise ValueError(f"location has {dim} columns and {name} {width}: both must be of one dimension")


def _check_matrix(name: str, rows: Tensor) -> tuple[int, int]:
    if rows.ndim != 2 or not rows.is_floating_point():
        raise ValueError(
            f"{name} must be a floating-point matrix, one row per pair, got shape {tuple(rows.shape)} of {rows.dtype}"
        )
    if len(rows) == 0:
        raise ValueError(f"the batch is empty: {name} has shape {tuple(rows.shape)}; skip such a batch")
    return rows.shape[0], rows.shape[1]
