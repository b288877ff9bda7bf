"""Places of a table on a map, coloured by their embeddings or by values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import nn
from torch.nn.functional import normalize

from locenc._extras import require
from locenc.maps.canvas import INK
from locenc.maps.patterns import principal_channels, turn_channels
from locenc.maps.projection import Box, Floats
from locenc.maps.running import run
from locenc.maps.sheet import Sheet
from locenc.places import read

__all__ = ["points"]

_MARGIN, _LEAST = 0.08, 0.02  # of the extent; degrees


def points(
    data: Any,
    encoder: nn.Module | None = None,
    *,
    values: ArrayLike | str | None = None,
    color: Any = None,
    lon: str | None = None,
    lat: str | None = None,
    label: str | None = None,
    title: str | None = None,
    size: float | None = None,
    bounds: str | Sequence[float] | None = "data",
    crs: Any = None,
    ax: Any = None,
) -> Any:
    """Map of places, coloured by the first three principal components of their embeddings, by values, or all alike.

    Parameters
    ----------
    data : GeoDataFrame, GeoSeries, DataFrame or array_like
        The places, as `locenc.embed` takes them: points in any CRS, a table with ``lon`` and ``lat``, (N, 2) degrees.
    encoder : Module, optional
        Maps (N, 2) float64 (longitude, latitude) in degrees to (N, d). Its components of these places are red, green
        and blue, each spread evenly over its range: similar colours are similar embeddings.
    values : array_like or str, optional
        (N,) numbers, or the column of them, to colour by instead; white-rimmed grey where they are missing.
    color : any, optional
        The one colour of all places instead, as matplotlib takes it.
    lon, lat : str, optional
        Columns of a table, degrees.
    label : str, optional
        What the values are, with their unit; the column's name by default.
    title : str, optional
        Of the map.
    size : float, optional
        Of a dot, in points squared.
    bounds : {"data", "globe"} or (west, south, east, north)
        What the map shows: the places, the globe, or degrees.
    crs : any, optional
        A projection as pyproj takes it; by default Equal Earth for the globe, else a rectangle of degrees.
    ax : axes, optional
        Of matplotlib, or cartopy (which show what they show), to draw on.

    Returns
    -------
    Figure or axes
        Not registered with pyplot; ``figure.savefig("points.png", dpi=150)`` writes it. The axes if given.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError, ValueError
        For data that `locenc.embed` refuses, no place, none or several of encoder, values and color, values that are
        not (N,) numbers, and as `locenc.maps.similarity`.

    Examples
    --------
    >>> figure = locenc.maps.points([(10, 50), (12, 51)], values=[3.5, 7.0], label="height in m")
    >>> figure.axes[0].get_title(loc="left")
    '2 places'
    """
    lonlat = read(data, lon=lon, lat=lat).lonlat
    if len(lonlat) == 0:
        raise ValueError("expected at least one place to draw, got none")
    if sum(one is not None for one in (encoder, values, color)) != 1:
        raise ValueError("points are coloured by an encoder, by values, or by one color: give one of them")
    note = ""
    colours: Any = [color]
    if values is not None:
        colours, label = _numbers(data, values, len(lonlat)), label or (values if isinstance(values, str) else "value")
    if encoder is None:
        title = _count(lonlat) if title is None else title
    else:
        colours, share = _components(encoder, lonlat)
        name, their = type(encoder).__name__, "its" if len(lonlat) == 1 else "their"
        title = f"{_count(lonlat)} by {their} embedding ({name})" if title is None else title
        varies = f"{share:.0%} of its variance" if share > 0 else "grey, as it does not vary"
        note = f"Principal components of the embedding as red, green and blue: {varies}."
    theirs = hasattr(ax, "projection")
    if isinstance(bounds, str):
        if bounds not in ("data", "globe"):
            raise ValueError(f"bounds must be 'data', 'globe' or (west, south, east, north), got {bounds!r}")
        bounds = _extent(lonlat) if bounds == "data" and not theirs else None
    sheet = Sheet([title], [bounds], crs, ax, note=note)
    (canvas,) = sheet.canvases
    size = float(np.clip(3000 / len(lonlat), 4, 40)) if size is None else size
    style: dict[str, Any] = {"s": size, "linewidths": 0.3 if size >= 10 else 0, "edgecolors": INK}
    if values is None:
        canvas.points(lonlat, c=colours, **style)
        sheet.no_bar()
    else:
        map_of = require("matplotlib", extra="geo").colormaps["viridis"].with_extremes(bad="#b0b0b0")
        drawn = canvas.points(lonlat, c=np.ma.masked_invalid(colours), cmap=map_of, plotnonfinite=True, **style)
        sheet.bar(drawn, str(label))
    return sheet.result


def _count(lonlat: Floats) -> str:
    return f"{len(lonlat):,} place{'s' if len(lonlat) != 1 else ''}"


def _components(encoder: nn.Module, lonlat: Floats) -> tuple[Floats, float]:
    embedding = run(encoder, lonlat, normalize)
    weights = np.full(len(lonlat), 1 / len(lonlat))
    channels, shares = principal_channels(embedding, weights)
    return 0.05 + 0.9 * turn_channels(channels, lonlat[:, 1], weights), float(shares.sum())


def _numbers(data: Any, values: Any, count: int) -> NDArray[np.float64]:
    if isinstance(values, str):
        if not hasattr(data, "columns") or values not in data.columns:
            raise ValueError(f"values names a column that the data do not have: {values!r}")
        values = data[values]
    found = np.asarray(values)
    if found.shape != (count,):
        raise ValueError(f"values must be one number per place, shape ({count},), got {found.shape}")
    if found.dtype.kind not in "fiub":
        raise TypeError(f"values must be numbers, got {found.dtype}: take codes of categories")
    return found.astype(np.float64)


def _extent(lonlat: Floats) -> Box | None:
    """Bounds of places with a margin, the shorter way round the globe; None where they span most of it."""
    lon = np.unique((lonlat[:, 0] + 180) % 360 - 180)
    gaps = np.diff(lon, append=lon[0] + 360)
    widest = int(gaps.argmax())
    west, width = lon[(widest + 1) % len(lon)], 360 - gaps[widest]
    south, north = float(lonlat[:, 1].min()), float(lonlat[:, 1].max())
    if width > 180 or north - south > 120:
        return None
    tall = (1 + 2 * _MARGIN) * max(north - south, 0.4 * width * np.cos(np.deg2rad((south + north) / 2)), _LEAST)
    low = float(np.clip((south + north) / 2 - tall / 2, -90, 90))
    high = float(np.clip((south + north) / 2 + tall / 2, -90, 90))
    shrink = max(0.05, float(np.cos(np.deg2rad((low + high) / 2))))
    wide = min((1 + 2 * _MARGIN) * max(width, (high - low) / shrink, _LEAST), 300.0)
    left = float(west + width / 2 - wide / 2)
    left = (left + 180) % 360 - 180
    right = left + wide
    return left, low, right if right <= 180 else right - 360, high
