"""Draw docs/images/negatives.png: 2,000 random locations of every sampler of `locenc_csp.negatives`, on world maps.

Run it from the repository's root, with the extras csp and geo: ``python scripts/draw_negatives.py``.
"""

import io
from pathlib import Path

import geopandas
import numpy as np
import shapely
import torch
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image
from torch import Tensor

from locenc.maps.built_in import world
from locenc.maps.canvas import INK, Canvas
from locenc_csp.negatives import Sampler, at_least, box, density, land, official_ellipse, polygons, sphere
from locenc_csp.sampler import from_uniform

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "negatives.png"
POINTS, RADIUS, KM, COLOURS = 2000, 0.013, 3000.0, 128
OURS, OFFICIAL, OWN = "#0b5fa5", "#c2540a", "#111111"  # apart for red-blind, green-blind and blue-blind eyes
PARIS = (2.35, 48.86)
CITIES = [PARIS, (-74.0, 40.7), (-46.6, -23.5), (77.2, 28.6), (139.7, 35.7), (36.8, -1.3)]
WIDTH, MARGIN, GAP, TITLE = 12.0, 0.15, 0.2, 0.5  # inches


def main() -> None:
    """Draw and save the picture."""
    here = torch.tensor([PARIS], dtype=torch.float64)
    panels = [
        ("sphere", "uniform by area, the default", sphere(), OURS, False),
        ("land", "uniform by area on land", land(), OURS, False),
        ("a file of polygons", "one with a hole across 180°, one round the pole", polygons(region()), OURS, False),
        ("density", "the data's own places, here round six cities", density(places()), OURS, False),
        ("sphere, at least 3,000 km", "from the pair's own place (cross)", at_least(KM, sphere()), OURS, True),
        ("land, at least 3,000 km", "so with every sampler", at_least(KM, land()), OURS, True),
        ("box", "uniform in degrees, too many near the poles", box(), OURS, False),
        (
            "official-ellipse",
            "the published CSP runs (sphericalold)",
            official_ellipse(),
            OFFICIAL,
            False,
        ),
        ("spherical, not offered", "the CSP code's default: a quarter of the globe", quarter(), OFFICIAL, False),
    ]
    panel_width = (WIDTH - 2 * MARGIN - 2 * GAP) / 3
    across, upward = np.ptp(world().outline, axis=0)
    row_height = TITLE + panel_width * upward / across
    height = 3 * row_height + MARGIN
    figure = Figure((WIDTH, height), facecolor="white")
    for number, (name, what, sampler, colour, crossed) in enumerate(panels):
        row, column = divmod(number, 3)
        x, y = MARGIN + column * (panel_width + GAP), height - (row + 1) * row_height
        panel = figure.add_axes((x / WIDTH, y / height, panel_width / WIDTH, (row_height - TITLE) / height))
        points = sampler(here, POINTS, torch.Generator().manual_seed(0))
        canvas = Canvas(panel)
        dots = [Circle(point, RADIUS) for point in canvas.projection.project(points)]
        canvas.collection(PatchCollection(dots, facecolors=colour, edgecolors="none", alpha=0.75))
        if crossed:
            panel.plot(
                *canvas.projection.project(PARIS), marker="x", color=OWN, markersize=6, markeredgewidth=1.8, zorder=9
            )
        figure.text(x / WIDTH, (y + row_height - 0.14) / height, name, fontsize=11, color=INK, va="top", weight="bold")
        figure.text(x / WIDTH, (y + row_height - 0.31) / height, what, fontsize=9, color=INK, va="top")
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=110)
    Image.open(drawn).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


def region() -> geopandas.GeoSeries:
    """A box with a hole that crosses the antimeridian, and a ring round the south pole."""
    pacific = shapely.box(140, -30, 230, 60) - shapely.box(160, 0, 205, 35)
    ring = shapely.box(-180, -80, 180, -60)
    return geopandas.GeoSeries([pacific, ring], crs=4326)


def places() -> Tensor:
    """A data set: 3,000 places round six cities."""
    city = torch.tensor(CITIES, dtype=torch.float64).repeat(500, 1)
    return city + 5 * torch.randn(city.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def quarter() -> Sampler:
    """What the default of the CSP code draws: longitudes from 0 to 180, latitudes from 0 to 90."""
    return from_uniform(2, lambda uniform: (180 * uniform[0], 90 * uniform[1]))


if __name__ == "__main__":
    main()
