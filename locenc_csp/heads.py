"""Fine-tuning heads: a linear layer on the location embedding, how it gives probabilities, and its loss.

Both heads have one interface, so that a fine-tuning loop needs no ``if``: ``head(embedding)`` gives logits,
``head.probabilities(embedding)`` P(class | location), ``head.loss(embedding, labels, background)`` a scalar, and
``head.needs_background`` says whether the loss reads embeddings of random background locations.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from locenc._names import and_more
from locenc_csp.terms import surprise

__all__ = ["Head", "PresenceHead", "SoftmaxHead", "full_loss"]


def full_loss(
    logits: Tensor,
    labels: Tensor,
    background_logits: Tensor | None = None,
    *,
    background_weight: float = 1.0,
    csp_compat: bool = False,
) -> Tensor:
    """Presence-only loss: a class was seen here, every other class and every class elsewhere counts as absent.

    ``1/(B·K) · sum_i [ K·(-log p_iy) + sum_{k≠y} -log(1 - p_ik) ] + w · mean_ik -log(1 - q_ik)`` with p and q the
    sigmoid of the logits at the locations and at the background locations.

    Parameters
    ----------
    logits : Tensor (B, K)
        Before the sigmoid.
    labels : Tensor (B,)
        Integer classes in 0 .. K-1.
    background_logits : Tensor (M, K), optional
        At random background locations, any number of them. None leaves the last part out.
    background_weight : float
        w, >= 0. (In the CSP code it is one option with the weight of L in pre-training.)
    csp_compat : bool
        The CSP code's arithmetic, -log(p + 1e-5), instead of the stable form.

    Returns
    -------
    Tensor ()
        The loss.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        For shapes that do not match, an empty batch, or a label out of range (checked on the CPU only).

    Notes
    -----
    Mac Aodha, Cole & Perona 2019, ICCV ("full loss"); Mai et al. 2023, ICML, for fine-tuning.
    """
    num_classes = _check(logits, labels)
    own = labels.long()[:, None]
    present = surprise(logits.gather(1, own), csp_compat=csp_compat)
    absent = surprise(logits, present=False, csp_compat=csp_compat)
    loss = absent.scatter(1, own, num_classes * present).mean()
    if background_logits is None:
        return loss
    if background_logits.ndim != 2 or background_logits.shape[1] != num_classes or len(background_logits) == 0:
        raise ValueError(f"background logits must have shape (M, {num_classes}), got {tuple(background_logits.shape)}")
    elsewhere = surprise(background_logits, present=False, csp_compat=csp_compat).mean()
    return loss + background_weight * elsewhere


class Head(nn.Linear, ABC):
    """What fine-tuning asks of a head; a linear layer from embeddings (..., dim) to logits (..., num_classes)."""

    needs_background: bool = False

    @abstractmethod
    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class | location), (..., num_classes), of raw embeddings (..., dim)."""

    @abstractmethod
    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Loss of raw embeddings (B, dim) with integer labels (B,), and embeddings (M, dim) of background."""


class PresenceHead(Head):
    """One sigmoid per class and no bias, as in Mac Aodha et al. 2019 and CSP; trained with `full_loss`.

    Its probabilities do not sum to 1: each is the chance that the class is seen there.

    Parameters
    ----------
    dim : int
        Size of the location embedding.
    num_classes : int
        K.
    background_weight : float
        Weight of the random background locations in the loss; at 0 it needs none.
    csp_compat : bool
        The CSP code's arithmetic; see `full_loss`.
    """

    def __init__(self, dim: int, num_classes: int, *, background_weight: float = 1.0, csp_compat: bool = False) -> None:
        if not 0 <= background_weight < float("inf"):
            raise ValueError(f"background_weight must be finite and >= 0, got {background_weight!r}")
        super().__init__(dim, num_classes, bias=False)
        self.background_weight = background_weight
        self.csp_compat = csp_compat
        self.needs_background = background_weight > 0

    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class seen here), (..., num_classes), each in [0, 1], of raw embeddings (..., dim)."""
        return torch.sigmoid(self(embedding))

    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return the `full_loss`; ValueError if background is needed and missing."""
        if self.needs_background and background is None:
            raise ValueError(
                "PresenceHead with background_weight > 0 needs background=, embeddings of random locations"
            )
        return full_loss(
            self(embedding),
            labels,
            self(background) if self.needs_background else None,
            background_weight=self.background_weight,
            csp_compat=self.csp_compat,
        )


class SoftmaxHead(Head):
    """One class per place: a linear layer with bias, softmax, and cross-entropy.

    Parameters
    ----------
    dim : int
        Size of the location embedding.
    num_classes : int
        K.
    """

    def __init__(self, dim: int, num_classes: int) -> None:
        super().__init__(dim, num_classes)

    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class | location), (..., num_classes), rows sum to 1, of raw embeddings (..., dim)."""
        return torch.softmax(self(embedding), -1)

    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy; ``background`` is not looked at."""
        logits = self(embedding)
        _check(logits, labels)
        return functional.cross_entropy(logits, labels.long())


def _check(logits: Tensor, labels: Tensor) -> int:
    """Check labels against logits (B, K); return K. Values only on the CPU, where looking costs nothing."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(f"logits must be (B, K) and labels (B,), got {tuple(logits.shape)} and {tuple(labels.shape)}")
    if len(labels) == 0:
        raise ValueError("the batch is empty: there is no label to learn from; skip such a batch")
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise TypeError(f"labels must be integer class numbers, got {labels.dtype}")
    num_classes = logits.shape[1]
    if labels.device.type == "cpu":
        bad = ((labels < 0) | (labels >= num_classes)).nonzero()[:, 0]
        if len(bad):
            first = int(bad[0])
            raise ValueError(
                f"labels must lie in 0 .. {num_classes - 1}, but row {first} has {int(labels[first])}"
                f"{and_more(len(bad))}; "
                "-1 means a missing label: leave such rows out of fine-tuning"
            )
    return num_classes
