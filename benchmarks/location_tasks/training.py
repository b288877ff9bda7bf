"""One network for one task: trained on the training places, scored on the test places."""

import time
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.location_tasks.candidates import Candidate, build
from benchmarks.location_tasks.protocol import Protocol
from benchmarks.location_tasks.tasks import Task, World

ROWS = 4096
"""Test places that are embedded at once."""


class Score(NamedTuple):
    """What came of a network.

    Attributes
    ----------
    score : float
        R² for numbers, accuracy for classes.
    seconds : float
        Seconds of the processor: position features, training, prediction.
    """

    score: float
    seconds: float


def train_and_score(
    candidate: Candidate, world: World, split: str, task_name: str, learning_rate: float, *, on: str = "test"
) -> Score:
    """Train an encoder and a linear layer on a task, and score them on test or validation places.

    Position features that are not trained are computed once. Numbers are scaled to mean 0 and variance 1 of the
    training places; the loss is their squared error, or the cross-entropy of classes.

    Parameters
    ----------
    candidate : Candidate
        Who.
    world : World
        Places, tasks and splits; its seed is that of weights, batches and what the encoder draws, too.
    split, task_name : str
        Which.
    learning_rate : float
        The highest.
    on : str
        ``"test"`` or ``"val"``.
    """
    start = time.process_time()
    protocol, seed, task, rows = world.protocol, world.seed, world.task(task_name), world.rows(split)
    train, test = rows.train, getattr(rows, on)
    torch.manual_seed(seed)
    encoder = build(candidate, protocol, seed)
    head = nn.Linear(encoder.dim, task.num_classes or 1)
    places = torch.from_numpy(world.places.lonlat)
    fixed = not any(True for _ in encoder.position.parameters())
    model: nn.Module
    if fixed:
        model = nn.Sequential(encoder.network, head)
        with torch.no_grad():
            train_in, test_in = (encoder.position(places[part]) for part in (train, test))
    else:
        model = nn.Sequential(encoder, head)
        train_in, test_in = (places[part] for part in (train, test))
    targets, centre, scale = _targets(task, train)
    _train(model, train_in, targets, protocol, seed, learning_rate)
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part) for part in test_in.split(ROWS)])
    truth = task.values[test]
    if task.num_classes:
        value = float((found.argmax(1).numpy() == truth).mean())
    else:
        value = r_squared(found[:, 0].numpy() * scale + centre, truth)
    return Score(value, time.process_time() - start)


def r_squared(predicted: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """1 - squared error / squared deviation of the true values from their mean."""
    return float(1 - ((truth - predicted) ** 2).sum() / ((truth - truth.mean()) ** 2).sum())


def _targets(task: Task, train: NDArray[np.int64]) -> tuple[Tensor, float, float]:
    """Targets of the training places; numbers with the mean and standard deviation that they were scaled by."""
    values = task.values[train]
    if task.num_classes:
        return torch.from_numpy(values), 0.0, 1.0
    centre, scale = float(values.mean()), float(values.std())
    return torch.from_numpy((values - centre) / scale).float(), centre, scale


def _train(
    model: nn.Module, inputs: Tensor, targets: Tensor, protocol: Protocol, seed: int, learning_rate: float
) -> None:
    optimiser = torch.optim.AdamW(model.parameters(), lr=learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=learning_rate, total_steps=protocol.steps, cycle_momentum=False
    )
    generator = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(protocol.steps):
        batch = torch.randint(len(inputs), (protocol.batch,), generator=generator)
        found, wanted = model(inputs[batch]), targets[batch]
        if wanted.is_floating_point():
            loss = functional.mse_loss(found[:, 0], wanted)
        else:
            loss = functional.cross_entropy(found, wanted)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
