"""One training step of contrastive spatial pre-training (CSP-MC-BLD) in the arithmetic of the published code.

Written anew from its description: positions are encoded in NumPy, float64 and then float32, in each of the three passes
(locations, random locations, locations again), rows are divided by their plain norm, and the two softmax terms are
cross entropies of whole B×B matrices.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

Array = np.ndarray[Any, np.dtype[Any]]

NUM_SCALES, LEAST, MOST = 32, 0.1, 360.0
HIDDEN, DIM, FEATURES = 512, 256, 2048
TEMPERATURE = {"B": 20.0, "L": 1.0, "D": 1.0}


class Official(nn.Module):
    """The location encoder (Space2Vec grid, two layers) and the linear map of image features.

    Parameters
    ----------
    dropout : float
        After each layer's activation, the last one's too.
    """

    def __init__(self, dropout: float = 0.5) -> None:
        super().__init__()
        self.radii = LEAST * np.exp(np.arange(NUM_SCALES) * math.log(MOST / LEAST) / (NUM_SCALES - 1))
        self.hidden = nn.Sequential(
            nn.Linear(4 * NUM_SCALES, HIDDEN), nn.LeakyReLU(0.2), nn.Dropout(dropout), nn.LayerNorm(HIDDEN)
        )
        self.last = nn.Sequential(nn.Linear(HIDDEN, DIM), nn.LeakyReLU(0.2), nn.Dropout(dropout))
        self.image = nn.Linear(FEATURES, DIM)

    def positions(self, lonlat: Tensor) -> Tensor:
        """Features (B, 128): longitude, then latitude, sine beside cosine for each scale."""
        phases = lonlat.numpy().astype(np.float64)[:, :, None] / self.radii
        waves = np.stack([np.sin(phases), np.cos(phases)], axis=-1)
        return torch.FloatTensor(waves.reshape(len(waves), -1))

    def locate(self, lonlat: Tensor) -> Tensor:
        """Raw embeddings (B, 256)."""
        embedding: Tensor = self.last(self.hidden(self.positions(lonlat)))
        return embedding

    def forward(self, lonlat: Tensor, features: Tensor, random: Tensor) -> Tensor:
        """Loss of a batch; one random location for each pair."""
        location, image, negatives = self.locate(lonlat), self.image(features), self.locate(random)
        return objective(location, image, negatives, self.locate(lonlat))


def objective(location: Tensor, image: Tensor, negatives: Tensor, twin: Tensor) -> Tensor:
    """CSP-MC-BLD of raw embeddings, each (B, d)."""
    location, image, negatives, twin = (
        rows / torch.norm(rows, dim=-1, keepdim=True) for rows in (location, image, negatives, twin)
    )
    own = torch.arange(len(location))
    batch = functional.cross_entropy(location @ image.T / TEMPERATURE["B"], own)
    pairs = (torch.stack([location, negatives]) * image).sum(-1).T / TEMPERATURE["L"]
    random = functional.cross_entropy(pairs, torch.zeros(len(pairs), dtype=torch.int64))
    dropout = functional.cross_entropy(location @ twin.T / TEMPERATURE["D"], own)
    return batch + random + dropout


def ellipse(count: int) -> Tensor:
    """Random locations as the published runs draw them: x and y of a point on the sphere, times 180 and 90."""
    uniform = torch.rand(count, 2) * 2 - 1
    angle = (uniform[:, 1] + 1) * math.pi
    radius = (1 - uniform[:, 0] ** 2).sqrt()
    return torch.stack([180 * radius * angle.cos(), 90 * radius * angle.sin()], 1)


def trainer(model: Official, lonlat: Tensor, features: Tensor) -> Callable[[], float]:
    """A step of Adam as a function without arguments, which returns the loss."""
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-4)

    def step() -> float:
        optimiser.zero_grad()
        loss = model(lonlat, features, ellipse(len(lonlat)))
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step
