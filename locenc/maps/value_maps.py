"""Maps of any number that depends on the place: a prediction, its error, a gradient."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from locenc.maps.projection import Floats
from locenc.maps.sheet import Sheet, check_maps, field

__all__ = ["values"]

MOST = 24
Function = Callable[[Floats], ArrayLike]


def values(
    function: Function | Mapping[str, Function],
    *,
    label: str,
    limits: tuple[float, float] | None = None,
    cmap: Any = "viridis",
    over: str = "land",
    title: str = "",
    bounds: Sequence[float] | None = None,
    crs: Any = None,
    pixels: int = 720,
    ax: Any = None,
) -> Any:
    """Map of a function of places.

    It is evaluated at the centre of each pixel: nothing is interpolated.

    Parameters
    ----------
    function : callable or mapping of str to callable
        Maps an array (N, 2) float64 (longitude, latitude) in degrees to (N,) numbers; NaN where nothing is drawn. Of
        several, by their titles, small maps that share their colours; at most 24.
    label : str
        What the numbers are, with their unit.
    limits : (float, float), optional
        Numbers at the ends of the colours; the least and the largest by default.
    cmap : any
        Colours, as matplotlib takes them.
    over : {"land", "globe"}
        Where to evaluate it.
    title : str
        Of the map, or above all of them.
    bounds, crs, pixels
        As in `locenc.maps.similarity`.
    ax : axes or sequence of axes, optional
        One for each function.

    Returns
    -------
    Figure, axes or sequence of axes
        Not registered with pyplot; ``figure.savefig("values.png", dpi=150)`` writes it. The axes if given.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError, ValueError
        For what is no function, one that does not give (N,) numbers, none or too many, limits that do not rise, and as
        `locenc.maps.similarity`.

    Examples
    --------
    >>> import numpy as np
    >>> figure = values(lambda lonlat: np.cos(np.deg2rad(lonlat[:, 1])), label="noon sun at equinox, share", pixels=64)
    >>> figure.axes[-1].get_xlabel()
    'noon sun at equinox, share'
    """
    several = isinstance(function, Mapping)
    functions: dict[str, Any] = dict(function) if isinstance(function, Mapping) else {"": function}
    check_maps("functions", len(functions), MOST)
    for one in functions.values():
        if not callable(one):
            raise TypeError(f"function must map (N, 2) degrees to (N,) numbers, got {type(one).__name__}")
    if limits is not None and not limits[0] < limits[1]:
        raise ValueError(f"limits must be two rising numbers, got {limits}")
    sheet = Sheet(
        list(functions) if several else [title], [bounds] * len(functions), crs, ax, heading=title if several else ""
    )
    fields = [
        field(canvas, partial(_numbers, one), over=over, pixels=pixels)
        for canvas, one in zip(sheet.canvases, functions.values(), strict=True)
    ]
    least, most = limits or (min(map(np.nanmin, fields)), max(map(np.nanmax, fields)))
    for canvas, each in zip(sheet.canvases, fields, strict=True):
        image = canvas.picture(each, cmap=cmap, vmin=least, vmax=most)
    below, above = any((each < least).any() for each in fields), any((each > most).any() for each in fields)
    sheet.bar(image, label, extend=("neither", "max", "min", "both")[2 * below + above])
    return sheet.result


def _numbers(function: Function, lonlat: Floats) -> NDArray[np.float64]:
    found = np.asarray(function(lonlat.copy()))
    if found.shape != (len(lonlat),) or found.dtype.kind not in "fiub":
        raise ValueError(
            f"the function must give a number for each of {len(lonlat)} places, shape ({len(lonlat)},), got "
            f"{found.dtype} of shape {found.shape}"
        )
    if not np.isfinite(found).any():
        raise ValueError("the function gives no finite number on this map")
    return found.astype(np.float64)
