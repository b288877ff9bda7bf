"""Maps side by side with one colour bar below: on a figure of their own, or on given axes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import among, check_count, check_text, unknown
from locenc.data import land_mask, sample_raster
from locenc.maps.canvas import INK, Canvas, projection_of
from locenc.maps.projection import Floats

WIDTH, MARGIN, GAP = 10.0, 0.3, 0.3  # inches
TITLE, HEADING, BAR, FOOT = 0.45, 0.36, 0.62, 0.3
COLUMNS = 3
AREAS = ("land", "globe")


def check_maps(what: str, count: int, most: int) -> None:
    """Check how many maps are asked for; ValueError for none, or more than a sheet shows."""
    if not 1 <= count <= most:
        raise ValueError(f"expected 1 to {most} {what}, a map for each, got {count}")


class Sheet:
    """One or several maps.

    Parameters
    ----------
    titles : sequence of str
        One for each map.
    bounds : sequence
        For each map (west, south, east, north) in degrees, or None.
    crs : any
        Projection, as `locenc.maps.canvas.projection_of` takes it.
    ax : axes, sequence of axes or None
        Where to draw, an own figure without.
    heading, note : str
        Above and below the maps of an own figure.

    Attributes
    ----------
    canvases : list of Canvas
        The maps.
    result : Figure, axes or sequence of axes
        What was drawn on.
    """

    def __init__(
        self, titles: Sequence[str], bounds: Sequence[Any], crs: Any, ax: Any, *, heading: str = "", note: str = ""
    ) -> None:
        for title in (*titles, heading):
            check_text("title", title)
        self._bar: Any = None
        if ax is None:
            self.result, panels = self._figure(titles, bounds, crs, heading, note)
        else:
            several = isinstance(ax, (Sequence, np.ndarray))
            panels = list(np.ravel(ax)) if several else [ax]
            if len(panels) != len(titles):
                raise ValueError(
                    f"ax must hold {len(titles)} axes, one for each map, got {len(panels)}; without ax= it is a figure"
                )
            own = [
                hasattr(panel, "projection") and crs is None and box is None
                for panel, box in zip(panels, bounds, strict=True)
            ]
            self.canvases = [
                Canvas(panel, None if theirs else projection_of(crs, box))
                for panel, box, theirs in zip(panels, bounds, own, strict=True)
            ]
            self.result = ax
        self._panels = panels
        for panel, title in zip(panels, titles, strict=True):
            panel.set_title(title, loc="left", fontsize=12 if len(panels) == 1 else 9, color=INK, pad=4)

    def bar(self, image: Any, label: str, **options: Any) -> None:
        """Draw the colour bar of what `Canvas.picture` or `Canvas.points` gave."""
        figure = self._panels[0].figure
        where = {"cax": self._bar} if self._bar is not None else {"ax": self._panels, "shrink": 0.7, "pad": 0.04}
        bar = figure.colorbar(image, orientation="horizontal", **where, **options)
        bar.set_label(label, fontsize=9, color=INK, labelpad=2)
        bar.ax.tick_params(labelsize=8, colors=INK, length=2, pad=1)
        bar.outline.set_linewidth(0.4)

    def no_bar(self) -> None:
        """Leave the place of the colour bar empty."""
        if self._bar is not None:
            self._bar.remove()

    def _figure(
        self, titles: Sequence[str], bounds: Sequence[Any], crs: Any, heading: str, note: str
    ) -> tuple[Any, list[Any]]:
        projections = [projection_of(crs, box) for box in bounds]
        count = len(titles)
        columns = 1 if count == 1 else 2 if count in (2, 4) else COLUMNS
        rows = -(-count // columns)
        wide = (WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
        ratios = [float(np.divide(*np.ptp(projection.outline, axis=0)[::-1])) for projection in projections]
        tall = min(wide * max(ratios), 8.0)
        top = TITLE if heading else 0.05
        height = top + rows * (HEADING + tall) + (rows - 1) * 0.12 + BAR + FOOT
        figure = require("matplotlib.figure", extra="geo").Figure((WIDTH, height), facecolor="white", layout="none")
        panels = []
        for number in range(count):
            row, column = divmod(number, columns)
            left = MARGIN + column * (wide + GAP)
            down = top + HEADING + row * (HEADING + tall + 0.12)
            panels.append(figure.add_axes((left / WIDTH, 1 - (down + tall) / height, wide / WIDTH, tall / height)))
        self._bar = figure.add_axes((0.3, (FOOT + 0.4) / height, 0.4, 0.13 / height))
        self.canvases = [Canvas(panel, projection) for panel, projection in zip(panels, projections, strict=True)]
        if heading:
            figure.text(MARGIN / WIDTH, 1 - 0.12 / height, heading, fontsize=13, color=INK, va="top")
        names = " and ".join(dict.fromkeys(projection.name for projection in projections))
        foot = f"{note} {names} projection{'s' * (' and ' in names)}; coastlines: Natural Earth.".strip()
        figure.text(MARGIN / WIDTH, 0.1 / height, foot, fontsize=8, color=INK, va="bottom")
        return figure, panels


def field(
    canvas: Canvas, function: Callable[[Floats], NDArray[Any]], *, over: str = "globe", pixels: int = 900
) -> NDArray[np.float32]:
    """A function of places at the pixels of a map.

    Parameters
    ----------
    canvas : Canvas
        The map.
    function : callable
        (N, 2) degrees to (N,) or (N, C) numbers.
    over : {"land", "globe"}
        Where to evaluate it.
    pixels : int
        Columns of the picture, from 16 to 8,192.

    Returns
    -------
    ndarray
        float32 (rows, columns) or (rows, columns, C), NaN elsewhere.

    Raises
    ------
    ValueError
        For another ``over`` or number of pixels, or a map without such places.
    """
    if not among(over, AREAS):
        raise ValueError(unknown("part of the globe:", over, AREAS))
    places = canvas.pixels(check_count("pixels", pixels, least=16, most=8192))
    there: NDArray[np.bool_] = np.logical_and(*np.moveaxis(np.isfinite(places), -1, 0))
    if over == "land":
        np.place(there, there, sample_raster(land_mask(), places[there]))
    if not there.any():
        raise ValueError(f"there is no {over} on this map: over='globe', or other bounds")
    found = function(places[there])
    values = np.full((*there.shape, *found.shape[1:]), np.nan, np.float32)
    values[there] = found
    return values
