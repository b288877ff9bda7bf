"""Projections without pyproj: the globe in Equal Earth, a part of it as a rectangle of degrees."""

import math

import numpy as np
import torch

from locenc.coords import equal_earth
from locenc.maps.projection import Box, Floats, Projection

_COEFFICIENTS = (1.340264, -0.081106, 0.000893, 0.003796)  # of Šavrič, Patterson & Jenny 2019, equation 7


def world() -> Projection:
    """The globe in the Equal Earth projection, in radii of the sphere (Šavrič, Patterson & Jenny 2019)."""
    return Projection("Equal Earth", _equal_earth, _equal_earth_inverse, (-180, -90, 180, 90), exact=True)


def rectangle(bounds: Box) -> Projection:
    """A part of the globe as a rectangle of degrees, with lengths along its middle parallel and meridians true."""
    west, south, east, north = bounds
    middle, centre = (south + north) / 2, (west + east) / 2
    scale = math.cos(math.radians(middle))
    stretch, shift = np.array([scale, 1.0]), np.array([centre, 0.0])
    return Projection(
        "Equirectangular",
        lambda places: (places - shift) * stretch,
        lambda points: points / stretch + shift,
        bounds,
        centre,
        scale=scale,
    )


def _equal_earth(places: Floats) -> Floats:
    points: Floats = equal_earth(torch.tensor(places)).numpy()
    return points


def _equal_earth_inverse(points: Floats) -> Floats:
    """Latitude by Newton's method (Šavrič et al. 2019, equations 10 to 12)."""
    a, b, c, d = _COEFFICIENTS
    x, y = points.T
    theta = np.clip(y, -1.5, 1.5)
    for _ in range(12):
        square = theta * theta
        sixth = square**3
        slope = a + 3 * b * square + sixth * (7 * c + 9 * d * square)
        theta = theta - (theta * (a + b * square + sixth * (c + d * square)) - y) / slope
    with np.errstate(invalid="ignore", divide="ignore"):
        square = theta * theta
        slope = a + 3 * b * square + square**3 * (7 * c + 9 * d * square)
        lat = np.arcsin(2 * np.sin(theta) / math.sqrt(3))
        lon = math.sqrt(3) * x * slope / (2 * np.cos(theta))
        places = np.rad2deg(np.stack([lon, lat], 1))
    places[~(np.abs(places[:, 0]) <= 180 + 1e-9)] = np.nan  # beside the map
    places[:, 0] = places[:, 0].clip(-180, 180)
    found: Floats = places
    return found
