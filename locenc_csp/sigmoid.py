"""Sigmoid losses of pairs of rows: each couple is told from a pair by itself, in memory that grows with the rows."""

from typing import NamedTuple

import torch
from torch import Tensor

from locenc_csp.logistic import EPSILON, surprise
from locenc_csp.masks import SamePlace
from locenc_csp.pairwise import Part, compare

__all__ = ["Sigmoid", "sigmoid_loss"]


def sigmoid_loss(
    a: Tensor,
    b: Tensor,
    temperature: float | Tensor,
    bias: float | Tensor | None = None,
    *,
    mean_of_others: bool,
    mask: SamePlace | None = None,
    csp_compat: bool = False,
) -> Tensor:
    """Mean over i of ``-log σ(z_ii)``, plus the sum (or mean) over j ≠ i of ``-log(1 - σ(z_ij))``.

    ``z = a b^T / temperature + bias``; b may have more rows than a. Masked couples are not among the others.
    """
    return compare(a, b, Sigmoid(mean_of_others, csp_compat), temperature, bias, mask)


class Sigmoid(NamedTuple):
    """With scores ``z``, ``d loss / d z_ij = σ(z_ij) w_i / n`` for j ≠ i, and ``-σ(-z_ii) / n`` for pairs.

    ``w_i`` is 1 for a sum over the others, one over their number for a mean.
    """

    mean_of_others: bool
    csp_compat: bool

    def block(self, scores: Tensor, own: Tensor, start: int, excluded: Tensor | None) -> Part:
        """See `locenc_csp.pairwise.Rule`."""
        losses = surprise(scores, present=False, csp_compat=self.csp_compat)
        present = surprise(own, csp_compat=self.csp_compat).sum()
        slopes, at_own = scores.sigmoid_(), -torch.sigmoid(-own)
        if self.csp_compat:
            slopes = slopes * (1 - slopes) / (1 - slopes + EPSILON)
            at_own = at_own * (1 + at_own) / (1 + at_own + EPSILON)
        for matrix in (losses, slopes):
            matrix.diagonal(start).zero_()
            if excluded is not None:
                matrix.masked_fill_(excluded, 0.0)
        share = self._share(scores, excluded)
        return Part((losses.sum(1, keepdim=True) * share).sum() + present, slopes, share, at_own[:, None])

    def whole(self, scores: Tensor, excluded: Tensor | None) -> Tensor:
        """See `locenc_csp.pairwise.Rule`."""
        no_negative = torch.zeros_like(scores, dtype=torch.bool) if excluded is None else excluded.clone()
        no_negative.diagonal().fill_(True)
        losses = surprise(scores, present=False, csp_compat=self.csp_compat).masked_fill(no_negative, 0.0)
        present = surprise(scores.diagonal(), csp_compat=self.csp_compat)
        return (losses.sum(1, keepdim=True) * self._share(scores, excluded)).sum() / len(scores) + present.mean()

    def _share(self, scores: Tensor, excluded: Tensor | None) -> Tensor:
        """Weight of each of a row's negatives, (rows, 1); a row may have none."""
        others = scores.new_full((len(scores), 1), scores.shape[1] - 1)
        if not self.mean_of_others:
            return torch.ones_like(others)
        if excluded is not None:
            others = others - excluded.sum(1, keepdim=True)
        return 1 / others.clamp_min(1)
