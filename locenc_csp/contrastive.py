"""Softmax cross entropy of pairs of rows, in memory that grows with the rows, not with their square."""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from locenc._names import check_number
from locenc_csp._tensors import check_tensors
from locenc_csp.masks import SamePlace
from locenc_csp.pairwise import Part, compare

__all__ = ["contrastive_loss", "cross_entropy", "full", "unit"]

SHORTEST_NORM = 1e-6
"""Rows shorter than this are divided by it, not by their norm: a zero row has cosine 0 with everything."""


def contrastive_loss(
    a: Tensor,
    b: Tensor,
    temperature: float | Tensor = 0.07,
    *,
    symmetric: bool = False,
    mask: SamePlace | None = None,
) -> Tensor:
    """Contrastive loss (InfoNCE): each row of ``a`` must find its own row among all rows of ``b``, by the cosine.

    ``mean_i -log( exp(s_ii / t) / sum_j exp(s_ij / t) )`` with s_ij the cosine of row i of ``a`` and row j of ``b``.

    Parameters
    ----------
    a : Tensor (n, d)
        Raw embeddings; rows are normalised here. Half precision is taken to float32.
    b : Tensor (m, d)
        Raw embeddings, m >= n; row i belongs to row i of ``a``, rows from n on to none.
    temperature : float or Tensor ()
        Divides the cosine; a tensor gets a gradient.
    symmetric : bool
        Also let each of the first n rows of ``b`` find its row of ``a``: the mean of both directions, as CLIP. Takes
        twice as long.
    mask : SamePlace, optional
        Rows of ``b`` at the place of row i are no negatives of it: ``mask=same_place(lonlat)`` with the m places of the
        rows of ``b`` (the first n are also those of ``a``).

    Returns
    -------
    Tensor ()
        The mean over rows.

    Raises
    ------
    ValueError
        For no rows, fewer rows in ``b`` than in ``a``, rows of different lengths, or a temperature that is not
        positive, or a mask of another number of places.

    Notes
    -----
    Memory is that of a few matrices like ``a`` and ``b``. Gradients of gradients are right too, but take a matrix of
    n × m numbers.

    References
    ----------
    van den Oord et al. 2018, "Representation learning with contrastive predictive coding"; Radford et al. 2021 (CLIP).

    Examples
    --------
    >>> contrastive_loss(torch.eye(2), torch.eye(2), 1.0)
    tensor(0.3133)
    """
    check_tensors(a=a, b=b)
    for name, rows in (("a", a), ("b", b)):
        if not rows.is_floating_point():
            raise TypeError(f"{name} must hold floating-point numbers, not {rows.dtype}")
    if mask is not None and not isinstance(mask, SamePlace):
        raise TypeError(f"mask must be what locenc_csp.same_place gives, got {type(mask).__name__}")
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not 0 < len(a) <= len(b):
        raise ValueError(
            "a and b must be matrices (n, d) and (m, d) with 0 < n <= m, row i of one belonging to row i of the "
            f"other, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if isinstance(temperature, Tensor) and temperature.numel() != 1:
        raise ValueError(f"temperature must be one number, got a tensor of shape {tuple(temperature.shape)}")
    if not isinstance(temperature, Tensor) and not check_number("temperature", temperature) > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}")
    a, b = unit(a), unit(b)
    loss = cross_entropy(a, b, temperature, mask)
    if not symmetric:
        return loss
    other = cross_entropy(b[: len(a)], a, temperature, None if mask is None else mask.first(len(a)))
    return (loss + other) / 2


def cross_entropy(a: Tensor, b: Tensor, temperature: float | Tensor, mask: SamePlace | None = None) -> Tensor:
    """Mean over i of ``logsumexp_j(z_ij) - z_ii`` with ``z = a b^T / temperature``; b may have more rows than a."""
    return compare(a, b, Softmax(), temperature, mask=mask)


class Softmax(NamedTuple):
    """With scores ``z`` and ``p = softmax(z)``, ``d loss / d z_ij = (p_ij - [i = j]) / n``."""

    def block(self, scores: Tensor, own: Tensor, start: int, excluded: Tensor | None) -> Part:
        """See `locenc_csp.pairwise.Rule`."""
        if excluded is not None:
            scores.masked_fill_(excluded, -math.inf)
        scores.diagonal(start).copy_(own)
        largest = scores.amax(1, keepdim=True)
        weights = scores.sub_(largest).exp_()
        total = weights.sum(1, keepdim=True)
        loss = (total.log() + largest).sum() - own.sum()
        return Part(loss, weights, 1 / total, -torch.ones_like(total))

    def whole(self, scores: Tensor, excluded: Tensor | None) -> Tensor:
        """See `locenc_csp.pairwise.Rule`."""
        if excluded is not None:
            scores = scores.masked_fill(excluded, -math.inf)
        return functional.cross_entropy(scores, torch.arange(len(scores), device=scores.device))


def full(rows: Tensor) -> Tensor:
    """Take half precision to float32."""
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def unit(rows: Tensor, *, plain: bool = False) -> Tensor:
    """Divide rows by their norm; ``plain``: without the guard for short rows."""
    rows = full(rows)
    squares: Tensor = (rows * rows).sum(-1, keepdim=True)
    return rows * (squares if plain else squares.clamp_min(SHORTEST_NORM**2)).rsqrt()
