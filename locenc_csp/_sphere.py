"""Distances on the sphere."""

import torch
from torch import Tensor

from locenc.coords import unit_sphere

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""


def great_circle_km(first: Tensor, second: Tensor) -> Tensor:
    """Distance on the sphere in km between points (..., 2) in degrees, float64; leading axes broadcast."""
    chord = torch.linalg.vector_norm(unit_sphere(first) - unit_sphere(second), dim=-1)
    return 2 * EARTH_RADIUS_KM * torch.asin((chord / 2).clamp_max(1.0))
