"""What tests of kernels share: points of the globe, and the bytes of a tensor."""

import numpy as np
import torch
from torch import Tensor


def globe(count: int, seed: int = 0) -> Tensor:
    """Points uniform on the sphere, degrees, float64."""
    rng = np.random.default_rng(seed)
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    return torch.from_numpy(np.stack([rng.uniform(-180, 180, count), lat], axis=1))


def rectangle(count: int, seed: int = 0) -> Tensor:
    """Points uniform in longitude and latitude, degrees, float64."""
    drawn = torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn * torch.tensor([360.0, 180.0]) - torch.tensor([180.0, 90.0])


def bits(tensor: Tensor) -> bytes:
    """All bytes, in order."""
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()
