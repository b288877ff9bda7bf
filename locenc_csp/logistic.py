"""Logits as chances: what an answer yes or no costs, and how undecided it is."""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["EPSILON", "entropy", "surprise"]

EPSILON = 1e-5
"""What the CSP and SINR codes add inside their logarithms."""


def surprise(logits: Tensor, *, present: bool = True, csp_compat: bool = False) -> Tensor:
    """-log σ(logits), or -log(1 - σ(logits)) where ``present`` is false; elementwise, any shape.

    The stable form by default. ``csp_compat=True`` is the CSP code's -log(p + 1e-5), which cannot exceed 11.5
    and hardly corrects confident errors.
    """
    if not csp_compat:
        return -functional.logsigmoid(logits if present else -logits)  # softplus is cut off at 20
    probability = torch.sigmoid(logits)
    return -torch.log((probability if present else 1 - probability) + EPSILON)


def entropy(logits: Tensor, *, csp_compat: bool = False) -> Tensor:
    """Entropy in nats of a yes or no with chance p = σ(logits), ``-p log p - (1-p) log(1-p)``; elementwise, any shape.

    ``csp_compat=True`` adds 1e-5 inside the logarithms, as SINR's code does.
    """
    probability = torch.sigmoid(logits)
    yes = probability * surprise(logits, csp_compat=csp_compat)
    return yes + (1 - probability) * surprise(logits, present=False, csp_compat=csp_compat)
