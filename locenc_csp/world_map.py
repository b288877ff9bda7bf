"""An empty map of the whole globe in the Equal Earth projection: sea, meridians and parallels, coast."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc.coords import equal_earth
from locenc.data import coastline
from locenc.maps.page import COAST, GRATICULE, SEA

Floats = NDArray[np.float64]


def draw_world(panel: Any, *collections: Any) -> None:
    """Draw the globe on matplotlib axes, and collections above its sea and below its coast."""
    lines = require("matplotlib.collections", extra="csp").LineCollection
    panel.set_axis_off()
    edge = map_edge()
    sea = require("matplotlib.patches", extra="csp").Polygon(edge, facecolor=SEA, edgecolor="none")
    panel.add_patch(sea)
    coast = [project(ring) for ring in coastline()]
    for order, part in enumerate(
        [
            lines(_graticule(), colors=GRATICULE, linewidths=0.4),
            *collections,
            lines(coast, colors=COAST, linewidths=0.45),
        ],
        start=2,
    ):
        part.set_zorder(order)
        panel.add_collection(part)
        part.set_clip_path(sea)
    panel.plot(*np.append(edge, edge[:1], 0).T, color=COAST, linewidth=0.7, zorder=3 + len(collections), clip_on=False)
    (west, south), (east, north) = edge.min(0), edge.max(0)
    panel.set(xlim=(west, east), ylim=(south, north))


def project(lonlat: ArrayLike) -> Floats:
    """Longitudes and latitudes in degrees (N, 2) on the map."""
    points: Floats = equal_earth(torch.tensor(np.asarray(lonlat))).numpy()
    return points


def outline(west: float, south: float, east: float, north: float) -> Floats:
    """Edge of a box in degrees; meridians are curves on the map."""
    up = np.linspace(south, north, max(2, int(north - south) + 1))
    sides = [np.column_stack([np.full_like(up, lon), lat]) for lon, lat in ((west, up), (east, up[::-1]))]
    return np.concatenate(sides)


def map_edge() -> Floats:
    """Edge of the map."""
    return project(outline(-180.0, -90.0, 180.0, 90.0))


def _graticule() -> list[Floats]:
    lat = np.linspace(-90, 90, 181)
    meridians = [np.column_stack([np.full_like(lat, lon), lat]) for lon in range(-120, 180, 60)]
    parallels = [np.array([(-180.0, each), (180.0, each)]) for each in range(-60, 90, 30)]
    return [project(line) for line in (*meridians, *parallels)]
