"""The optimiser of a schedule, and how its learning rate moves."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from locenc_csp.recipes import Schedule


class Group(NamedTuple):
    """A module that is trained with a learning rate or a weight decay of its own.

    Attributes
    ----------
    module : Module
        All of its parameters.
    lr_factor : float
        Times the schedule's learning rate.
    weight_decay : float or None
        The schedule's when None.
    """

    module: nn.Module
    lr_factor: float = 1.0
    weight_decay: float | None = None


def make_optimiser(model: nn.Module, schedule: Schedule, groups: Sequence[Group] = ()) -> torch.optim.AdamW:
    """AdamW for all parameters with ``requires_grad``; without weight decay it is Adam.

    Parameters
    ----------
    model : Module
        What is trained.
    schedule : Schedule
        Learning rate and weight decays.
    groups : sequence of Group
        Parts of the model that have their own.

    Returns
    -------
    AdamW
        One group for each pair of learning rate and weight decay. Scalars, learned temperatures, never decay.
    """
    owners = {id(parameter): group for group in groups for parameter in group.module.parameters()}
    parts: dict[tuple[float, float, bool], list[nn.Parameter]] = {}
    for parameter in (one for one in model.parameters() if one.requires_grad):
        owner = owners.get(id(parameter), Group(model))
        decay = schedule.weight_decay if owner.weight_decay is None else owner.weight_decay
        if parameter.ndim == 1 and schedule.vector_decay is not None:
            decay = schedule.vector_decay
        key = (schedule.lr * owner.lr_factor, decay if parameter.ndim else 0.0, parameter.ndim == 0)
        parts.setdefault(key, []).append(parameter)
    ordered = sorted(parts.items(), key=lambda part: part[0][2])  # scalars last
    return torch.optim.AdamW(
        [{"params": members, "lr": lr, "weight_decay": decay} for (lr, decay, _), members in ordered],
        lr=schedule.lr,
        weight_decay=schedule.weight_decay,
        fused=True,
    )


def make_rate(
    optimiser: torch.optim.Optimizer, schedule: Schedule, *, num_steps: int, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """One cycle over all steps; or, with ``lr_decay``, a factor for each epoch, lr * lr_decay^epoch."""
    if schedule.lr_decay is None:
        peaks = [group["lr"] for group in optimiser.param_groups]
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, peaks, total_steps=num_steps + 1)
    decay = schedule.lr_decay
    return torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: decay ** (step // steps_per_epoch))
