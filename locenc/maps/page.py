"""The page of `locenc.maps.plot`: world maps with their legends."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc.maps.canvas import INK, Canvas, projection_of
from locenc.maps.land import SOUTH, LandGrid
from locenc.maps.projection import Projection

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours of the clusters, apart from one another and from the sea for normal, red-blind, green-blind and blue-blind
#: eyes (a test computes by how much).
PALETTE: tuple[str, ...] = (
    "#4b4e0d", "#0c71eb", "#5df0a5", "#810b61", "#e4a522", "#f3bbfc", "#9089ae", "#cf105f",
    "#695aa7", "#a2e573", "#949dfb", "#5ec4a9", "#b56c17", "#452c9f", "#184f32", "#7dac5d",
)  # fmt: skip
REST = "#dddddd"
CHANNELS = {"red": "#d8433c", "green": "#3fa34d", "blue": "#3c6fd8"}

SHOWS = ("components", "clusters")
#: Cells of at least so many degrees are drawn one by one, smaller ones as a picture of so many columns.
COARSE, PIXELS = 1.0, 1600

# The page, in inches.
WIDTH, MARGIN, GAP, FOOT = 12.0, 0.25, 0.3, 0.72
TITLE, LEGEND, STRIP = 0.38, 0.62, 0.17
PANEL = (WIDTH - 2 * MARGIN - GAP) / 2


class View(NamedTuple):
    """What is drawn of one encoder.

    Attributes
    ----------
    title : str
        Its name.
    channels : ndarray
        (N, 3) red, green and blue of each land cell, in [0, 1].
    shares : ndarray
        (3,) share of the embedding's variance behind each of them.
    labels : ndarray
        (N,) cluster of each land cell.
    cluster_areas : ndarray
        (clusters,) share of the land area in each cluster.
    agreement : float
        Normalised mutual information of the clusters with the reference.
    """

    title: str
    channels: NDArray[np.float64]
    shares: NDArray[np.float64]
    labels: NDArray[np.int64]
    cluster_areas: NDArray[np.float64]
    agreement: float


def draw_page(views: Sequence[View], grid: LandGrid, reference_name: str, crs: Any = None) -> "Figure":
    """Draw a row of two maps for each view, legends below each, notes at the foot."""
    palette = require("matplotlib.colors", extra="geo").to_rgba_array(PALETTE)[:, :3]
    projection = _projection(crs)
    across, upward = np.ptp(projection.outline, axis=0)
    map_height = PANEL * upward / across
    row_height = TITLE + map_height + LEGEND
    height = len(views) * row_height + FOOT
    figure: Figure = require("matplotlib.figure", extra="geo").Figure((WIDTH, height), facecolor="white", layout="none")

    def axes(column: int, from_top: float, tall: float, label: str) -> Any:
        x = MARGIN + column * (PANEL + GAP)
        box = (x / WIDTH, 1 - (from_top + tall) / height, PANEL / WIDTH, tall / height)
        panel = figure.add_axes(box, label=label)
        panel.set_axis_off()
        return panel

    for row, view in enumerate(views):
        y = row * row_height + TITLE
        for column, (heading, colours) in enumerate(_maps(view, palette)):
            panel = axes(column, y, map_height, heading)
            panel.set_title(heading, loc="left", fontsize=11, color=INK, pad=4)
            _draw_cells(Canvas(panel, projection), grid, colours)
        y += map_height + 0.08
        _variance_legend(axes(0, y, STRIP, f"{view.title}: variance"), view.shares)
        legend = axes(1, y, STRIP, f"{view.title}: areas")
        _cluster_legend(legend, view.cluster_areas, palette)
        _note(legend, f"Normalised mutual information with {reference_name}: {view.agreement:.3f}", -1.5)
    figure.text(
        MARGIN / WIDTH,
        0.12 / height,
        _foot(grid, projection.name),
        fontsize=8,
        color=INK,
        va="bottom",
        linespacing=1.45,
    )
    return figure


def draw_on_axes(axes: Any, view: View, grid: LandGrid, show: str, crs: Any) -> None:
    """Draw the components or the clusters of a view, with a legend below, on given axes."""
    palette = require("matplotlib.colors", extra="geo").to_rgba_array(PALETTE)[:, :3]
    canvas = Canvas(axes, None if hasattr(axes, "projection") and crs is None else _projection(crs))
    heading, colours = _maps(view, palette)[SHOWS.index(show)]
    axes.set_title(heading, loc="left", fontsize=11, color=INK, pad=4)
    _draw_cells(canvas, grid, colours)
    strip = axes.inset_axes((0.0, -0.09, 1.0, 0.05))
    strip.set_axis_off()
    if show == "components":
        _variance_legend(strip, view.shares)
    else:
        _cluster_legend(strip, view.cluster_areas, palette)


def _maps(view: View, palette: NDArray[np.float64]) -> list[tuple[str, NDArray[np.float64]]]:
    """Headings and colours of the two maps of a view."""
    return [
        (f"{view.title}: principal components", 0.05 + 0.9 * view.channels),
        (f"{view.title}: {len(view.cluster_areas)} clusters", palette[view.labels]),
    ]


def _projection(crs: Any) -> Projection:
    return projection_of(crs, (-180, SOUTH, 180, 90) if crs is None else None)


def _draw_cells(canvas: Canvas, grid: LandGrid, colours: NDArray[np.float64]) -> None:
    """Draw the cells that have colours: as they are where they are large, else pixel by pixel."""
    cells = grid.spread(np.column_stack([colours, np.ones(len(colours))]))  # the sea stays transparent
    if canvas.projection.exact and grid.resolution >= COARSE:
        canvas.cells(grid.corners, cells)
    else:
        canvas.picture(grid.sample(cells, canvas.pixels(PIXELS)))


def _variance_legend(strip: Any, shares: NDArray[np.float64]) -> None:
    """A bar of the whole variance, with the part behind each colour, and the numbers below it."""
    starts = np.concatenate([[0], np.cumsum(shares)])
    strip.barh([0] * 4, [*shares, 1 - starts[-1]], left=starts, height=1, color=[*CHANNELS.values(), REST])
    strip.set(xlim=(0, 1), ylim=(-0.5, 0.5))
    parts = ", ".join(f"{name} {share:.0%}" for name, share in zip(CHANNELS, shares, strict=True))
    _note(strip, f"Variance shown: {shares.sum():.0%} ({parts}; grey: not shown)", -0.5)


def _cluster_legend(strip: Any, areas: NDArray[np.float64], palette: NDArray[np.float64]) -> None:
    """A numbered box for each cluster, its share of the land area below it."""
    strip.bar(range(len(areas)), 1, width=0.92, bottom=-0.5, color=palette[: len(areas)])
    for number, (area, colour) in enumerate(zip(areas, palette, strict=False)):
        ink = "white" if colour @ [0.299, 0.587, 0.114] < 0.5 else INK
        centre = {"ha": "center", "fontsize": 7.5}
        strip.text(number, 0, str(number + 1), color=ink, va="center_baseline", **centre)
        strip.text(number, -0.62, f"{area:.0%}", color=INK, va="top", **centre)
    strip.set(xlim=(-0.46, len(areas) - 0.54), ylim=(-0.5, 0.5))


def _note(strip: Any, text: str, below: float) -> None:
    strip.text(0, below, text, transform=strip.transAxes, fontsize=9, color=INK, va="top")


def _foot(grid: LandGrid, projection: str) -> str:
    return (
        "Left: the first three principal components of the embedding as red, green and blue; places of similar colour "
        "have similar embeddings.\n"
        "Right: k-means clusters of the embedding with their shares of the land area, numbered by area in the first "
        "row; other rows take number and colour of the cluster they overlap most.\n"
        f"Land cells of {grid.resolution:g}° north of {-SOUTH:g}° S, weighted by area. Mutual information: 0 is "
        f"independence, 1 the same partition. {projection} projection; coastlines: Natural Earth."
    )
