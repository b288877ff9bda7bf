"""What the scales of a position encoder look like: a map for each."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._names import check_count
from locenc.coords import KM_PER_DEGREE, as_lonlat
from locenc.embedding import embedding_dim
from locenc.location_encoder import LocationEncoder
from locenc.maps.built_in import world
from locenc.maps.feature_columns import Column, shown
from locenc.maps.projection import Box, Floats
from locenc.maps.running import run
from locenc.maps.sheet import Sheet, field
from locenc.position import PositionEncoder

__all__ = ["scales"]

MOST = 12
#: Waves of at least so many km are drawn on the globe, shorter ones in a window of so many wavelengths.
COARSE_KM, WAVES = 800.0, 12.0
STRAIT = (-5.6, 36.0)  # of Gibraltar: two coasts


def scales(
    encoder: LocationEncoder | PositionEncoder,
    *,
    features: Sequence[int] | None = None,
    most: int = MOST,
    title: str | None = None,
    bounds: Sequence[float] | None = None,
    centre: tuple[float, float] = STRAIT,
    crs: Any = None,
    pixels: int = 720,
    ax: Any = None,
) -> Any:
    """Maps of a position encoder's features: one for each scale, the coarsest first.

    A scale is shown by one of its features, the one that varies most in both directions. Features are computed at the
    centre of each pixel. Those that are too fine for a map of the globe are drawn in a window of twelve wavelengths.

    Parameters
    ----------
    encoder : LocationEncoder or PositionEncoder
        Of a location encoder the position encoder is shown.
    features : sequence of int, optional
        Columns of the position encoder to show instead, at most 12.
    most : int
        Show so many scales at most, chosen evenly; from 1 to 12.
    title : str, optional
        Above the maps.
    bounds : (west, south, east, north), optional
        Degrees: what all maps show.
    centre : (longitude, latitude)
        Degrees: the middle of the windows.
    crs : any, optional
        A projection as pyproj takes it, for all maps. With it, or ``bounds``, there are no windows: scales finer than
        four pixels are marked in their titles.
    pixels : int
        Columns of a picture.
    ax : axes or sequence of axes, optional
        One for each map; they show the globe unless ``bounds`` says otherwise, and axes of cartopy what they show.

    Returns
    -------
    Figure, axes or sequence of axes
        Not registered with pyplot; ``figure.savefig("scales.png", dpi=150)`` writes it. The axes if given.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    TypeError, ValueError
        For another kind of encoder, features that it does not have, and as `locenc.maps.similarity`.

    Examples
    --------
    >>> figure = locenc.maps.scales(locenc.Sphere2Vec("sphereC", num_scales=3), pixels=64)
    >>> [axes.get_title(loc="left") for axes in figure.axes[:1]]
    ['40,075 km: cos(lat) sin(lon)']
    """
    embedding_dim(encoder)  # refuses what is no encoder
    position: Any = encoder.position if isinstance(encoder, LocationEncoder) else encoder
    found = shown(position, features, check_count("most", most, most=MOST))
    fixed = bounds is not None or crs is not None or ax is not None
    middle = tuple(as_lonlat(centre)[0].tolist())
    boxes = [bounds if fixed else _window(column, middle) for column in found]
    name = (position.config or {}).get("name", type(position).__name__)
    heading = f"{name}: {len(found)} of {position.out_dim:,} features" if title is None else title
    windows = not fixed and any(box is not None for box in boxes)
    note = f"Scales below {COARSE_KM:g} km: windows of {WAVES:g} wavelengths." if windows else ""
    sheet = Sheet([""] * len(found), boxes, crs, ax, heading=heading, note=note)
    values = []
    for canvas, column in zip(sheet.canvases, found, strict=True):
        values.append(field(canvas, partial(_feature, position, column.number), pixels=pixels))
        canvas.axes.set_title(_title(column, canvas.projection.box, pixels, fixed), loc="left", fontsize=8.5, pad=4)
    largest = max(float(np.nanmax(np.abs(each))) for each in values)
    limit = 1.0 if 0.5 < largest <= 1.0 + 1e-6 else largest or 1.0
    for canvas, each in zip(sheet.canvases, values, strict=True):
        image = canvas.picture(each, cmap="RdBu_r", vmin=-limit, vmax=limit)
    sheet.bar(image, "value of the feature")
    return sheet.result


def _feature(position: PositionEncoder, column: int, lonlat: Floats) -> NDArray[np.float32]:
    return run(position, lonlat, lambda rows: rows[:, column].clone())


def _title(column: Column, box: Box, pixels: int, fixed: bool) -> str:
    west, south, east, north = box
    formula = column.formula or f"feature {column.number}"
    if column.wavelength_km is None:
        return formula
    across = (east - west) * KM_PER_DEGREE * math.cos(math.radians((south + north) / 2))
    text = f"{_length(column.wavelength_km)}: {formula}"
    too_fine = fixed and column.wavelength_km < 4 * across / pixels
    return f"{text} (finer than the pixels)" if too_fine else text


def _window(column: Column, centre: tuple[float, ...]) -> Box | None:
    """Bounds of some wavelengths round a place, as wide for their height as the globe; None for coarse features."""
    length = column.wavelength_km
    if length is None or length >= COARSE_KM:
        return None
    lon, lat = centre
    tall = WAVES * length / KM_PER_DEGREE * float(np.divide(*np.ptp(world().outline, axis=0)[::-1]))
    south, north = max(-90.0, lat - tall / 2), min(90.0, lat + tall / 2)
    wide = min(300.0, WAVES * length / KM_PER_DEGREE / max(0.05, math.cos(math.radians((south + north) / 2))))
    west = (lon - wide / 2 + 180) % 360 - 180
    east = (lon + wide / 2 + 180) % 360 - 180
    return west, south, east, north


def _length(km: float) -> str:
    if not math.isfinite(km):
        return "constant"
    if km < 1:
        return f"{1000 * km:.3g} m"
    return f"{km:,.0f} km" if km >= 100 else f"{km:.3g} km"
