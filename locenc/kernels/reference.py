"""Sinusoidal features in plain torch: any device, any order of gradients, compile and export.

A phase is a linear form of the coordinates in half turns. Only its remainder modulo 2 matters, and it is taken
in float64 before anything is rounded, so float32 features are exact to their last digits at any scale:

    h = lon * u + lat * v,   r = h - 2 round(h / 2) in [-1, 1],   sin(pi r), cos(pi r).
"""

import math

import torch
from torch import Tensor

from locenc.kernels.layout import BLOCK_FIELDS, ONE, OUTER


def sinusoids(lonlat: Tensor, frequencies: Tensor, layout: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Products of sinusoids of linear phases.

    Parameters
    ----------
    lonlat : Tensor
        ``(N, 2)`` degrees, float32 or float64. Longitudes beyond ±180 mean the place that a whole number of
        turns less gives; ±180 stay as they are.
    frequencies : Tensor
        ``(K, 2)`` float64, half turns per degree.
    layout : tuple of int
        The columns; see `locenc.kernels.layout`.
    dtype : torch.dtype
        Of the features. Sines are float64 and rounded once; products of half-precision features are float32.

    Returns
    -------
    Tensor
        ``(N, F)``.
    """
    lon, lat = lonlat.to(torch.float64).unbind(1)
    half_turns = reduce_longitude(lon)[:, None] * frequencies[:, 0] + lat[:, None] * frequencies[:, 1]
    angle = math.pi * (half_turns - 2 * torch.round(half_turns / 2))

    working = dtype if dtype == torch.float64 else torch.float32
    count, fields = layout[0], layout[1:]
    lengths = list(fields[:count])
    waves = [torch.split(wave.to(working), lengths, dim=1) for wave in (angle.sin(), angle.cos())]
    columns = []
    for block in range(count, len(fields), BLOCK_FIELDS):
        combine, row_a, function_a, row_b, function_b = fields[block : block + BLOCK_FIELDS]
        a = waves[function_a][row_a]
        if function_b == ONE:
            columns.append(a)
        elif combine == OUTER:
            columns.append((a[:, :, None] * waves[function_b][row_b][:, None, :]).flatten(1))
        else:
            columns.append(a * waves[function_b][row_b])
    return torch.cat(columns, dim=1).to(dtype)


def reduce_longitude(lon: Tensor) -> Tensor:
    """Longitudes in [-180, 180], exactly; those inside stay as they are, 540 becomes 180, -540 becomes -180."""
    lon = torch.fmod(lon, 360)
    lon = torch.where(lon > 180, lon - 360, lon)
    return torch.where(lon < -180, lon + 360, lon)
