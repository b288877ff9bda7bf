"""A map of the places that are most alike to one, by their embeddings."""

from collections.abc import Sequence
from typing import Any

from locenc import alike
from locenc.location_encoder import LocationEncoder
from locenc.maps.likeness import drawn, legend
from locenc.places import read
from locenc.position import PositionEncoder

__all__ = ["nearest"]

CANDIDATE = "#cf105f"


def nearest(
    encoder: LocationEncoder | PositionEncoder,
    place: Any,
    candidates: Any,
    *,
    count: int = 5,
    labels: str | Sequence[Any] | None = None,
    lon: str | None = None,
    lat: str | None = None,
    name: str | None = None,
    over: str = "land",
    title: str | None = None,
    bounds: Sequence[float] | None = None,
    crs: Any = None,
    pixels: int = 1200,
    ax: Any = None,
) -> Any:
    """Map of the candidates most alike to a place, on that of the cosine to it.

    Parameters
    ----------
    encoder, place, candidates, count, lon, lat
        As in `locenc.nearest`.
    labels : str or sequence, optional
        What to call the candidates: a column of their table, or a name for each; by default 1 for the most alike, and
        so on. The similarity stands behind each.
    name, over, title, bounds, crs, pixels, ax
        As in `locenc.maps.similarity`.

    Returns
    -------
    Figure or axes
        As `locenc.maps.similarity`.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError, ValueError
        As `locenc.nearest` and `locenc.maps.similarity`; for another number of labels than candidates, and an unknown
        column.

    Examples
    --------
    >>> import locenc
    >>> places = [(139.7, 35.7), (-77.0, -12.1), (13.4, 52.5)]
    >>> names = ["Tokyo", "Lima", "Berlin"]
    >>> figure = nearest(locenc.Wrap(dim=8), (2.35, 48.86), places, count=2, labels=names, pixels=64)
    >>> figure.axes[0].get_title(loc="left")
    'Most alike to 48.86° N, 2.35° E (Wrap)'
    """
    lonlat = read(candidates, lon=lon, lat=lat).lonlat
    names = _names(labels, candidates, len(lonlat))
    found = alike.nearest(encoder, place, lonlat, count=count)
    sheet, canvas = drawn("Most alike", encoder, place, name, over, title, bounds, crs, pixels, ax)
    for rank, (row, cosine) in enumerate(zip(*found, strict=True)):
        called = rank + 1 if names is None else names[row]
        label = {"label": "most alike candidates, cosine"} if rank == 0 else {}
        canvas.place(lonlat[row], f"{called} ({cosine:.3f})", marker="o", color=CANDIDATE, **label)
    legend(canvas)
    return sheet.result


def _names(labels: Any, candidates: Any, count: int) -> Sequence[Any] | None:
    if isinstance(labels, str):
        if labels not in getattr(candidates, "columns", ()):
            raise ValueError(f"labels: the candidates have no column {labels!r}")
        labels = candidates[labels]
    if labels is None:
        return None
    if len(labels) != count:
        raise ValueError(f"labels must hold a name for each of {count} candidates, got {len(labels)}")
    return list(labels)
