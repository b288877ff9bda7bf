"""Sinusoidal features in plain torch: any device, any order of gradients, compile and export.

A phase is a linear form of the coordinates in half turns. Only its remainder modulo 2 matters, and it is taken
in float64 before anything is rounded, so float32 features are exact to their last digits at any scale:

    h = lon * u + lat * v (+ shift),   r = h - 2 round(h / 2) in [-1, 1],   sin(pi r), cos(pi r).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from locenc.kernels.choice import exporting
from locenc.kernels.layout import LONLAT, ONE, OUTER, XYZ, blocks, phases

RADIAN = math.pi / 180


def sinusoids(
    lonlat: Tensor, frequencies: Tensor, layout: Sequence[int], amplitude: float, dtype: torch.dtype
) -> Tensor:
    """Products of sinusoids of linear phases.

    Parameters
    ----------
    lonlat : Tensor
        ``(N, 2)`` degrees, float32 or float64. Longitudes beyond ±180 mean the place that a whole number of
        turns less gives; ±180 stay as they are.
    frequencies : Tensor
        ``(K, D)`` float64, half turns per unit of the D coordinates that the layout names; a column more, where
        there is one, is added to the phases, in half turns.
    layout : sequence of int
        The coordinates and the columns; see `locenc.kernels.layout`.
    amplitude : float
        What every column is multiplied by.
    dtype : torch.dtype
        Of the features. Sines are float64 and rounded once; products of half-precision features are float32.

    Returns
    -------
    Tensor
        ``(N, F)``.
    """
    layout = tuple(layout)
    points = coordinates(lonlat, layout[0])
    half_turns = points[0][:, None] * frequencies[:, 0]
    for axis, values in enumerate(points[1:], 1):
        half_turns = half_turns + values[:, None] * frequencies[:, axis]
    if frequencies.shape[1] > len(points):
        half_turns = half_turns + frequencies[:, -1]
    angle = exact(math.pi) * (half_turns - 2 * torch.round(half_turns / 2))

    working = dtype if dtype == torch.float64 else torch.float32
    lengths = [length for length, _ in phases(layout)]
    waves = [torch.split(wave.to(working), lengths, dim=1) for wave in (angle.sin(), angle.cos())]
    columns = []
    for block in blocks(layout):
        a = waves[block.function_a][block.phase_a]
        if block.function_b == ONE:
            columns.append(a)
        elif block.combine == OUTER:
            columns.append((a[:, :, None] * waves[block.function_b][block.phase_b][:, None, :]).flatten(1))
        else:
            columns.append(a * waves[block.function_b][block.phase_b])
    features = torch.cat(columns, dim=1)
    return (features if amplitude == 1 else features * amplitude).to(dtype)


def coordinates(lonlat: Tensor, kind: int) -> tuple[Tensor, ...]:
    """The coordinates that phases are made of, (N,) float64 each: degrees, unit sphere or Equal Earth."""
    lon, lat = lonlat.to(torch.float64).unbind(1)
    lon = reduce_longitude(lon)
    if kind == LONLAT:
        return lon, lat
    lon, lat = lon * exact(RADIAN), lat * exact(RADIAN)
    if kind == XYZ:
        return lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()
    return equal_earth(lon, lat)


def equal_earth(lon: Tensor, lat: Tensor) -> tuple[Tensor, Tensor]:
    """Equal Earth projection (Šavrič, Patterson & Jenny 2019, equations 7 to 9) of radians, in radii of the sphere."""
    a1, a2, a3, a4 = (exact(value) for value in (1.340264, -0.081106, 0.000893, 0.003796))
    t = _arcsine(exact(math.sqrt(3) / 2) * lat.sin())
    t2 = t * t
    t6 = t2 * t2 * t2
    slope = a1 + 3 * a2 * t2 + t6 * (7 * a3 + 9 * a4 * t2)
    return exact(2 / math.sqrt(3)) * lon * t.cos() / slope, t * (a1 + a2 * t2 + t6 * (a3 + a4 * t2))


def exact(value: float) -> float | Tensor:
    """Return a constant; for exported graphs a float64 tensor, since ONNX exporters round numbers to float32."""
    return torch.tensor(value, dtype=torch.float64) if exporting() else value


def _arcsine(value: Tensor) -> Tensor:
    """Arcsine of |value| < 1; exported graphs get two Newton steps, since ONNX runtimes have no float64 arcsine."""
    if not exporting():
        return torch.asin(value)
    angle = torch.asin(value.to(torch.float32)).to(value.dtype)
    for _ in range(2):
        angle = angle - (angle.sin() - value) / angle.cos()
    return angle


def reduce_longitude(lon: Tensor) -> Tensor:
    """Longitudes in [-180, 180], exactly; those inside stay as they are, 540 becomes 180, -540 becomes -180."""
    lon = torch.fmod(lon, 360)
    lon = torch.where(lon > 180, lon - 360, lon)
    return torch.where(lon < -180, lon + 360, lon)
