"""Meridians and parallels of a map: which ones, and how they are named."""

import math

import numpy as np

from locenc.maps.projection import Floats, Projection

_STEPS = (90, 60, 30, 20, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001)


def graticule(projection: Projection) -> list[Floats]:
    """Meridians and parallels of a map in degrees, about three to five of each, not on its edge."""
    west, south, east, north = projection.box
    side_lon = 60.0 if east - west >= 360 else step(east - west)
    side_lat = 30.0 if east - west >= 360 else step(north - south)
    count = max(2, int(north - south) + 1)
    up = np.linspace(south, north, count if projection.exact else max(count, 60))
    over = np.array([west, east]) if projection.exact else np.linspace(west, east, max(60, int(east - west) + 1))
    return [np.column_stack([np.full_like(up, lon), up]) for lon in multiples(side_lon, west, east)] + [
        np.column_stack([over, np.full_like(over, lat)]) for lat in multiples(side_lat, south, north)
    ]


def named(degrees: float, sides: str) -> str:
    """A longitude (sides "WE") or latitude ("SN") as it is written on a map."""
    return f"{abs(degrees):.7g}°{sides[degrees > 0] if degrees % 180 else ''}"


def step(span: float) -> float:
    """Degrees between lines, of which at least three fit into a span."""
    return float(next((one for one in _STEPS if span / one >= 3), _STEPS[-1]))


def multiples(side: float, low: float, high: float) -> list[float]:
    """Multiples of a step between two numbers, these left out."""
    first, last = math.floor(low / side) + 1, math.ceil(high / side)
    return [side * number for number in range(first, last)]
