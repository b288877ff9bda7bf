"""Spherical harmonics to 50 digits: what errors are measured against.

The recurrence of normalised Legendre functions of one order, powers of the cosine of the latitude inside, which is not
the library's; mpmath all the way.
"""

from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import torch
from torch import Tensor

mp = mpmath.mp.clone()
mp.dps = 60
STEP = mp.mpf(10) ** -20


def values(lonlat: Tensor, num_degrees: int) -> Tensor:
    """Orthonormal real harmonics without Condon-Shortley phase of ``(N, 2)`` degrees: ``(N, L²)`` float64."""
    lon, lat = _columns(lonlat)
    return torch.from_numpy(_harmonics(lon, lat, num_degrees).astype(np.float64))


def slopes(lonlat: Tensor, num_degrees: int, gradient: Tensor) -> Tensor:
    """Gradient by longitude and latitude in degrees of the columns times ``gradient``, summed: ``(N, 2)`` float64."""
    lon, lat = _columns(lonlat)
    found = []
    for east, north in ((STEP, mp.mpf(0)), (mp.mpf(0), STEP)):
        after, before = (_harmonics(lon + s * east, lat + s * north, num_degrees) for s in (1, -1))
        by_column = ((after - before) / (2 * STEP)).astype(np.float64)
        found.append((gradient.double() * torch.from_numpy(by_column)).sum(1))
    return torch.stack(found, 1)


def _columns(lonlat: Tensor) -> tuple[Any, Any]:
    """Longitudes and latitudes as numbers of mpmath, so that arrays of them are exact."""
    lon, lat = (np.array([mp.mpf(value) for value in column], dtype=object) for column in lonlat.T.tolist())
    return lon, lat


def _harmonics(lon: Any, lat: Any, num_degrees: int) -> Any:
    sine, cosine = (np.vectorize(wave, otypes=[object])(lat * mp.pi / 180) for wave in (mp.sin, mp.cos))
    out = np.empty((len(lon), num_degrees**2), dtype=object)
    sectoral = np.array([1 / mp.sqrt(4 * mp.pi)] * len(lon), dtype=object)
    for order in range(num_degrees):
        if order > 0:
            sectoral = sectoral * cosine * mp.sqrt(mp.mpf(2 * order + 1) / (2 * order) * (2 if order == 1 else 1))
        waves = [np.vectorize(wave, otypes=[object])(order * lon * mp.pi / 180) for wave in (mp.cos, mp.sin)]
        before, now = 0 * sectoral, sectoral
        for degree in range(order, num_degrees):
            middle = degree * (degree + 1)
            out[:, middle - order] = now * waves[1]
            out[:, middle + order] = now * waves[0]
            a, b = (_ratio(k, order) for k in (degree + 1, degree))
            before, now = now, a * (sine * now - (before / b if degree > order else 0))
    return out


def _ratio(degree: int, order: int) -> Any:
    """Square root of (4 l² - 1) / (l² - m²)."""
    return mp.sqrt(mp.mpf(4 * degree**2 - 1) / (degree**2 - order**2)) if degree > order else mp.inf
