"""Losses of presence-only labels: somebody saw one class at a place, and nobody says what is absent there.

Pure functions of logits before a sigmoid, one for each class. What stands in for absence differs: every other class
here and every class at random places (`full_loss`, AN-full), the same class at a random place (`ssdl_loss`), one random
other class here (`slds_loss`). With ``entropy=True`` (the variants ``_me`` of SINR) that part is replaced by the
negated entropy: the model shall be undecided there, instead of sure of absence.
"""

import torch
from torch import Tensor

from locenc._names import and_more, check_number
from locenc_csp._tensors import check_tensors
from locenc_csp.logistic import entropy as undecided
from locenc_csp.logistic import surprise

__all__ = ["check_classes", "full_loss", "other_classes", "slds_loss", "ssdl_loss", "user_loss"]


def full_loss(
    logits: Tensor,
    labels: Tensor,
    background_logits: Tensor | None = None,
    *,
    positive_weight: float | None = None,
    background_weight: float = 1.0,
    entropy: bool = False,
    csp_compat: bool = False,
) -> Tensor:
    """Presence-only loss: a class was seen here, every other class and every class elsewhere counts as absent.

    ``1/(B·K) · sum_i [ λ·(-log p_iy) + sum_{k≠y} -log(1 - p_ik) ] + w · mean_ik -log(1 - q_ik)`` with p and q the
    sigmoid of the logits at the locations and at the background locations.

    Parameters
    ----------
    logits : Tensor (B, K)
        Before the sigmoid.
    labels : Tensor (B,)
        Integer classes in 0 .. K-1.
    background_logits : Tensor (M, K), optional
        At random background locations, any number of them. None leaves the last part out.
    positive_weight : float, optional
        λ; K unless given, as in Mac Aodha et al. and in CSP. SINR (AN-full) takes 2048.
    background_weight : float
        w, >= 0. (In the CSP code it is one option with the weight of L in pre-training.)
    entropy : bool
        Take the negated entropy of p and q instead of -log(1 - p) and -log(1 - q).
    csp_compat : bool
        The CSP code's arithmetic, -log(p + 1e-5), instead of the stable form; SINR's code does the same.

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
    Mac Aodha, Cole & Perona 2019, ICCV ("full loss"); Mai et al. 2023, ICML, for fine-tuning; Cole et al. 2023, ICML
    (SINR, "AN-full").
    """
    num_classes = check_classes(logits, labels)
    own = labels.long()[:, None]
    present = surprise(logits.gather(1, own), csp_compat=csp_compat)
    weight = num_classes if positive_weight is None else check_number("positive_weight", positive_weight)
    loss = _absence(logits, entropy, csp_compat).scatter(1, own, weight * present).mean()
    if background_logits is None:
        return loss
    _check_background(background_logits, num_classes)
    return (
        loss
        + check_number("background_weight", background_weight) * _absence(background_logits, entropy, csp_compat).mean()
    )


def ssdl_loss(
    logits: Tensor,
    labels: Tensor,
    background_logits: Tensor,
    *,
    background_weight: float = 1.0,
    entropy: bool = False,
    csp_compat: bool = False,
) -> Tensor:
    """AN-SSDL: the class was seen here, and it counts as absent at a random place (same species, other place).

    ``mean_i -log p_iy + w · mean_i -log(1 - q_iy)``.

    Parameters
    ----------
    logits : Tensor (B, K)
        Before the sigmoid.
    labels : Tensor (B,)
        Integer classes in 0 .. K-1.
    background_logits : Tensor (C*B, K)
        At random background locations; row c*B + i belongs to row i.
    background_weight : float
        w, >= 0.
    entropy, csp_compat : bool
        As in `full_loss`.

    Returns
    -------
    Tensor ()
        The loss.

    Raises
    ------
    TypeError, ValueError
        As `full_loss`, and for a background that is not C whole batches.

    Notes
    -----
    Cole et al. 2023, "Spatial implicit neural representations for global-scale species mapping" (SINR), ICML.
    """
    num_classes = check_classes(logits, labels)
    _check_background(background_logits, num_classes)
    if len(background_logits) % len(logits):
        raise ValueError(
            f"the background must be C whole batches (row c*B + i belongs to row i), but {len(background_logits)} rows "
            f"are no multiple of {len(logits)}"
        )
    own = labels.long()[:, None]
    present = surprise(logits.gather(1, own), csp_compat=csp_compat).mean()
    there = background_logits.gather(1, own.repeat(len(background_logits) // len(logits), 1))
    return present + check_number("background_weight", background_weight) * _absence(there, entropy, csp_compat).mean()


def slds_loss(
    logits: Tensor, labels: Tensor, absent: Tensor, *, entropy: bool = False, csp_compat: bool = False
) -> Tensor:
    """AN-SLDS: the class was seen here, and one random other class counts as absent here (same place, other species).

    ``mean_i -log p_iy + mean_i -log(1 - p_ik)`` with k the class in ``absent``.

    Parameters
    ----------
    logits : Tensor (B, K)
        Before the sigmoid.
    labels, absent : Tensor (B,)
        Integer classes in 0 .. K-1: what was seen, and what counts as absent (see `other_classes`).
    entropy, csp_compat : bool
        As in `full_loss`.

    Returns
    -------
    Tensor ()
        The loss.

    Raises
    ------
    TypeError, ValueError
        As `full_loss`, for both kinds of classes.

    Notes
    -----
    Cole et al. 2023 (SINR), ICML.
    """
    check_classes(logits, labels)
    check_classes(logits, absent)
    present = surprise(logits.gather(1, labels.long()[:, None]), csp_compat=csp_compat).mean()
    return present + _absence(logits.gather(1, absent.long()[:, None]), entropy, csp_compat).mean()


def other_classes(labels: Tensor, num_classes: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw for each label another class, all others being equally likely.

    Parameters
    ----------
    labels : Tensor (B,)
        Integer classes in 0 .. num_classes-1.
    num_classes : int
        At least 2.
    generator : torch.Generator, optional
        On the labels' device; torch's global one unless given.

    Returns
    -------
    Tensor (B,)
        int64, on the labels' device.

    Raises
    ------
    ValueError
        If there is no other class.
    """
    if num_classes < 2:
        raise ValueError(f"there is no other class to draw: num_classes must be at least 2, got {num_classes}")
    drawn = torch.randint(num_classes - 1, labels.shape, generator=generator, device=labels.device)
    return drawn + (drawn >= labels)


def user_loss(
    user: Tensor,
    location: Tensor,
    background: Tensor,
    class_weight: Tensor,
    labels: Tensor,
    *,
    csp_compat: bool = False,
) -> Tensor:
    """Add to `full_loss` what a photographer's embedding explains: where, and of what, they take photographs.

    ``mean_i [ -log σ(u_i·e_i) - log(1 - σ(u_i·g_i)) ]``, plus the `full_loss` of the logits ``u c^T`` alone.

    Parameters
    ----------
    user, location, background : Tensor (B, d)
        Raw embeddings of the photographer (u), the place (e) and a random place (g) of each example.
    class_weight : Tensor (K, d)
        Embeddings of the classes (c).
    labels : Tensor (B,)
        Integer classes in 0 .. K-1.
    csp_compat : bool
        As in `full_loss`.

    Returns
    -------
    Tensor ()
        What is added; the sum is the CSP code's ``full_loss_user``, in which the background has weight 1.

    Raises
    ------
    TypeError, ValueError
        As `full_loss`, and for embeddings of different shapes.

    Notes
    -----
    Mac Aodha, Cole & Perona 2019, ICCV.
    """
    if user.ndim != 2 or user.shape != location.shape or user.shape != background.shape:
        raise ValueError(
            "user, location and background must be matrices of one shape (B, d), got "
            f"{tuple(user.shape)}, {tuple(location.shape)} and {tuple(background.shape)}"
        )
    here = surprise((user * location).sum(1), csp_compat=csp_compat).mean()
    elsewhere = surprise((user * background).sum(1), present=False, csp_compat=csp_compat).mean()
    return here + elsewhere + full_loss(user @ class_weight.T, labels, csp_compat=csp_compat)


def check_classes(logits: Tensor, labels: Tensor) -> int:
    """Check labels against logits (B, K); return K. Values only on the CPU, where looking costs nothing.

    Raises
    ------
    TypeError
        If labels are not integers.
    ValueError
        For shapes that do not match, an empty batch, or a label out of range.
    """
    check_tensors(logits=logits, labels=labels)
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating-point numbers, not {logits.dtype}")
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


def _absence(logits: Tensor, entropy: bool, csp_compat: bool) -> Tensor:
    """What each logit costs where the class is taken to be absent, or to be undecided."""
    if entropy:
        return -undecided(logits, csp_compat=csp_compat)
    return surprise(logits, present=False, csp_compat=csp_compat)


def _check_background(logits: Tensor, num_classes: int) -> None:
    check_tensors(background_logits=logits)
    if not logits.is_floating_point():
        raise TypeError(f"background logits must be floating-point numbers, not {logits.dtype}")
    if logits.ndim != 2 or logits.shape[1] != num_classes or len(logits) == 0:
        raise ValueError(f"background logits must have shape (M, {num_classes}), got {tuple(logits.shape)}")
