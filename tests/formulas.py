"""Every encoder again, from the papers: shares no code, table or structure with the library.

A sinusoidal encoder is stated once, as blocks of sines and cosines of ``(a lon + b lat) f_s``, and evaluated
in either of two arithmetics:

* `evaluate`: phases as integers (fixed point, 2^-280 of a turn), so that only the fraction of a turn is ever
  rounded to float64. Right to 2e-15 at any frequency, quick enough for thousands of points.
* `exact`: mpmath, 50 digits, radians, no reduction of our own. For a few points, and as a check on the first.

Networks and projections follow in plain numpy.
"""

import math
from collections.abc import Callable, Mapping
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

    def angles(self, a: Any, b: Any, frequencies: list[Any]) -> tuple[Array, Array]:
        """Sine and cosine of (a lon + b lat) f, for every row and frequency: two arrays (N, S)."""
        one = 1 << (self.COORDINATE_BITS + self.FREQUENCY_BITS)
        unit = mp.ldexp(1, self.FREQUENCY_BITS) / (2 * mp.pi)
        with mp.workdps(90):
            lon = np.array([int(mp.nint(a * f * unit)) for f in frequencies], dtype=object)
            lat = np.array([int(mp.nint(b * f * unit)) for f in frequencies], dtype=object)
        turns = self.columns[0][:, None] * lon + self.columns[1][:, None] * lat
        nearest = (turns + one // 2) // one
        fraction = (turns - nearest * one) / one  # int / int rounds once, to float64
        radians = 2 * np.pi * fraction.astype(np.float64)
        return np.sin(radians), np.cos(radians)


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

    def angles(self, a: Any, b: Any, frequencies: list[Any]) -> tuple[Array, Array]:
        """Sine and cosine of (a lon + b lat) f, for every row and frequency: two object arrays (N, S)."""
        phases = [[(a * lon + b * lat) * f for f in frequencies] for lon, lat in zip(*self.columns, strict=True)]
        shape = (len(phases), len(frequencies))
        sine = np.array([[mp.sin(p) for p in row] for row in phases], dtype=object).reshape(shape)
        cosine = np.array([[mp.cos(p) for p in row] for row in phases], dtype=object).reshape(shape)
        return sine, cosine


Arithmetic = FixedPoint | FiftyDigits


def frequencies(num_scales: int, min_radius: float, max_radius: float) -> list[Any]:
    """Geometric list f_s = 1 / (r_min (r_max / r_min)^(s / (S - 1))), finest first; S = 1: 1 / r_min."""
    finest, ratio = mp.mpf(min_radius), mp.mpf(max_radius) / mp.mpf(min_radius)
    return [1 / (finest * ratio ** (mp.mpf(s) / max(num_scales - 1, 1))) for s in range(num_scales)]


def _globe(on: Arithmetic, f: list[Any]) -> tuple[Array, ...]:
    """Sines and cosines of longitude and latitude (radians): at every scale, then unscaled (N, 1)."""
    return (
        *on.angles(DEGREE, 0, f),
        *on.angles(0, DEGREE, f),
        *on.angles(DEGREE, 0, [mp.mpf(1)]),
        *on.angles(0, DEGREE, [mp.mpf(1)]),
    )


def sphere_c(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Sphere2Vec sphereC, Mai et al. 2023: the unit-sphere point of the scaled coordinates."""
    sin_l, cos_l, sin_b, cos_b, *_ = _globe(on, f)
    return [sin_b, cos_b * cos_l, cos_b * sin_l]


def sphere_c_plus(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Sphere2Vec sphereC+: sphereC with the grid's single sinusoids."""
    sin_l, cos_l, sin_b, cos_b, *_ = _globe(on, f)
    return [sin_b, cos_b, sin_l, cos_l, cos_b * cos_l, cos_b * sin_l]


def sphere_m(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Sphere2Vec sphereM: products of one scaled and one unscaled coordinate."""
    sin_l, cos_l, sin_b, cos_b, sin_lon, cos_lon, _, cos_lat = _globe(on, f)
    return [sin_b, cos_b * cos_lon, cos_lat * cos_l, cos_b * sin_lon, cos_lat * sin_l]


def sphere_m_plus(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Sphere2Vec sphereM+: sphereM with the grid's single sinusoids."""
    sin_l, cos_l, sin_b, cos_b, sin_lon, cos_lon, _, cos_lat = _globe(on, f)
    return [
        *(sin_b, cos_b, sin_l, cos_l),
        *(cos_b * cos_lon, cos_lat * cos_l, cos_b * sin_lon, cos_lat * sin_l),
    ]


def dfs(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Sphere2Vec dfs, the double Fourier sphere: every scale of longitude with every scale of latitude."""
    sin_l, cos_l, sin_b, cos_b, *_ = _globe(on, f)

    def outer(u: Array, v: Array) -> Array:
        return np.stack([u[:, i] * v[:, j] for i in range(len(f)) for j in range(len(f))], axis=1)

    products = [outer(u, v) for u in (sin_l, cos_l) for v in (sin_b, cos_b)]
    return [*products, sin_b, cos_b, sin_l, cos_l]


def grid(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Space2Vec grid, Mai et al. 2020: degrees used as radians."""
    return [*on.angles(1, 0, f), *on.angles(0, 1, f)]


def theory(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Space2Vec theory: three unit vectors 120 degrees apart; degrees used as radians."""
    half, root = mp.mpf(1) / 2, mp.sqrt(3) / 2
    return [*on.angles(1, 0, f), *on.angles(-half, root, f), *on.angles(-half, -root, f)]


def wrap(on: Arithmetic) -> list[Array]:
    """TorchSpatial's wrap, after Mac Aodha et al. 2019: x = lon / 180, y = lat / 90 (latitude doubled)."""
    sin_x, cos_x = on.angles(DEGREE, 0, [mp.mpf(1)])
    sin_y, cos_y = on.angles(0, 2 * DEGREE, [mp.mpf(1)])
    return [sin_x, sin_y, cos_x, cos_y]


SPHERE2VEC: dict[str, Any] = {"num_scales": 32, "min_radius": 1e-3, "max_radius": 1.0}  # radians
SPACE2VEC: dict[str, Any] = {"num_scales": 32, "min_radius": 0.1, "max_radius": 360.0}  # degrees
ENCODERS: dict[str, tuple[Callable[..., list[Array]], dict[str, Any]]] = {
    "sphere2vec-sphereC": (sphere_c, SPHERE2VEC),
    "sphere2vec-sphereC+": (sphere_c_plus, SPHERE2VEC),
    "sphere2vec-sphereM": (sphere_m, SPHERE2VEC),
    "sphere2vec-sphereM+": (sphere_m_plus, SPHERE2VEC),
    "sphere2vec-dfs": (dfs, SPHERE2VEC),
    "space2vec-grid": (grid, SPACE2VEC),
    "space2vec-theory": (theory, SPACE2VEC),
    "wrap": (wrap, {}),
}


def _features(arithmetic: type[Arithmetic], name: str, lonlat: Array, options: Mapping[str, Any]) -> Array:
    formula, defaults = ENCODERS[name]
    unknown = set(options) - set(defaults)
    if unknown:
        raise TypeError(f"{name} has no option {sorted(unknown)}")
    lonlat = np.asarray(lonlat)
    on = arithmetic(lonlat.reshape(-1, 2))
    blocks = formula(on, frequencies(**{**defaults, **options})) if defaults else formula(on)
    return np.concatenate(blocks, axis=1).reshape(*lonlat.shape[:-1], -1)


def evaluate(name: str, lonlat: Array, **options: Any) -> Array:
    """Features (..., F) in float64 of coordinates (..., 2) in degrees: exact phases, error about 1e-15."""
    return _features(FixedPoint, name, lonlat, options)


def exact(name: str, lonlat: Array, **options: Any) -> Array:
    """Features (..., F) as mpmath numbers of 50 digits (an object array), for a few points (floats or mpmath)."""
    return _features(FiftyDigits, name, lonlat, options)


def slopes(name: str, point: tuple[float, float], **options: Any) -> Array:
    """Derivatives (F, 2) of the features of one point by its longitude and latitude, per degree, in float64."""
    step = mp.mpf(10) ** -20
    lon, lat = mp.mpf(point[0]), mp.mpf(point[1])
    if abs(lon) == 180:  # beyond lies the other side: take the slope just inside
        lon -= 2 * step * mp.sign(lon)
    moved = [[lon + step, lat], [lon - step, lat], [lon, lat + step], [lon, lat - step]]
    east, west, north, south = exact(name, np.array(moved, dtype=object), **options)
    return np.stack([(east - west) / (2 * step), (north - south) / (2 * step)], axis=1).astype(np.float64)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "leakyrelu": lambda x: np.where(x > 0, x, 0.2 * x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "gelu": lambda x: x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2,
}


def ffn(x: Array, state: Mapping[str, Array], *, activation: str, skip: bool) -> Array:
    """Space2Vec's feed-forward network, without dropout.

    Keys ``layers.<i>.linear.{weight,bias}``, ``layers.<i>.norm.{weight,bias}``. A layer is act(W x + b); all
    but the last add their input where the widths agree (``skip``), then normalise (where they have a norm).
    """
    num_layers = sum(key.endswith("linear.weight") for key in state)
    for i in range(num_layers):
        y = ACTIVATIONS[activation](x @ state[f"layers.{i}.linear.weight"].T + state[f"layers.{i}.linear.bias"])
        if i < num_layers - 1:
            if skip and y.shape == x.shape:
                y = y + x
            if f"layers.{i}.norm.weight" in state:
                centred = y - y.mean(axis=-1, keepdims=True)
                y = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5)
                y = y * state[f"layers.{i}.norm.weight"] + state[f"layers.{i}.norm.bias"]
        x = y
    return x


def residual_fcnet(x: Array, state: Mapping[str, Array]) -> Array:
    """Residual network of Mac Aodha et al. 2019, no dropout: relu(W x + b), then x + relu(W2 relu(W1 x)).

    Keys ``input.{weight,bias}``, ``blocks.<i>.{first,second}.{weight,bias}``.
    """

    def relu_linear(x: Array, name: str) -> Array:
        return np.maximum(x @ state[f"{name}.weight"].T + state[f"{name}.bias"], 0.0)

    x = relu_linear(x, "input")
    for i in range(sum(key.endswith("first.weight") for key in state)):
        x = x + relu_linear(relu_linear(x, f"blocks.{i}.first"), f"blocks.{i}.second")
    return x


def equal_earth(lonlat: Array) -> Array:
    """Equal Earth on the unit sphere, Savric, Patterson and Jenny 2018: degrees -> (x, y)."""
    lon, lat = (
        np.deg2rad(np.asarray(lonlat, dtype=np.float64)[..., 0]),
        np.deg2rad(np.asarray(lonlat)[..., 1]),
    )
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    t = np.arcsin(math.sqrt(3) / 2 * np.sin(lat))
    x = (
        2 * math.sqrt(3) * lon * np.cos(t)
        / (3 * (9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1))
    )  # fmt: skip
    y = a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t
    return np.stack([x, y], axis=-1)


def blocked(features: Array, name: str, num_scales: int) -> Array:
    """Reorder a peer's columns (scale by scale) into ours (block by block)."""
    n, s = len(features), num_scales
    if name == "wrap":
        return features
    if name == "space2vec-grid":
        return features.reshape(n, 2, s, 2).transpose(0, 1, 3, 2).reshape(n, -1)
    if name == "sphere2vec-dfs":
        products = features[:, : 4 * s * s].reshape(n, 2, s, 2, s).transpose(0, 1, 3, 2, 4).reshape(n, -1)
        singles = features[:, 4 * s * s :].reshape(n, s, 4).transpose(0, 2, 1).reshape(n, -1)
        return np.concatenate([products, singles], axis=1)
    return features.reshape(n, s, -1).transpose(0, 2, 1).reshape(n, -1)
