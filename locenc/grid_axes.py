"""Centres of a grid's columns and rows, exact for bounds and resolution as they are written in decimals."""

import math
from fractions import Fraction
from typing import Any

from locenc._names import check_number

#: Cells fill the bounds but for this share of them: a resolution such as 1/3 is rounded.
ROUNDED = 1e-9


def centres(bounds: Any, resolution: Any) -> tuple[list[Fraction], list[Fraction]]:
    """Centres of the columns, west to east, and of the rows, north to south.

    Parameters
    ----------
    bounds : (west, south, east, north)
        Degrees; longitudes from -180 to 360, with west > east across the antimeridian.
    resolution : float or (float, float)
        Sides of a cell in degrees, along longitude and latitude.

    Returns
    -------
    (list of Fraction, list of Fraction)
        Degrees; a place has the same number in every grid. Longitudes rise, if need be beyond 360.

    Raises
    ------
    TypeError, ValueError
        For bounds that are no box on the globe, or a resolution that does not divide them.

    Examples
    --------
    >>> [float(degrees) for axis in centres((170, -20, -170, 0), (5, 10)) for degrees in axis]
    [172.5, 177.5, 182.5, 187.5, -5.0, -15.0]
    """
    west, south, east, north = box(bounds)
    width, height = east - west, north - south
    sizes = _sizes(resolution)
    columns, rows = round(width / sizes[0]), round(height / sizes[1])
    for name, span, size, count in (("longitude", width, sizes[0], columns), ("latitude", height, sizes[1], rows)):
        if abs(count * size - span) > ROUNDED * span:
            raise ValueError(
                f"resolution must divide the bounds, but {float(span):g} degrees of {name} are "
                f"{float(span / size):.6g} cells of {float(size):g}; the nearest that does is "
                f"{_nearest((width, height), sizes)}"
            )
    lon = [west + (2 * column + 1) * width / (2 * columns) for column in range(columns)]
    lat = [north - (2 * row + 1) * height / (2 * rows) for row in range(rows)]
    return lon, lat


def box(bounds: Any) -> tuple[Fraction, Fraction, Fraction, Fraction]:
    """West, south, east and north; east is the greater also across the antimeridian."""
    sized = isinstance(bounds, (tuple, list)) or getattr(bounds, "ndim", None) == 1
    if not sized or len(bounds) != 4:
        raise ValueError(f"bounds must be (west, south, east, north) in degrees, got {bounds!r}")
    west, south, east, north = (_exact("bounds", value) for value in bounds)
    if not -90 <= south < north <= 90:
        raise ValueError(f"bounds must be (west, south, east, north) with -90 <= south < north <= 90, got {bounds!r}")
    if not (-180 <= west <= 360 and -180 <= east <= 360) or west == east:
        raise ValueError(
            f"bounds must be (west, south, east, north) with two different longitudes from -180 to 360, got {bounds!r}"
        )
    if west > east:
        east += 360
    if east - west > 360:
        raise ValueError(f"bounds must span at most 360 degrees of longitude, got {bounds!r}: {float(east - west):g}")
    return west, south, east, north


def _sizes(resolution: Any) -> tuple[Fraction, Fraction]:
    sides = tuple(resolution) if isinstance(resolution, (tuple, list)) else (resolution, resolution)
    sizes = tuple(_exact("resolution", side) for side in sides)
    if len(sizes) != 2 or min(sizes) <= 0:
        raise ValueError(
            f"resolution must be a positive number of degrees, or two (along longitude, latitude), got {resolution!r}"
        )
    return sizes


def _exact(name: str, value: Any) -> Fraction:
    number = check_number(name, value)
    if not math.isfinite(number):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return Fraction(repr(number))


def _nearest(spans: tuple[Fraction, Fraction], sizes: tuple[Fraction, Fraction]) -> str:
    """What divides the bounds: one number if one was given and another is near it, else two."""
    one = _divisor(_common(*spans), sizes[0])
    if sizes[0] == sizes[1] and sizes[0] / 2 <= one <= sizes[0] * 2:
        return repr(float(one))
    return repr(tuple(float(_divisor(span, size)) for span, size in zip(spans, sizes, strict=True)))


def _divisor(span: Fraction, size: Fraction) -> Fraction:
    """The whole part of a span that is nearest to a size."""
    fewer = max(1, span // size)
    return min(span / fewer, span / (fewer + 1), key=lambda part: abs(part - size))


def _common(one: Fraction, other: Fraction) -> Fraction:
    """The greatest common divisor."""
    return Fraction(
        math.gcd(one.numerator * other.denominator, other.numerator * one.denominator),
        one.denominator * other.denominator,
    )
