"""Two arithmetics in which the formulas of the encoders are evaluated; both share nothing with the library.

* `FixedPoint`: phases as integers (2^-280 of a turn), so that only the fraction of a turn is ever rounded to
  float64. Right to 2e-15 at any frequency, quick enough for thousands of points.
* `FiftyDigits`: mpmath, radians, no reduction of our own. For a few points, and as a check on the first.
"""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

mp = mpmath.mp.clone()
mp.dps = 50
Array = np.ndarray[Any, np.dtype[Any]]
DEGREE = mp.pi / 180  # radians in a degree


@dataclass
class FixedPoint:
    """Sines and cosines in float64 of phases that are reduced as integers."""

    lonlat: Array

    COORDINATE_BITS = 120
    FREQUENCY_BITS = 160

    def __post_init__(self) -> None:
        scaled = [[int(math.ldexp(float(v), self.COORDINATE_BITS)) for v in row] for row in self.lonlat]
        full = 360 << self.COORDINATE_BITS
        half = full // 2
        for row in scaled:
            if abs(row[0]) > half:
                rest = abs(row[0]) % full
                row[0] = (rest - full if rest > half else rest) * (1 if row[0] > 0 else -1)
        self.columns = np.array(scaled, dtype=object).reshape(-1, 2).T

    def sinusoids(self, coefficients: list[tuple[Any, ...]]) -> tuple[Array, Array]:
        """Sine and cosine of each linear form in radians, for every row: two arrays (N, K).

        A form has a coefficient for each coordinate; one more is a shift.
        """
        one = 1 << (self.COORDINATE_BITS + self.FREQUENCY_BITS)
        unit = mp.ldexp(1, self.FREQUENCY_BITS) / (2 * mp.pi)
        with mp.workdps(90):
            forms = [[int(mp.nint(c * unit)) for c in form] for form in coefficients]
        scales = [*self.columns, 1 << self.COORDINATE_BITS][: len(forms[0])]
        rows = np.array(forms, dtype=object).T
        turns = sum(np.multiply.outer(x, row) for x, row in zip(scales, rows, strict=True))
        nearest = (turns + one // 2) // one
        fraction = (turns - nearest * one) / one  # int / int rounds once, to float64
        radians = 2 * np.pi * fraction.astype(np.float64)
        return np.sin(radians), np.cos(radians)

    def mapped(self, coordinates: Callable[[Any, Any], list[Any]]) -> "FixedPoint":
        """The same arithmetic on other coordinates: functions of longitude and latitude in degrees, in mpmath."""
        on = copy.copy(self)
        rows = [[int(mp.nint(mp.ldexp(v, self.COORDINATE_BITS))) for v in coordinates(*p)] for p in self._points()]
        on.columns = np.array(rows, dtype=object).reshape(len(rows), -1).T
        return on

    def values(self, function: Callable[[Any, Any], list[Any]]) -> Array:
        """What a function of longitude and latitude gives in mpmath, rounded to float64: (N, F)."""
        return np.array([[float(v) for v in function(*point)] for point in self._points()], dtype=np.float64)

    def _points(self) -> list[list[Any]]:
        return [[mp.ldexp(mp.mpf(v), -self.COORDINATE_BITS) for v in row] for row in self.columns.T]


@dataclass
class FiftyDigits:
    """Sines and cosines in mpmath."""

    lonlat: Array

    def __post_init__(self) -> None:
        numbers = [[v if isinstance(v, mp.mpf) else mp.mpf(float(v)) for v in row] for row in self.lonlat]
        self.columns = [[self._reduced(row[0]) for row in numbers], [row[1] for row in numbers]]

    @staticmethod
    def _reduced(lon: Any) -> Any:
        while lon > 180:
            lon -= 360
            if lon == -180:
                return mp.mpf(180)
        while lon < -180:
            lon += 360
            if lon == 180:
                return mp.mpf(-180)
        return lon

    def sinusoids(self, coefficients: list[tuple[Any, ...]]) -> tuple[Array, Array]:
        """Sine and cosine of each linear form in radians, for every row: two object arrays (N, K)."""
        rows = [[*row, mp.mpf(1)] for row in zip(*self.columns, strict=True)]
        phases = [[sum(c * x for c, x in zip(form, row, strict=False)) for form in coefficients] for row in rows]
        shape = (len(rows), len(coefficients))
        sine = np.array([[mp.sin(p) for p in row] for row in phases], dtype=object).reshape(shape)
        cosine = np.array([[mp.cos(p) for p in row] for row in phases], dtype=object).reshape(shape)
        return sine, cosine

    def mapped(self, coordinates: Callable[[Any, Any], list[Any]]) -> "FiftyDigits":
        """The same arithmetic on other coordinates: functions of longitude and latitude in degrees."""
        on = copy.copy(self)
        on.columns = [*zip(*(coordinates(*point) for point in zip(*self.columns, strict=True)), strict=True)]
        return on

    def values(self, function: Callable[[Any, Any], list[Any]]) -> Array:
        """What a function of longitude and latitude gives: an object array (N, F)."""
        return np.array([function(*point) for point in zip(*self.columns, strict=True)], dtype=object)


Arithmetic = FixedPoint | FiftyDigits


def angles(on: Arithmetic, direction: tuple[Any, ...], frequencies: list[Any]) -> tuple[Array, Array]:
    """Sine and cosine of (direction . coordinates) f, for every row and frequency: two arrays (N, S)."""
    with mp.workdps(90):
        forms = [tuple(weight * f for weight in direction) for f in frequencies]
    return on.sinusoids(forms)
