"""Features to more than 40 digits of phase: what errors are measured against.

Phases are whole numbers of 2^-280 turns, made of the coordinates' own digits and of frequencies to 50 digits, so that
nothing is lost before a turn is taken off; sines and cosines of the rest are right to 2e-16. It shares nothing with the
library but the order of the columns.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import mpmath  # type: ignore[import-untyped]
import numpy as np

mp = mpmath.mp.clone()
mp.dps = 90
Array = np.ndarray[Any, np.dtype[Any]]
#: Features (N, F) in float64 and half turns of the largest phase, of (lonlat, options, *drawn tensors).
Exact = Callable[..., tuple[Array, float]]

COORDINATE_BITS, FREQUENCY_BITS = 120, 160
TURN = 1 << (COORDINATE_BITS + FREQUENCY_BITS)


def waves(axes: Sequence[Array], forms: Sequence[Sequence[Any]]) -> tuple[Array, Array, float]:
    """Sines and cosines of linear forms.

    Parameters
    ----------
    axes : sequence of ndarray
        Coordinates (N,), whole numbers of 2^-120, as `axis` makes them.
    forms : sequence
        For each column a coefficient for each axis and a shift, in turns.

    Returns
    -------
    sine, cosine : ndarray
        (N, K) float64.
    largest : float
        Half turns of the largest phase.
    """
    numbers = [[int(mp.nint(mp.ldexp(value, FREQUENCY_BITS))) for value in form] for form in forms]
    one = np.array([1 << COORDINATE_BITS] * len(axes[0]), dtype=object)
    turns = sum(
        np.multiply.outer(axis, np.array(row, dtype=object))
        for axis, row in zip([*axes, one], zip(*numbers, strict=True), strict=True)
    )
    rest = turns - (turns + TURN // 2) // TURN * TURN
    radians = 2 * math.pi * (rest / TURN).astype(np.float64)
    return np.sin(radians), np.cos(radians), 2 * float(abs(turns).max() / TURN)


def axis(values: Iterable[Any]) -> Array:
    """Whole numbers of 2^-120 from floats (kept exactly) or numbers of mpmath."""
    return np.array([int(mp.nint(mp.ldexp(mp.mpf(value), COORDINATE_BITS))) for value in values], dtype=object)


def radii(options: dict[str, Any]) -> list[Any]:
    """Frequencies 1 / r, the finest first."""
    least, most, steps = mp.mpf(options["min_radius"]), mp.mpf(options["max_radius"]), options["num_scales"] - 1
    return [1 / (least * (most / least) ** (mp.mpf(s) / steps)) for s in range(steps + 1)]


class Globe(NamedTuple):
    """Sines and cosines of longitude and latitude: at all scales (N, S), and of the angles themselves (N, 1)."""

    sin_lons: Array
    cos_lons: Array
    sin_lats: Array
    cos_lats: Array
    sin_lon: Array
    cos_lon: Array
    cos_lat: Array

    def mixed(self) -> list[Array]:
        """Products of one coordinate at all scales with the other as it is."""
        by_lon = [(self.cos_lats, self.cos_lon), (self.cos_lat, self.cos_lons)]
        return [u * v for u, v in [*by_lon, (self.cos_lats, self.sin_lon), (self.cos_lat, self.sin_lons)]]


def sphere(blocks: Callable[[Globe], list[Array]]) -> Exact:
    """A variant of Sphere2Vec."""

    def features(lonlat: Array, options: dict[str, Any], *drawn: Array) -> tuple[Array, float]:
        forms = [(f / 360, 0) for f in [*radii(options), mp.mpf(1)]]
        sin_l, cos_l, largest = waves([axis(lonlat[:, 0])], forms)
        sin_b, cos_b, _ = waves([axis(lonlat[:, 1])], forms)
        scaled = [wave[:, :-1] for wave in (sin_l, cos_l, sin_b, cos_b)]
        return np.concatenate(blocks(Globe(*scaled, *(wave[:, -1:] for wave in (sin_l, cos_l, cos_b)))), 1), largest

    return features


def sphere_c(at: Globe) -> list[Array]:
    """Columns of sphereC."""
    return [at.sin_lats, at.cos_lats * at.cos_lons, at.cos_lats * at.sin_lons]


def singles(at: Globe) -> list[Array]:
    """Columns of dfs, sphereC+ and sphereM+ that are no products."""
    return [at.sin_lats, at.cos_lats, at.sin_lons, at.cos_lons]


def dfs(at: Globe) -> list[Array]:
    """Columns of dfs."""
    pairs = [(u, v) for u in (at.sin_lons, at.cos_lons) for v in (at.sin_lats, at.cos_lats)]
    return [*((u[:, :, None] * v[:, None, :]).reshape(len(u), -1) for u, v in pairs), *singles(at)]


def space(directions: Sequence[tuple[Any, Any]]) -> Exact:
    """Space2Vec: sine and cosine along directions, degrees as radians."""

    def features(lonlat: Array, options: dict[str, Any], *drawn: Array) -> tuple[Array, float]:
        axes = [axis(lonlat[:, 0]), axis(lonlat[:, 1])]
        found = [
            waves(axes, [(u * f / (2 * mp.pi), v * f / (2 * mp.pi), 0) for f in radii(options)]) for u, v in directions
        ]
        columns = [wave for sine, cosine, _ in found for wave in (sine, cosine)]
        return np.concatenate(columns, 1), max(largest for *_, largest in found)

    return features


def _globe(lonlat: Array) -> list[list[Any]]:
    """Points on the unit sphere in 90 digits: x, y, z, each (N,)."""
    points = []
    for lon, lat in lonlat:
        lon, lat = (mp.mpf(float(value)) * mp.pi / 180 for value in (lon, lat))
        points.append([mp.cos(lat) * mp.cos(lon), mp.cos(lat) * mp.sin(lon), mp.sin(lat)])
    return [list(values) for values in zip(*points, strict=True)]


def xyz(lonlat: Array, options: dict[str, Any], *drawn: Array) -> tuple[Array, float]:
    """Point on the unit sphere."""
    return np.array([[float(value) for value in values] for values in _globe(lonlat)]).T, 1.0


def nerf(lonlat: Array, options: dict[str, Any], *drawn: Array) -> tuple[Array, float]:
    """NeRF: sines, then cosines, of pi 2^s (x, y, z)."""
    forms = [(mp.mpf(2) ** (s - 1), 0) for s in range(options["num_scales"])]
    found = [waves([axis(values)], forms) for values in _globe(lonlat)]
    return np.concatenate([wave[kind] for kind in (0, 1) for wave in found], 1), max(wave[2] for wave in found)


def wrap(lonlat: Array, options: dict[str, Any], *drawn: Array) -> tuple[Array, float]:
    """Sines, then cosines, of longitude and twice the latitude."""
    forms = [(1 / mp.mpf(360), 0, 0), (0, 1 / mp.mpf(180), 0)]
    sine, cosine, largest = waves([axis(lonlat[:, 0]), axis(lonlat[:, 1])], forms)
    return np.concatenate([sine, cosine], 1), largest


def rff(lonlat: Array, options: dict[str, Any], directions: Array, shift: Array) -> tuple[Array, float]:
    """Random Fourier features of lon / 180, lat / 90."""
    turn = 2 * mp.pi
    forms = [
        (mp.mpf(float(u)) / 180 / turn, mp.mpf(float(v)) / 90 / turn, mp.mpf(float(c)) / turn)
        for u, v, c in zip(*directions, shift, strict=True)
    ]
    _, cosine, largest = waves([axis(lonlat[:, 0]), axis(lonlat[:, 1])], forms)
    return math.sqrt(2 / len(shift)) * cosine, largest


def geoclip(lonlat: Array, options: dict[str, Any], directions: Array) -> tuple[Array, float]:
    """Cosines, then sines, of Equal Earth at several widths."""
    a1, a2, a3, a4 = (mp.mpf(value) for value in ("1.340264", "-0.081106", "0.000893", "0.003796"))
    scale, root = mp.mpf("66.50336") / 180, mp.sqrt(3)
    places = []
    for lon, lat in lonlat:
        t = mp.asin(root / 2 * mp.sin(mp.mpf(float(lat)) * mp.pi / 180))
        slope = 9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1
        x = 2 * root * mp.mpf(float(lon)) * mp.pi / 180 * mp.cos(t) / (3 * slope)
        places.append((scale * x, scale * (a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t)))
    axes = [axis(values) for values in zip(*places, strict=True)]
    found = [waves(axes, [(mp.mpf(float(u)), mp.mpf(float(v)), 0) for u, v in width]) for width in directions]
    columns = [wave for sine, cosine, _ in found for wave in (cosine, sine)]
    return np.concatenate(columns, 1), max(largest for *_, largest in found)


HALF, ROOT = mp.mpf(1) / 2, mp.sqrt(3) / 2
EXACT: dict[str, Exact] = {
    "sphereC": sphere(sphere_c),
    "sphereC+": sphere(lambda at: singles(at) + sphere_c(at)[1:]),
    "sphereM": sphere(lambda at: [at.sin_lats, *at.mixed()]),
    "sphereM+": sphere(lambda at: singles(at) + at.mixed()),
    "dfs": sphere(dfs),
    "grid": space([(1, 0), (0, 1)]),
    "theory": space([(1, 0), (-HALF, ROOT), (-HALF, -ROOT)]),
    "nerf": nerf,
    "rff": rff,
    "geoclip": geoclip,
    "wrap": wrap,
    "xyz": xyz,
}
