"""Fine-tuning heads: a linear layer on the location embedding, how it gives probabilities, and its loss.

All heads have one interface, so that a fine-tuning loop needs no ``if``: ``head(embedding)`` gives logits,
``head.probabilities(embedding)`` P(class | location), ``head.loss(embedding, labels, background)`` a scalar, and
``head.needs_background`` says whether the loss reads embeddings of random background locations.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from locenc._names import check_count, check_number
from locenc_csp._tensors import check_tensors
from locenc_csp.presence import check_classes, full_loss, other_classes, slds_loss, ssdl_loss

__all__ = [
    "HEADS",
    "Head",
    "Predictor",
    "PresenceHead",
    "SLDSHead",
    "SSDLHead",
    "SigmoidHead",
    "SoftmaxHead",
    "full_loss",
]


class Predictor(nn.Module, ABC):
    """What evaluation asks of a head or a probe: P(class | location) of an embedding.

    Attributes
    ----------
    out_features : int
        Number of classes.
    """

    out_features: int

    @abstractmethod
    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class | location), (..., num_classes), of raw embeddings (..., dim)."""


class Head(nn.Linear, Predictor):
    """What fine-tuning asks of a head; a linear layer from embeddings (..., dim) to logits (..., num_classes)."""

    needs_background: bool = False

    def forward(self, embedding: Tensor) -> Tensor:
        """Logits (..., num_classes) of raw embeddings (..., dim)."""
        check_tensors(embedding=embedding)
        if not embedding.is_floating_point():
            raise TypeError(f"embeddings must be floating-point numbers, not {embedding.dtype}")
        if embedding.shape[-1:] != (self.in_features,):
            raise ValueError(f"embeddings must be (..., {self.in_features}), got {tuple(embedding.shape)}")
        return super().forward(embedding)

    @abstractmethod
    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Loss of raw embeddings (B, dim) with integer labels (B,), and embeddings (M, dim) of background."""


class SigmoidHead(Head):
    """One sigmoid per class and no bias: what heads of presence-only labels share; see `locenc_csp.presence`.

    Its probabilities do not sum to 1: each is the chance that the class is seen there.

    Parameters
    ----------
    dim : int
        Size of the location embedding.
    num_classes : int
        K.
    background_weight : float
        Weight of the random background locations in the loss.
    entropy : bool
        Where absence is assumed, maximise the entropy instead (SINR's variants ``_me``).
    csp_compat : bool
        The CSP code's arithmetic; see `full_loss`.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        background_weight: float = 1.0,
        entropy: bool = False,
        csp_compat: bool = False,
    ) -> None:
        if not 0 <= check_number("background_weight", background_weight) < float("inf"):
            raise ValueError(f"background_weight must be finite and >= 0, got {background_weight!r}")
        super().__init__(check_count("dim", dim), check_count("num_classes", num_classes), bias=False)
        self.background_weight = background_weight
        self.entropy = entropy
        self.csp_compat = csp_compat
        self.needs_background = background_weight > 0

    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class seen here), (..., num_classes), each in [0, 1], of raw embeddings (..., dim)."""
        return torch.sigmoid(self(embedding))

    def background_logits(self, background: Tensor | None) -> Tensor:
        """Logits of the background; ValueError if it is missing."""
        if background is None:
            raise ValueError(
                f"{type(self).__name__} with background_weight > 0 needs background=, embeddings of random locations"
            )
        logits: Tensor = self(background)
        return logits


class PresenceHead(SigmoidHead):
    """A `SigmoidHead` that is trained with `full_loss`, as in Mac Aodha et al. 2019, CSP, and SINR (AN-full).

    Parameters
    ----------
    dim, num_classes, entropy, csp_compat
        As in `SigmoidHead`.
    background_weight : float
        Weight of the random background locations in the loss; at 0 it needs none.
    positive_weight : float, optional
        Of what was seen: K unless given; 2048 in SINR.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        background_weight: float = 1.0,
        positive_weight: float | None = None,
        entropy: bool = False,
        csp_compat: bool = False,
    ) -> None:
        if positive_weight is not None and not 0 < check_number("positive_weight", positive_weight) < float("inf"):
            raise ValueError(f"positive_weight must be finite and > 0, got {positive_weight!r}")
        super().__init__(dim, num_classes, background_weight=background_weight, entropy=entropy, csp_compat=csp_compat)
        self.positive_weight = positive_weight

    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return the `full_loss`; ValueError if background is needed and missing."""
        return full_loss(
            self(embedding),
            labels,
            self.background_logits(background) if self.needs_background else None,
            positive_weight=self.positive_weight,
            background_weight=self.background_weight,
            entropy=self.entropy,
            csp_compat=self.csp_compat,
        )


class SSDLHead(SigmoidHead):
    """A `SigmoidHead` that is trained with `locenc_csp.presence.ssdl_loss`: same class, other place.

    The parameters are those of `SigmoidHead`; the background's weight must be positive.
    """

    def __init__(
        self,
        dim: int,
        num_classes: int,
        *,
        background_weight: float = 1.0,
        entropy: bool = False,
        csp_compat: bool = False,
    ) -> None:
        if background_weight == 0:
            raise ValueError("background_weight must be > 0: without background this loss knows no absence")
        super().__init__(dim, num_classes, background_weight=background_weight, entropy=entropy, csp_compat=csp_compat)

    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return the loss; ``background`` (C*B, dim) has row c*B + i for row i, ValueError if it is missing."""
        return ssdl_loss(
            self(embedding),
            labels,
            self.background_logits(background),
            background_weight=self.background_weight,
            entropy=self.entropy,
            csp_compat=self.csp_compat,
        )


class SLDSHead(SigmoidHead):
    """A `SigmoidHead` that is trained with `locenc_csp.presence.slds_loss`: same place, one random other class.

    Parameters
    ----------
    dim, num_classes, entropy, csp_compat
        As in `SigmoidHead`; at least 2 classes.
    """

    def __init__(self, dim: int, num_classes: int, *, entropy: bool = False, csp_compat: bool = False) -> None:
        super().__init__(dim, num_classes, background_weight=0.0, entropy=entropy, csp_compat=csp_compat)

    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return the loss; other classes are drawn by torch's global generator, ``background`` is not looked at."""
        logits = self(embedding)
        check_classes(logits, labels)
        absent = other_classes(labels, self.out_features)
        return slds_loss(logits, labels, absent, entropy=self.entropy, csp_compat=self.csp_compat)


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
        super().__init__(check_count("dim", dim), check_count("num_classes", num_classes))

    def probabilities(self, embedding: Tensor) -> Tensor:
        """P(class | location), (..., num_classes), rows sum to 1, of raw embeddings (..., dim)."""
        return torch.softmax(self(embedding), -1)

    def loss(self, embedding: Tensor, labels: Tensor, background: Tensor | None = None) -> Tensor:
        """Return the mean cross-entropy; ``background`` is not looked at."""
        logits = self(embedding)
        check_classes(logits, labels)
        return functional.cross_entropy(logits, labels.long())


HEADS: dict[str, Callable[[int, int], Head]] = {
    "softmax": SoftmaxHead,
    "presence": PresenceHead,
    "presence-csp": partial(PresenceHead, csp_compat=True),
    "an-full": partial(PresenceHead, positive_weight=2048.0),
    "an-full-me": partial(PresenceHead, positive_weight=2048.0, entropy=True),
    "an-ssdl": SSDLHead,
    "an-ssdl-me": partial(SSDLHead, entropy=True),
    "an-slds": SLDSHead,
    "an-slds-me": partial(SLDSHead, entropy=True),
}
"""By the names of recipes, called with the size of the embedding and the number of classes. ``an-``: of SINR;
``presence-csp``: in the arithmetic of the published CSP code."""
