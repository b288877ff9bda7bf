"""An empty map on matplotlib axes (sea, graticule, coast, edge), and what is drawn on it: pictures, points, places."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc._extras import require
from locenc.coords import as_lonlat
from locenc.data import coastline
from locenc.grid_axes import box
from locenc.maps.built_in import rectangle, world
from locenc.maps.graticule import graticule, multiples, named, step
from locenc.maps.proj import from_crs
from locenc.maps.projection import Box, Floats, Projection

SEA, GRATICULE, INK, COAST = "#eef2f6", "#d3dae2", "#222222", "#333333"
MARK = "#d4006a"  # apart from the colours of every map here, for any eye: by lightness, and by a white rim
_UNDER, _GRID, _CONTENT, _COAST, _EDGE, _MARKS = 1, 2, 3, 4, 5, 6  # what is above what


def projection_of(crs: Any = None, bounds: Sequence[float] | None = None) -> Projection:
    """The projection of a map: of ``crs``; without one Equal Earth, or a rectangle for a part of the globe.

    Parameters
    ----------
    crs : any, optional
        What ``pyproj.CRS.from_user_input`` takes.
    bounds : (west, south, east, north), optional
        Degrees; west > east across the antimeridian. All that the projection shows by default.

    Raises
    ------
    ImportError
        If a projection is asked for and pyproj is not installed.
    ValueError
        For an unknown projection, bounds that are no box, or that are cut or not shown in it.
    """
    shown: Box | None = None
    if bounds is not None:
        west, south, east, north = (float(side) for side in box(bounds))
        shown = west, south, east, north
    if crs is None and shown is not None and shown[2] - shown[0] < 360:
        return rectangle(shown)
    projection = world() if crs is None else from_crs(crs)
    return projection if shown is None else projection.within(shown)


class Canvas:
    """A map on matplotlib axes.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        Empty; or those of cartopy (whatever has a ``projection``): these keep their projection, and what they show.
    projection : Projection, optional
        `projection_of` makes one; for axes of cartopy their own.

    Attributes
    ----------
    axes : matplotlib.axes.Axes
        The axes.
    projection : Projection
        Its ``project`` gives positions on the axes.
    frame : tuple of float
        Left, right, bottom and top of what the axes show.
    """

    def __init__(self, axes: Any, projection: Projection | None = None) -> None:
        self.axes = axes
        if hasattr(axes, "projection"):
            if projection is not None:
                raise ValueError(
                    "these axes have a projection of their own: leave crs and bounds out; axes.set_extent chooses what "
                    "they show"
                )
            self.projection = from_crs(axes.projection)
            self.frame = (*axes.get_xlim(), *axes.get_ylim())
            self._clip = axes.patch
        else:
            self.projection = projection or world()
            self._draw_sea()
        self._lines(graticule(self.projection), colors=GRATICULE, linewidths=0.4, zorder=_GRID)
        shore = coastline() if self.projection.exact else [part for ring in coastline() for part in _shores(ring)]
        self._lines(shore, colors=COAST, linewidths=0.45, zorder=_COAST)
        left, right, bottom, top = self.frame
        axes.set(xlim=(left, right), ylim=(bottom, top))

    @property
    def ratio(self) -> float:
        """Height by width."""
        left, right, bottom, top = self.frame
        return float((top - bottom) / (right - left))

    def pixels(self, columns: int) -> Floats:
        """Longitude and latitude of the pixels of a picture that fills the axes.

        Parameters
        ----------
        columns : int
            Of the picture; as many rows as make pixels square.

        Returns
        -------
        ndarray
            (rows, columns, 2) degrees, row 0 at the top; NaN beside the map.
        """
        left, right, bottom, top = self.frame
        rows = max(1, round(columns * self.ratio))
        x = left + (np.arange(columns) + 0.5) * (right - left) / columns
        y = top - (np.arange(rows) + 0.5) * (top - bottom) / rows
        return self.projection.places(np.stack(np.meshgrid(x, y), -1))

    def picture(self, values: NDArray[Any], **style: Any) -> Any:
        """Draw a value, or a colour, for each pixel of `pixels`.

        Parameters
        ----------
        values : ndarray
            (rows, columns) numbers, NaN where nothing is drawn; or (rows, columns, 4) colours.
        **style
            ``cmap``, ``norm`` and the like of `matplotlib.axes.Axes.imshow`.

        Returns
        -------
        matplotlib.image.AxesImage
            For a colour bar.
        """
        shown = values if values.ndim == 3 else np.ma.masked_invalid(values)
        # The transform is that of the data, which axes of cartopy do not warp.
        image = self.axes.imshow(
            shown, extent=self.frame, origin="upper", interpolation="nearest", aspect=self.axes.get_aspect(),
            transform=self.axes.transData, zorder=_CONTENT, **style,
        )  # fmt: skip
        image.set_clip_path(self._clip)
        self._keep_frame()
        return image

    def cells(self, corners: Floats, colours: NDArray[np.float64]) -> Any:
        """Draw quadrilaterals: (rows + 1, columns + 1, 2) corners in degrees, (rows, columns, 4) colours."""
        x, y = np.moveaxis(self.projection.forward(corners.reshape(-1, 2)).reshape(corners.shape), -1, 0)
        mesh = self.axes.pcolormesh(x, y, colours, rasterized=True, zorder=_CONTENT)
        mesh.set_clip_path(self._clip)
        return mesh

    def points(self, lonlat: ArrayLike, **style: Any) -> Any:
        """Draw points; those that the map does not show are left out.

        Parameters
        ----------
        lonlat : array_like
            (N, 2) degrees.
        **style
            Of `matplotlib.axes.Axes.scatter`.

        Returns
        -------
        matplotlib.collections.PathCollection
            With one offset for each place, NaN where it is not shown.
        """
        xy = np.ma.masked_invalid(self.projection.project(lonlat))
        options = {"linewidths": 0, "zorder": _MARKS, "transform": self.axes.transData, "plotnonfinite": False, **style}
        found = self.axes.scatter(*xy.T, **options)
        found.set_clip_path(self._clip)
        self._keep_frame()
        return found

    def place(self, lonlat: ArrayLike, name: str | None = None, *, marker: str = "*", **style: Any) -> Any:
        """Mark a place, and write its name beside it.

        Parameters
        ----------
        lonlat : array_like
            Longitude and latitude in degrees.
        name : str, optional
            What is written.
        marker : str
            Of matplotlib.
        **style
            Of `points`, such as ``color`` and ``label``.

        Returns
        -------
        matplotlib.collections.PathCollection
            The marker; its ``label`` is for `legend`.
        """
        place = as_lonlat(lonlat).numpy()
        look = {"s": 110 if marker == "*" else 40, "color": MARK, "edgecolors": "white", "linewidths": 0.8, **style}
        found = self.points(place, marker=marker, **look)
        ((x, y),) = self.projection.project(place)
        if name and math.isfinite(x):
            left, right, _, _ = self.frame
            side = 1 if x < left + 0.75 * (right - left) else -1
            text = self.axes.annotate(
                name, (x, y), (6 * side, 0), textcoords="offset points", ha="left" if side > 0 else "right",
                va="center", fontsize=8, color=INK, zorder=_MARKS, annotation_clip=True,
            )  # fmt: skip
            text.set_path_effects(_rim())
        return found

    def collection(self, part: Any) -> None:
        """Draw a matplotlib collection in the map's own coordinates, above the sea and below the coast."""
        part.set_zorder(_CONTENT)
        self.axes.add_collection(part)
        part.set_clip_path(self._clip)

    def _draw_sea(self) -> None:
        edge = self.projection.outline
        self._clip = require("matplotlib.patches", extra="geo").Polygon(edge, facecolor=SEA, edgecolor="none")
        self._clip.set_zorder(_UNDER)
        self.axes.add_patch(self._clip)
        closed = np.append(edge, edge[:1], 0)
        self.axes.plot(*closed.T, color=COAST, linewidth=0.7, zorder=_EDGE, clip_on=False)
        self.axes.set_axis_off()
        self.axes.set(xticks=[], yticks=[])  # titles would leave room for the ticks' power of ten
        (left, bottom), (right, top) = edge.min(0), edge.max(0)
        self.frame = left, right, bottom, top
        box = self.axes.get_window_extent()
        if abs(box.height / box.width / self.ratio - 1) > 1e-6:  # else it is so already, to the last bit
            self.axes.set_aspect("equal")
        if self.projection.scale is not None:
            self._label_degrees()

    def _label_degrees(self) -> None:
        """Longitudes and latitudes along the inner edge of a rectangle."""
        left, _, bottom, _ = self.frame
        west, south, east, north = self.projection.box
        style = {"fontsize": 6.5, "color": INK, "zorder": _MARKS, "textcoords": "offset points", "path_effects": _rim()}
        for lon in multiples(step(east - west), west + 0.06 * (east - west), east - 0.06 * (east - west)):
            x = self.projection.forward(np.array([[lon, south]]))[0, 0]
            text = named((lon + 180) % 360 - 180, "WE")
            self.axes.annotate(text, (x, bottom), (0, 3), ha="center", va="bottom", **style)
        for lat in multiples(step(north - south), south + 0.12 * (north - south), north - 0.04 * (north - south)):
            self.axes.annotate(named(lat, "SN"), (left, lat), (3, 0), ha="left", va="center", **style)

    def _lines(self, lines: Sequence[Floats], **style: Any) -> None:
        paths = [path for line in lines for path in self.projection.paths(line)]
        drawn = require("matplotlib.collections", extra="geo").LineCollection(paths, **style)
        self.axes.add_collection(drawn, autolim=False)
        drawn.set_clip_path(self._clip)

    def _keep_frame(self) -> None:
        left, right, bottom, top = self.frame
        self.axes.set(xlim=(left, right), ylim=(bottom, top))


def _rim() -> list[Any]:
    """A white rim round text, readable on any colour."""
    return [require("matplotlib.patheffects", extra="geo").withStroke(linewidth=2, foreground="white")]


def _shores(ring: Floats) -> list[Floats]:
    """A ring without its lines along the antimeridian and the south pole, where the data were cut."""
    on_cut = (np.abs(ring[:, 0]) == 180) | (ring[:, 1] == -90)
    artificial = on_cut[1:] & on_cut[:-1]
    parts = np.split(ring, np.flatnonzero(artificial) + 1)
    return [part for part in parts if len(part) > 1]
