"""Random displacement of coordinates in metres, the same in all directions and at all latitudes."""

import math

import torch
from torch import Tensor

from locenc.coords import unit_sphere
from locenc_csp._sphere import EARTH_RADIUS_KM

__all__ = ["jitter"]


def jitter(lonlat: Tensor, metres: float, generator: torch.Generator) -> Tensor:
    """Move each place to a random one within a distance, uniform by area on the sphere.

    Parameters
    ----------
    lonlat : Tensor (N, 2)
        (longitude, latitude) in degrees.
    metres : float
        Largest distance, > 0 and at most half of the Earth's circumference.
    generator : torch.Generator
        The only source of randomness, on the places' device.

    Returns
    -------
    Tensor (N, 2)
        float64 degrees.

    Notes
    -----
    A share u of the disc's area lies within the angle d of its centre, with sin(d/2) = √u·sin(R/2); the new place is
    x·cos d + t·sin d with t the unit tangent at x in a uniform direction. (SatCLIP adds uniform numbers up to 0.01° to
    both coordinates: to the north-east, and by less metres to the east the nearer a pole is.)

    Examples
    --------
    >>> moved = jitter(torch.tensor([[25.0, 90.0]]), 1000.0, torch.Generator().manual_seed(0))
    >>> bool(moved[0, 1] > 89.99)
    True
    """
    share, turn = torch.rand(2, len(lonlat), dtype=torch.float64, generator=generator, device=generator.device)
    reach = metres / 1000 / EARTH_RADIUS_KM
    angle = 2 * torch.asin(share.sqrt() * math.sin(reach / 2)).to(lonlat.device)[:, None]
    azimuth = (2 * math.pi * turn).to(lonlat.device)[:, None]
    lon, lat = torch.deg2rad(lonlat.double()).unbind(-1)
    east = torch.stack([-lon.sin(), lon.cos(), torch.zeros_like(lon)], -1)
    north = torch.stack([-lat.sin() * lon.cos(), -lat.sin() * lon.sin(), lat.cos()], -1)
    x, y, z = (unit_sphere(lonlat) * angle.cos() + (east * azimuth.sin() + north * azimuth.cos()) * angle.sin()).unbind(
        -1
    )
    return torch.rad2deg(torch.stack([torch.atan2(y, x), torch.atan2(z, torch.hypot(x, y))], -1))
