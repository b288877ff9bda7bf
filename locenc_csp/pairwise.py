"""Losses of all pairs of rows, in memory that grows with the rows, not with their square.

Scores ``z = a b^T / divisor + bias`` are made for a block of rows at a time, and their part of the gradients in the
same pass. What is kept for the backward pass has the size of the inputs. What the loss is of the scores is a `Rule`.
Where ranks share losses (`locenc_csp.processes`), each makes some of the rows, and all get the sums.
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from locenc_csp.masks import SamePlace
from locenc_csp.processes import at_work

__all__ = ["Part", "Rule", "compare"]

#: Scores of a block, about: few enough for the caches; at least so many rows, so that products stay efficient.
BLOCK, FEWEST_ROWS = 2**19, 256


class Part(NamedTuple):
    """A block's loss, summed over its rows, and its slopes by the scores: ``share * weights``, plus ``own``."""

    loss: Tensor
    weights: Tensor
    """(rows, m)"""
    share: Tensor
    """(rows, 1)"""
    own: Tensor
    """(rows, 1): further slope by the score of a row with its own partner."""


class Rule(Protocol):
    """A loss of scores (n, m), where row i belongs to column i; the loss is a sum over rows, divided by n."""

    def block(self, scores: Tensor, own: Tensor, start: int, excluded: Tensor | None) -> Part:
        """Loss of some rows and its slopes.

        Parameters
        ----------
        scores : Tensor (rows, m)
            May be overwritten.
        own : Tensor (rows,)
            The scores of the rows with their own partners, more exact than in ``scores``.
        start : int
            Number of the first row.
        excluded : Tensor (rows, m) of bool, optional
            Pairs that do not count; never a row with its own partner.
        """

    def whole(self, scores: Tensor, excluded: Tensor | None) -> Tensor:
        """Return the loss of all scores (n, m), in steps that torch can differentiate any number of times."""


def compare(
    a: Tensor,
    b: Tensor,
    rule: Rule,
    divisor: float | Tensor,
    bias: float | Tensor | None = None,
    mask: SamePlace | None = None,
) -> Tensor:
    """Loss of scores ``a b^T / divisor + bias`` of rows ``a`` (n, d) and ``b`` (m, d), n <= m, by a rule.

    A divisor or a bias that is a tensor gets a gradient. Products run in autocast's dtype where that is on; everything
    else in the rows' own. The mask is of the rows of ``b``, whose first n lie where those of ``a`` do.

    Raises
    ------
    ValueError
        If the mask was made of another number of places than there are rows in ``b``.
    """
    if mask is not None and len(mask.points) != len(b):
        raise ValueError(
            f"the mask was made of {len(mask.points)} places, but there are {len(b)} candidates: give one place each"
        )
    divide, add = _scalar(divisor, a), None if bias is None else _scalar(bias, a)
    recording = torch.is_grad_enabled()
    wanted = tuple(recording and part is not None and part.requires_grad for part in (a, b, divide, add))
    points, cosine = (None, 0.0) if mask is None else mask
    loss: Tensor = _Compare.apply(a, b, divide, add, points, cosine, rule, wanted)[0]  # type: ignore[no-untyped-call]
    return loss


def _scalar(value: float | Tensor, like: Tensor) -> Tensor:
    """A number beside rows. It is filled in where they are: to copy it there, the host would wait for the device."""
    return value.to(like) if isinstance(value, Tensor) else like.new_full((), float(value))


class _Compare(torch.autograd.Function):
    """Inputs are rows, divisor, bias, places and their cosine, the rule, and which gradients are wanted."""

    @staticmethod
    def forward(
        a: Tensor,
        b: Tensor,
        divisor: Tensor,
        bias: Tensor | None,
        points: Tensor | None,
        cosine: float,
        rule: Rule,
        wanted: tuple[bool, ...],
    ) -> tuple[Tensor, ...]:
        mask = None if points is None else SamePlace(points, cosine)
        return _blockwise(a, b, divisor, bias, mask, rule, wanted)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        a, b, divisor, bias, points, ctx.cosine, ctx.rule, _ = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.save_for_backward(a, b, divisor, bias, points, *output[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        a, b, divisor, bias, points, *found = ctx.saved_tensors
        needed = ctx.needs_input_grad[:4]
        if torch.is_grad_enabled():
            inputs = [part for part, need in zip((a, b, divisor, bias), needed, strict=True) if need]
            excluded = None if points is None else SamePlace(points, ctx.cosine).pairs(slice(0, len(a)))
            scores = a @ b.T / divisor
            loss = ctx.rule.whole(scores if bias is None else scores + bias, excluded)
            graph = iter(torch.autograd.grad(loss, inputs, gradient, create_graph=True))
            return (*(next(graph) if need else None for need in needed), *(None,) * 4)
        return (*(gradient * part if need else None for part, need in zip(found, needed, strict=True)), *(None,) * 4)


def _blockwise(
    a: Tensor,
    b: Tensor,
    divisor: Tensor,
    bias: Tensor | None,
    mask: SamePlace | None,
    rule: Rule,
    wanted: tuple[bool, ...],
) -> tuple[Tensor, ...]:
    """Loss, and its gradients by a, b, divisor and bias, empty where they are not wanted."""
    count, device = len(a), a.device.type
    lower = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else a.dtype
    scaled, keys = (a / divisor).to(lower), b.to(lower)
    loss = a.new_zeros(())
    by_a, by_b, by_divisor, by_bias = (
        torch.zeros_like(part) if want and part is not None else a.new_empty(0)
        for part, want in zip((a, b, divisor, bias), wanted, strict=True)
    )
    rows, ranks = max(FEWEST_ROWS, BLOCK // len(b)), at_work()
    own_rows = ranks.part(count)
    with torch.autocast(device, enabled=False):
        for start in range(own_rows.start, own_rows.stop, rows):
            block = slice(start, min(start + rows, own_rows.stop))
            own = (a[block] * b[block]).sum(1) / divisor
            scores = (scaled[block] @ keys.T).to(a.dtype)
            if bias is not None:
                own, scores = own + bias, scores.add_(bias)
            excluded = None if mask is None else mask.pairs(block)
            part = rule.block(scores, own, start, excluded)
            loss += part.loss
            weights, share, at_own = part.weights.to(lower), part.share / count, part.own / count
            if by_a.numel() or by_divisor.numel():
                slopes = (weights @ keys).to(a.dtype).mul_(share).addcmul_(b[block], at_own)
                by_divisor -= (a[block] * slopes).sum() / divisor**2 if by_divisor.numel() else 0
                if by_a.numel():
                    torch.div(slopes, divisor, out=by_a[block])
            if by_b.numel():
                _add_product(by_b, weights.T, (scaled[block] * share).to(lower))
                by_b[block].addcmul_(a[block], at_own / divisor)
            if by_bias.numel():
                by_bias += (part.weights.sum(1, keepdim=True) * share + at_own).sum()
    ranks.add(loss, by_a, by_b, by_divisor, by_bias)
    return loss / count, by_a, by_b, by_divisor, by_bias


def _add_product(to: Tensor, left: Tensor, right: Tensor) -> None:
    """``to += left @ right``, in one step where dtypes allow."""
    if left.dtype == to.dtype:
        to.addmm_(left, right)
    else:
        to += left @ right
