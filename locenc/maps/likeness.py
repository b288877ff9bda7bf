"""How alike places are to one place, by their embeddings: a map of the cosine."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from locenc.maps.canvas import Canvas
from locenc.maps.running import run
from locenc.maps.sheet import Sheet, field
from locenc.places import read

__all__ = ["similarity"]


def similarity(
    encoder: nn.Module,
    place: Any,
    *,
    name: str | None = None,
    over: str = "land",
    title: str | None = None,
    bounds: Sequence[float] | None = None,
    crs: Any = None,
    pixels: int = 1200,
    ax: Any = None,
) -> Any:
    """Map of the cosine between the embedding of each place and that of one place.

    The cosine is that of the centre of each pixel: nothing is interpolated.

    Parameters
    ----------
    encoder : Module
        Maps (N, 2) float64 (longitude, latitude) in degrees to (N, d).
    place : array_like, Point or GeoSeries of one point
        Longitude and latitude in degrees; a point of a GeoSeries in its CRS.
    name : str, optional
        What to call the place; its coordinates by default.
    over : {"land", "globe"}
        Where to draw the cosine.
    title : str, optional
        Of the map.
    bounds : (west, south, east, north), optional
        Degrees; the globe by default. West > east across the antimeridian.
    crs : any, optional
        A projection as pyproj takes it, such as ``"+proj=robin +lon_0=150"``; by default Equal Earth, and a rectangle
        of degrees for bounds.
    pixels : int
        Columns of the picture.
    ax : axes, optional
        Of matplotlib, or cartopy, to draw on.

    Returns
    -------
    Figure or axes
        Not registered with pyplot; ``figure.savefig("similarity.png", dpi=150)`` writes it. The axes if given.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError, ValueError
        For another place than one, an encoder's output that is not (N, d) or not finite, an unknown ``over`` or
        projection, or bounds that are none.

    Examples
    --------
    >>> figure = locenc.maps.similarity(locenc.Wrap(dim=8), (2.35, 48.86), name="Paris", pixels=64)
    >>> figure.axes[0].get_title(loc="left")
    'Similarity to Paris (Wrap)'
    """
    sheet, canvas = drawn("Similarity", encoder, place, name, over, title, bounds, crs, pixels, ax)
    legend(canvas)
    return sheet.result


def drawn(
    what: str,
    encoder: nn.Module,
    place: Any,
    name: str | None,
    over: str,
    title: str | None,
    bounds: Sequence[float] | None,
    crs: Any,
    pixels: int,
    ax: Any,
) -> tuple[Sheet, Canvas]:
    """The map of `similarity`, to which marks may be added before its `legend`."""
    here = read(place).lonlat
    if len(here) != 1:
        raise ValueError(f"place must be one place, (longitude, latitude), got {len(here)}")
    called = name or _coordinates(*here[0])
    centre = torch.from_numpy(run(encoder, here, normalize))[0]

    def cosine(rows: Tensor) -> Tensor:
        return (normalize(rows) @ centre).clamp(-1, 1)

    title = f"{what} to {called} ({type(encoder).__name__})" if title is None else title
    sheet = Sheet([title], [bounds], crs, ax)
    (canvas,) = sheet.canvases
    values = field(canvas, lambda lonlat: run(encoder, lonlat, cosine), over=over, pixels=pixels)
    least = min(0.95, float(np.floor(20 * np.nanmin(values)) / 20))
    image = canvas.picture(values, cmap="cividis", vmin=least, vmax=1.0)
    there = np.isfinite(canvas.projection.project(here)).all()
    canvas.place(here, label=called if there else f"{called} (not on this map)")
    sheet.bar(image, f"cosine of a place's embedding with that of {called} (1: alike)")
    return sheet, canvas


def legend(canvas: Canvas) -> None:
    """Say what the marks are."""
    canvas.axes.legend(loc="lower left", fontsize=8, framealpha=0.9, borderpad=0.6)


def _coordinates(lon: float, lat: float) -> str:
    return f"{round(abs(lat), 2):g}° {'S' if lat < 0 else 'N'}, {round(abs(lon), 2):g}° {'W' if lon < 0 else 'E'}"
