"""Where a model is right: top-1 accuracy and number of places by cells of nearly equal area, as a world map."""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc._names import check_count
from locenc.coords import as_lonlat
from locenc.maps.built_in import world
from locenc.maps.canvas import GRATICULE, INK, Canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["AccuracyCells", "accuracy_cells", "plot_accuracy"]

FEW = "white"
ACCURACY_COLOURS, COUNT_COLOURS = "viridis", "Purples"  # lightness alone tells both apart, for any eye
WIDTH, MARGIN, GAP, TITLE, LEGEND, FOOT = 12.0, 0.3, 0.35, 0.68, 0.55, 0.32  # inches
BAR = 0.13

Floats = NDArray[np.float64]


class AccuracyCells(NamedTuple):
    """Cells of the globe that hold at least one place, from north to south, then from west to east.

    Attributes
    ----------
    bounds : ndarray
        float64 (C, 4): west, south, east and north edge in degrees.
    accuracy : ndarray
        float64 (C,): share of hits.
    num_rows : ndarray
        int64 (C,): places in it.
    """

    bounds: Floats
    accuracy: Floats
    num_rows: NDArray[np.int64]


def accuracy_cells(lonlat: ArrayLike, hits: ArrayLike, *, cell_degrees: float = 5.0) -> AccuracyCells:
    """Mean of hits by cells of nearly equal area.

    Bands of latitude have one height; each is cut into as many cells of equal width as make them about as wide as high.

    Parameters
    ----------
    lonlat : array_like (N, 2)
        (longitude, latitude) in degrees.
    hits : array_like (N,) of bool
        Whether the first class was the true one, such as ``ranks(...) == 1``.
    cell_degrees : float
        Height of a cell, from 0.25 to 30; made a little smaller where it does not divide 180.

    Returns
    -------
    AccuracyCells
        The cells that hold a place.

    Raises
    ------
    TypeError, ValueError
        For bad coordinates, hits that are not (N,) truth values, or a height out of range.

    Examples
    --------
    >>> cells = accuracy_cells([(1, 1), (2, 2), (-60, -60)], [True, False, True])
    >>> cells.bounds.round(1).tolist(), cells.accuracy, cells.num_rows
    ([[0.0, 0.0, 5.0, 5.0], [-60.0, -65.0, -49.1, -60.0]], array([0.5, 1. ]), array([2, 1]))
    """
    lon, lat = as_lonlat(lonlat).numpy().T
    right = np.asarray(hits)
    if right.shape != lon.shape or right.dtype != np.bool_:
        raise ValueError(f"hits must be bool of shape ({len(lon)},), got {right.dtype} {right.shape}")
    if not 0.25 <= cell_degrees <= 30:
        raise ValueError(f"cell_degrees must lie between 0.25 and 30, got {cell_degrees!r}")
    bands = int(np.ceil(180 / cell_degrees - 1e-9))
    height = 180 / bands
    middle = 90 - (np.arange(bands) + 0.5) * height
    columns = np.maximum(1, np.round(360 * np.cos(np.deg2rad(middle)) / height)).astype(np.int64)
    band = np.minimum(((90 - lat) / height).astype(np.int64), bands - 1)
    column = np.floor((lon + 180) / 360 * columns[band]).astype(np.int64) % columns[band]
    first = np.concatenate([[0], np.cumsum(columns)])
    cells, inverse, count = np.unique(first[band] + column, return_inverse=True, return_counts=True)
    row = np.searchsorted(first, cells, side="right") - 1
    west = -180 + 360 * (cells - first[row]) / columns[row]
    north = 90 - height * row
    bounds = np.stack([west, north - height, west + 360 / columns[row], north], axis=1)
    return AccuracyCells(bounds, np.bincount(inverse, right, len(cells)) / count, count.astype(np.int64))


def plot_accuracy(
    lonlat: ArrayLike,
    hits: ArrayLike,
    *,
    title: str = "Top-1 accuracy",
    cell_degrees: float = 5.0,
    min_rows: int = 5,
) -> "Figure":
    """World maps of accuracy and of the number of places that it is the mean of.

    Parameters
    ----------
    lonlat, hits, cell_degrees
        As `accuracy_cells`; at least one place.
    title : str
        Above the maps; the accuracy of all places is added.
    min_rows : int
        Cells with fewer places are white in the map of the accuracy: their mean says little.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot; ``figure.savefig("accuracy.png", dpi=150)`` writes it.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    TypeError, ValueError
        As `accuracy_cells`, for no place, or a number of rows below 1.

    References
    ----------
    Šavrič, Patterson & Jenny 2019, "The Equal Earth map projection".

    Examples
    --------
    >>> figure = plot_accuracy([(10, 50), (12, 51)], [True, False], min_rows=1)
    >>> figure.axes[0].get_title(loc="left")
    'Top-1 accuracy'
    """
    check_count("min_rows", min_rows)
    cells = accuracy_cells(lonlat, hits, cell_degrees=cell_degrees)
    if len(cells.num_rows) == 0:
        raise ValueError("expected at least one place to draw, got none")
    colours = require("matplotlib.colors", extra="csp")
    panel_width = (WIDTH - 2 * MARGIN - GAP) / 2
    across, upward = np.ptp(world().outline, axis=0)
    map_height = panel_width * upward / across
    height = TITLE + map_height + LEGEND + FOOT
    figure: Figure = require("matplotlib.figure", extra="csp").Figure((WIDTH, height), facecolor="white", layout="none")

    def axes(column: int, from_top: float, tall: float, wide: float = 1.0) -> Any:
        x = MARGIN + column * (panel_width + GAP) + (1 - wide) / 2 * panel_width
        box = (x / WIDTH, 1 - (from_top + tall) / height, wide * panel_width / WIDTH, tall / height)
        return figure.add_axes(box)

    total = int(cells.num_rows.sum())
    mean = float(cells.accuracy @ cells.num_rows) / total
    figure.text(
        MARGIN / WIDTH, 1 - 0.1 / height, f"{title}: {mean:.1%} of {total:,} places", fontsize=13, color=INK, va="top"
    )
    enough = cells.num_rows >= min_rows
    accuracy = np.ma.array(100 * cells.accuracy, mask=~enough)
    most = max(2, int(cells.num_rows.max()))
    for column, (heading, label, values, colour_map, norm) in enumerate(
        [
            ("Top-1 accuracy", "per cent of a cell's places", accuracy, ACCURACY_COLOURS, colours.Normalize(0, 100)),
            ("Number of places", "places in a cell", cells.num_rows, COUNT_COLOURS, colours.LogNorm(0.3, most)),
        ]
    ):
        panel = axes(column, TITLE, map_height)
        panel.set_title(heading, loc="left", fontsize=11, color=INK, pad=4)
        drawn = _draw_cells(panel, cells.bounds, values, colour_map, norm)
        bar = figure.colorbar(drawn, cax=axes(column, TITLE + map_height + 0.1, BAR, 0.6), orientation="horizontal")
        bar.set_label(label, fontsize=9, color=INK, labelpad=1)
        bar.ax.tick_params(labelsize=8, colors=INK, length=2, pad=1)
        bar.outline.set_linewidth(0.4)
        if column == 1:
            bar.ax.set_xlim(1, most)
            ticks = [tick for power in range(8) for tick in (10**power, 3 * 10**power) if tick <= most]
            bar.set_ticks(ticks, labels=[f"{tick:,}" for tick in ticks], minor=False)
            bar.minorticks_off()
    few = f"white: fewer than {min_rows} places. " if not enough.all() else ""
    note = (
        f"Cells of {cells.bounds[0, 3] - cells.bounds[0, 1]:.3g}° of latitude and of nearly equal area; {few}"
        "Equal Earth projection; coastlines: Natural Earth."
    )
    figure.text(MARGIN / WIDTH, 0.1 / height, note, fontsize=8, color=INK, va="bottom")
    return figure


def _draw_cells(panel: Any, bounds: Floats, values: Any, colour_map: str, norm: Any) -> Any:
    """Draw coloured cells on a map of the world; return what a colour bar is made from."""
    colours = require("matplotlib", extra="csp").colormaps[colour_map].with_extremes(bad=FEW)
    canvas = Canvas(panel)
    outlines = [canvas.projection.within(tuple(cell)).outline for cell in bounds]
    cells = require("matplotlib.collections", extra="csp").PolyCollection(
        outlines, cmap=colours, norm=norm, edgecolors=GRATICULE, linewidths=0.25
    )
    cells.set_array(values)
    canvas.collection(cells)
    return cells
