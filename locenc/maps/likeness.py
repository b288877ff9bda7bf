"""How alike places are to one place, by their embeddings: a map of the cosine."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import normalize

from locenc.maps.canvas import Canvas
from locenc.maps.projection import Floats
from locenc.maps.running import run
from locenc.maps.sheet import Sheet, check_maps, field
from locenc.places import read

__all__ = ["similarity"]

MOST = 24


def similarity(
    encoder: nn.Module | Mapping[str, nn.Module],
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
    encoder : Module or mapping of str to Module
        Maps (N, 2) float64 (longitude, latitude) in degrees to (N, d). Of several, by their titles, small maps that
        share their colours; at most 24.
    place : array_like, Point or GeoSeries of one point
        Longitude and latitude in degrees; a point of a GeoSeries in its CRS.
    name : str, optional
        What to call the place; its coordinates by default.
    over : {"land", "globe"}
        Where to draw the cosine.
    title : str, optional
        Of the map, or above all of them.
    bounds : (west, south, east, north), optional
        Degrees; the globe by default. West > east across the antimeridian.
    crs : any, optional
        A projection as pyproj takes it, such as ``"+proj=robin +lon_0=150"``; by default Equal Earth, and a rectangle
        of degrees for bounds.
    pixels : int
        Columns of the picture.
    ax : axes or sequence of axes, optional
        Of matplotlib, or cartopy, to draw on; one for each encoder.

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
        projection, bounds that are none, and no encoders or too many.

    Examples
    --------
    >>> figure = locenc.maps.similarity(locenc.Wrap(dim=8), (2.35, 48.86), name="Paris", pixels=64)
    >>> figure.axes[0].get_title(loc="left")
    'Similarity to Paris (Wrap)'
    """
    if isinstance(encoder, Mapping):
        return _several(encoder, place, name, over, title, bounds, crs, pixels, ax)
    sheet, canvas = drawn("Similarity", encoder, place, name, over, title, bounds, crs, pixels, ax)
    legend(canvas)
    return sheet.result


def _several(
    encoders: Mapping[str, nn.Module],
    place: Any,
    name: str | None,
    over: str,
    title: str | None,
    bounds: Sequence[float] | None,
    crs: Any,
    pixels: int,
    ax: Any,
) -> Any:
    """One map for each encoder."""
    check_maps("encoders", len(encoders), MOST)
    here, called = _place(place, name)
    title = f"Similarity to {called} (star)" if title is None else title
    sheet = Sheet(list(encoders), [bounds] * len(encoders), crs, ax, heading=title)
    values = [
        field(canvas, _cosine(encoder, here), over=over, pixels=pixels)
        for canvas, encoder in zip(sheet.canvases, encoders.values(), strict=True)
    ]
    for canvas, each in zip(sheet.canvases, values, strict=True):
        image = _picture(canvas, each, min(map(_least, values)))
        canvas.place(here, s=40)
    _bar(sheet, image, called)
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
    here, called = _place(place, name)
    title = f"{what} to {called} ({type(encoder).__name__})" if title is None else title
    sheet = Sheet([title], [bounds], crs, ax)
    (canvas,) = sheet.canvases
    values = field(canvas, _cosine(encoder, here), over=over, pixels=pixels)
    image = _picture(canvas, values, _least(values))
    there = np.isfinite(canvas.projection.project(here)).all()
    canvas.place(here, label=called if there else f"{called} (not on this map)")
    _bar(sheet, image, called)
    return sheet, canvas


def legend(canvas: Canvas) -> None:
    """Say what the marks are."""
    canvas.axes.legend(loc="lower left", fontsize=8, framealpha=0.9, borderpad=0.6)


def _place(place: Any, name: str | None) -> tuple[Floats, str]:
    """A place, (1, 2) degrees, and what it is called."""
    here = read(place).lonlat
    if len(here) != 1:
        raise ValueError(f"place must be one place, (longitude, latitude), got {len(here)}")
    return here, name or _coordinates(*here[0])


def _cosine(encoder: nn.Module, here: Floats) -> Callable[[Floats], NDArray[np.float32]]:
    """The cosine of places, (N, 2) degrees, to one, (1, 2): (N,)."""
    centre = torch.from_numpy(run(encoder, here, normalize))[0]

    def cosine(rows: Tensor) -> Tensor:
        return (normalize(rows) @ centre).clamp(-1, 1)

    return lambda lonlat: run(encoder, lonlat, cosine)


def _least(values: NDArray[np.float32]) -> float:
    """Where the colours begin."""
    return min(0.95, float(np.floor(20 * np.nanmin(values)) / 20))


def _picture(canvas: Canvas, values: NDArray[np.float32], least: float) -> Any:
    return canvas.picture(values, cmap="cividis", vmin=least, vmax=1.0)


def _bar(sheet: Sheet, image: Any, called: str) -> None:
    sheet.bar(image, f"cosine of a place's embedding with that of {called} (1: alike)")


def _coordinates(lon: float, lat: float) -> str:
    return f"{round(abs(lat), 2):g}° {'S' if lat < 0 else 'N'}, {round(abs(lon), 2):g}° {'W' if lon < 0 else 'E'}"
