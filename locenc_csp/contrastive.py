"""Softmax cross entropy of pairs of rows, in memory that grows with the rows, not with their square.

Scores are made for a block of rows at a time, and their part of the gradients in the same pass: with scores ``z`` and
``p = softmax(z)``, ``d loss / d z_ij = (p_ij - [i = j]) / n``. What is kept for the backward pass has the size of the
inputs.
"""

from typing import Any

import torch
from torch import Tensor

__all__ = ["contrastive_loss", "cross_entropy", "full", "unit"]

SHORTEST_NORM = 1e-6
"""Rows shorter than this are divided by it, not by their norm: a zero row has cosine 0 with everything."""

#: Scores of a block, about: few enough for the caches; at least so many rows, so that products stay efficient.
BLOCK, FEWEST_ROWS = 2**19, 256


def contrastive_loss(a: Tensor, b: Tensor, temperature: float | Tensor = 0.07, *, symmetric: bool = False) -> Tensor:
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

    Returns
    -------
    Tensor ()
        The mean over rows.

    Raises
    ------
    ValueError
        For no rows, fewer rows in ``b`` than in ``a``, rows of different lengths, or a temperature that is not
        positive.

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
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or not 0 < len(a) <= len(b):
        raise ValueError(
            "a and b must be matrices (n, d) and (m, d) with 0 < n <= m, row i of one belonging to row i of the "
            f"other, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    if not isinstance(temperature, Tensor) and not temperature > 0:
        raise ValueError(f"temperature must be positive, got {temperature!r}")
    a, b = unit(a), unit(b)
    loss = cross_entropy(a, b, temperature)
    return (loss + cross_entropy(b[: len(a)], a, temperature)) / 2 if symmetric else loss


def cross_entropy(a: Tensor, b: Tensor, temperature: float | Tensor) -> Tensor:
    """Mean over i of ``logsumexp_j(z_ij) - z_ii`` with ``z = a b^T / temperature``; b may have more rows than a."""
    divisor = torch.as_tensor(temperature, dtype=a.dtype, device=a.device)
    wanted = tuple(torch.is_grad_enabled() and part.requires_grad for part in (a, b, divisor))
    loss: Tensor = _CrossEntropy.apply(a, b, divisor, wanted)[0]  # type: ignore[no-untyped-call]
    return loss


#: Whether gradients by the rows of either side and by the divisor are wanted.
Wanted = tuple[bool, ...]


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(a: Tensor, b: Tensor, divisor: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return _blockwise(a, b, divisor, wanted)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        a, b, divisor, _ = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(a, b, divisor, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        a, b, divisor, *found = ctx.saved_tensors
        needed = ctx.needs_input_grad[:3]
        if torch.is_grad_enabled():
            inputs = [part for part, need in zip((a, b, divisor), needed, strict=True) if need]
            loss = torch.nn.functional.cross_entropy(a @ b.T / divisor, torch.arange(len(a), device=a.device))
            graph = iter(torch.autograd.grad(loss, inputs, gradient, create_graph=True))
            return (*(next(graph) if need else None for need in needed), None)
        return (*(gradient * part if need else None for part, need in zip(found, needed, strict=True)), None)


def _blockwise(a: Tensor, b: Tensor, divisor: Tensor, wanted: Wanted) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Loss, and its gradients by a, b and the divisor, empty where they are not wanted.

    Products run in autocast's dtype where that is on; everything else in the rows' own.
    """
    count, device = len(a), a.device.type
    lower = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else a.dtype
    scaled, keys = (a / divisor).to(lower), b.to(lower)
    loss = a.new_zeros(())
    by_a, by_b, by_divisor = (
        torch.zeros_like(part) if want else part.new_empty(0)
        for part, want in zip((a, b, divisor), wanted, strict=True)
    )
    rows = max(FEWEST_ROWS, BLOCK // len(b))
    with torch.autocast(device, enabled=False):
        for start in range(0, count, rows):
            block = slice(start, min(start + rows, count))
            own = (a[block] * b[block]).sum(1) / divisor
            scores = (scaled[block] @ keys.T).to(a.dtype)
            scores.diagonal(start).copy_(own)
            largest = scores.amax(1, keepdim=True)
            weights = scores.sub_(largest).exp_()
            total = weights.sum(1, keepdim=True)
            loss += (total.log() + largest).sum() - own.sum()
            weights, share = weights.to(lower), 1 / (count * total)
            if by_a.numel() or by_divisor.numel():
                slopes = (weights @ keys).to(a.dtype).mul_(share).sub_(b[block], alpha=1 / count)
                by_divisor -= (a[block] * slopes).sum() / divisor**2 if by_divisor.numel() else 0
                if by_a.numel():
                    torch.div(slopes, divisor, out=by_a[block])
            if by_b.numel():
                _add_product(by_b, weights.T, (scaled[block] * share).to(lower))
                by_b[block] -= a[block] / (divisor * count)
    return loss / count, by_a, by_b, by_divisor


def _add_product(to: Tensor, left: Tensor, right: Tensor) -> None:
    """``to += left @ right``, in one step where dtypes allow."""
    if left.dtype == to.dtype:
        to.addmm_(left, right)
    else:
        to += left @ right


def full(rows: Tensor) -> Tensor:
    """Take half precision to float32."""
    return rows.float() if rows.dtype in (torch.float16, torch.bfloat16) else rows


def unit(rows: Tensor, *, plain: bool = False) -> Tensor:
    """Divide rows by their norm; ``plain``: without the guard for short rows."""
    rows = full(rows)
    squares: Tensor = (rows * rows).sum(-1, keepdim=True)
    return rows * (squares if plain else squares.clamp_min(SHORTEST_NORM**2)).rsqrt()
