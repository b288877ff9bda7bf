"""Every encoder again, from the papers: shares no code, table or structure with the library.

An encoder is stated once, as blocks of sines and cosines of linear forms of the coordinates or as values, and
evaluated in either of two arithmetics: `evaluate` in exact phases and float64, `exact` in 50 digits.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from arithmetic import DEGREE, Arithmetic, Array, FiftyDigits, FixedPoint, angles, mp
from harmonics_formulas import spherical_harmonics
from voronoi_formulas import spherical_voronoi


def geometric_list(num_scales: int, min_radius: float, max_radius: float) -> list[Any]:
    """Geometric list: f_s = 1 / (r_min (r_max / r_min)^(s / (S - 1))), finest first; S = 1: 1 / r_min."""
    finest, ratio = mp.mpf(min_radius), mp.mpf(max_radius) / mp.mpf(min_radius)
    return [1 / (finest * ratio ** (mp.mpf(s) / max(num_scales - 1, 1))) for s in range(num_scales)]


def power_list(num_scales: int, max_radius: float) -> list[Any]:
    """TorchSpatial's list for M+ and dfs: r_max^(-s / (S - 1)); S = 1: 1."""
    return [mp.mpf(max_radius) ** (-mp.mpf(s) / max(num_scales - 1, 1)) for s in range(num_scales)]


def odd_turns(turns: list[Any]) -> list[int]:
    """Frequencies in turns per circle, finest first, moved to distinct odd numbers as the seamless form has it.

    From the coarsest: the nearest odd number (the larger of two equally near), or the previous one plus 2.
    """
    moved: list[int] = []
    for turn in turns[::-1]:
        near = min(range(1, int(turn) + 4, 2), key=lambda odd: (abs(odd - turn), -odd))
        moved.append(max(near, moved[-1] + 2) if moved else near)
    return moved[::-1]


def _globe(on: Arithmetic, f: list[Any]) -> tuple[Array, ...]:
    """Sines and cosines of longitude and latitude (radians): at every scale, then unscaled (N, 1)."""
    return (
        *angles(on, (DEGREE, 0), f),
        *angles(on, (0, DEGREE), f),
        *angles(on, (DEGREE, 0), [mp.mpf(1)]),
        *angles(on, (0, DEGREE), [mp.mpf(1)]),
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
    return [*angles(on, (1, 0), f), *angles(on, (0, 1), f)]


def theory(on: Arithmetic, f: list[Any]) -> list[Array]:
    """Space2Vec theory: three unit vectors 120 degrees apart; degrees used as radians."""
    half, root = mp.mpf(1) / 2, mp.sqrt(3) / 2
    return [*angles(on, (1, 0), f), *angles(on, (-half, root), f), *angles(on, (-half, -root), f)]


def multiscale(blocks: Callable[[Arithmetic, list[Any]], list[Array]], unit: Any) -> Callable[..., list[Array]]:
    """A Sphere2Vec or Space2Vec formula on its list of frequencies; ``unit`` of its radii is one radian of angle."""

    def formula(
        on: Arithmetic,
        *,
        num_scales: int,
        min_radius: float,
        max_radius: float,
        seamless: bool,
        frequency_list: str = "geometric",
    ) -> list[Array]:
        if frequency_list == "power":
            f = power_list(num_scales, max_radius)
        else:
            f = geometric_list(num_scales, min_radius, max_radius)
        return blocks(on, [odd / unit for odd in odd_turns([v * unit for v in f])] if seamless else f)

    return formula


def _scaled(value: Any, low: float, high: float) -> Any:
    return 2 * (value - mp.mpf(low)) / (mp.mpf(high) - mp.mpf(low)) - 1


def wrap(on: Arithmetic, *, convention: str, extent: list[float]) -> list[Array]:
    """TorchSpatial's wrap, after Mac Aodha et al. 2019: pi (x, y), the extent scaled to [-1, 1]; SatCLIP's angles."""
    if convention == "satclip":
        sin_lon, cos_lon = angles(on, (DEGREE, 0), [mp.mpf(1)])
        sin_lat, cos_lat = angles(on, (0, DEGREE), [mp.mpf(1)])
        return [cos_lon, sin_lon, cos_lat, sin_lat]
    west, east, south, north = extent
    axes = [mp.pi * 2 / (mp.mpf(east) - west), mp.pi * 2 / (mp.mpf(north) - south)]
    shifts = [mp.pi * _scaled(0, west, east), mp.pi * _scaled(0, south, north)]
    sines, cosines = on.sinusoids([(axes[0], 0, shifts[0]), (0, axes[1], shifts[1])])
    return [sines, cosines]


def sphere_point(lon: Any, lat: Any) -> list[Any]:
    """Point on the unit sphere."""
    lon, lat = lon * DEGREE, lat * DEGREE
    return [mp.cos(lat) * mp.cos(lon), mp.cos(lat) * mp.sin(lon), mp.sin(lat)]


def xyz(on: Arithmetic) -> list[Array]:
    """The point on the unit sphere itself."""
    return [on.values(sphere_point)]


def nerf(on: Arithmetic, *, num_scales: int) -> list[Array]:
    """NeRF, Mildenhall et al. 2020: sines, then cosines, of 2^s pi x, y, z; all scales of an axis together."""
    point = on.mapped(sphere_point)
    f = [mp.pi * 2**s for s in range(num_scales)]
    waves = [angles(point, axis, f) for axis in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    return [sine for sine, _ in waves] + [cosine for _, cosine in waves]


def direct(on: Arithmetic, *, extent: list[float]) -> list[Array]:
    """TorchSpatial's naive encoder: both coordinates, the extent (west, east, south, north) scaled to [-1, 1]."""
    west, east, south, north = extent
    return [on.values(lambda lon, lat: [_scaled(lon, west, east), _scaled(lat, south, north)])]


def rff(on: Arithmetic, *, extent: list[float], weights: Mapping[str, Array]) -> list[Array]:
    """Random Fourier features, Rahimi and Recht 2007: sqrt(2 / S) cos([x, y] W + b) of the scaled coordinates."""
    west, east, south, north = extent
    numbers = [[mp.mpf(float(v)) for v in row] for row in (*weights["directions"], weights["shift"])]
    forms = []
    for w_x, w_y, b in zip(*numbers, strict=True):
        slope_x, slope_y = 2 * w_x / (mp.mpf(east) - west), 2 * w_y / (mp.mpf(north) - south)
        forms.append((slope_x, slope_y, b + w_x * _scaled(0, west, east) + w_y * _scaled(0, south, north)))
    return [on.sinusoids(forms)[1] * math.sqrt(2 / len(forms))]


def equal_earth_point(lon: Any, lat: Any) -> list[Any]:
    """Equal Earth in radii of the sphere, Savric, Patterson and Jenny 2019, from degrees, in mpmath."""
    a1, a2, a3, a4 = (mp.mpf(a) for a in ("1.340264", "-0.081106", "0.000893", "0.003796"))
    t = mp.asin(mp.sqrt(3) / 2 * mp.sin(lat * DEGREE))
    slope = 9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1
    x = 2 * mp.sqrt(3) * lon * DEGREE * mp.cos(t) / (3 * slope)
    return [x, a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t]


def geoclip(on: Arithmetic, *, weights: Mapping[str, Array]) -> list[Array]:
    """GeoCLIP, Vivanco Cepeda et al. 2023: for each width cos, then sin, of 2 pi b (x, y) 66.50336 / 180."""
    place = on.mapped(equal_earth_point)
    scale = 2 * mp.pi * mp.mpf("66.50336") / 180
    blocks = []
    for directions in weights["directions"]:
        sine, cosine = place.sinusoids([tuple(scale * mp.mpf(float(v)) for v in b) for b in directions])
        blocks += [cosine, sine]
    return blocks


def rbf(on: Arithmetic, *, kernel_size: float, distance: str, weights: Mapping[str, Array]) -> list[Array]:
    """Gaussians of the distance in degrees to anchors: on the plane as in TorchSpatial, or of the central angle."""
    places = [[mp.mpf(float(v)) for v in row] for row in weights["anchors"]]
    points = [sphere_point(*place) for place in places]

    def planar(lon: Any, lat: Any) -> list[Any]:
        return [(lon - a) ** 2 + (lat - b) ** 2 for a, b in places]

    def spherical(lon: Any, lat: Any) -> list[Any]:
        point = sphere_point(lon, lat)
        cosines = [sum(p * q for p, q in zip(point, anchor, strict=True)) for anchor in points]
        return [(mp.acos(max(-1, min(1, cosine))) / DEGREE) ** 2 for cosine in cosines]

    squares = planar if distance == "planar" else spherical
    return [on.values(lambda lon, lat: [mp.exp(-d / (2 * mp.mpf(kernel_size) ** 2)) for d in squares(lon, lat)])]


def tile_cell(lon: Any, lat: Any, cell_degrees: float, extent: list[float]) -> int:
    """Number of the grid cell of a place, row by row from the south-west corner; outside counts as the border."""
    west, east, south, north = (mp.mpf(v) for v in extent)
    num_columns, num_rows = (math.ceil(length / cell_degrees) for length in (east - west, north - south))
    column = min(max(int(mp.floor((lon - west) / cell_degrees)), 0), num_columns - 1)
    row = min(max(int(mp.floor((lat - south) / cell_degrees)), 0), num_rows - 1)
    return row * num_columns + column


def tile(on: Arithmetic, *, cell_degrees: float, extent: list[float], weights: Mapping[str, Array]) -> list[Array]:
    """A learned row for each cell of a grid: TorchSpatial's tile_ffn with a cell size that counts."""
    return [
        on.values(lambda lon, lat: [mp.mpf(v) for v in weights["table"][tile_cell(lon, lat, cell_degrees, extent)]])
    ]


SPHERE2VEC: dict[str, Any] = {"num_scales": 32, "min_radius": 1e-3, "max_radius": 1.0, "seamless": False}  # radians
POWER: dict[str, Any] = {**SPHERE2VEC, "frequency_list": "geometric"}
GRID: dict[str, Any] = {"num_scales": 32, "min_radius": 0.1, "max_radius": 360.0, "seamless": False}  # degrees
WORLD = [-180.0, 180.0, -90.0, 90.0]
ENCODERS: dict[str, tuple[Callable[..., list[Array]], dict[str, Any]]] = {
    "sphere2vec-sphereC": (multiscale(sphere_c, 1), SPHERE2VEC),
    "sphere2vec-sphereC+": (multiscale(sphere_c_plus, 1), SPHERE2VEC),
    "sphere2vec-sphereM": (multiscale(sphere_m, 1), SPHERE2VEC),
    "sphere2vec-sphereM+": (multiscale(sphere_m_plus, 1), POWER),
    "sphere2vec-dfs": (multiscale(dfs, 1), POWER),
    "space2vec-grid": (multiscale(grid, 180 / mp.pi), GRID),
    "space2vec-theory": (multiscale(theory, 180 / mp.pi), GRID),
    "wrap": (wrap, {"convention": "torchspatial", "extent": WORLD}),
    "nerf": (nerf, {"num_scales": 16}),
    "xyz": (xyz, {}),
    "direct": (direct, {"extent": WORLD}),
    "rff": (rff, {"extent": WORLD}),
    "geoclip": (geoclip, {}),
    "rbf": (rbf, {"kernel_size": 10.0, "distance": "great-circle"}),
    "tile": (tile, {"cell_degrees": 5.0, "extent": WORLD}),
    "spherical-harmonics": (spherical_harmonics, {"num_degrees": 40, "normalization": "orthonormal"}),
    "spherical-voronoi": (spherical_voronoi, {"gate": 0.5, "cosine_attention": False}),
}


def _features(
    arithmetic: type[Arithmetic],
    name: str,
    lonlat: Array,
    weights: Mapping[str, Array] | None,
    options: Mapping[str, Any],
) -> Array:
    formula, defaults = ENCODERS[name]
    options = {**defaults, **options}
    if weights:
        options = {**{key: value for key, value in options.items() if key in defaults}, "weights": weights}
    lonlat = np.asarray(lonlat)
    blocks = formula(arithmetic(lonlat.reshape(-1, 2)), **options)
    return np.concatenate(blocks, axis=1).reshape(*lonlat.shape[:-1], -1)


def evaluate(name: str, lonlat: Array, *, weights: Mapping[str, Array] | None = None, **options: Any) -> Array:
    """Features (..., F) in float64 of coordinates (..., 2) in degrees: exact phases, error about 1e-15.

    ``weights`` are an encoder's drawn or learned tensors by name. With them, options that do not matter any
    more (how many were drawn, the seed) are left out.
    """
    return _features(FixedPoint, name, lonlat, weights, options)


def exact(name: str, lonlat: Array, *, weights: Mapping[str, Array] | None = None, **options: Any) -> Array:
    """Features (..., F) as mpmath numbers of 50 digits (an object array), for a few points (floats or mpmath)."""
    return _features(FiftyDigits, name, lonlat, weights, options)


def slopes(name: str, point: tuple[float, float], **options: Any) -> Array:
    """Derivatives (F, 2) of the features of one point by its longitude and latitude, per degree, in float64."""
    step = mp.mpf(10) ** -20
    lon, lat = mp.mpf(point[0]), mp.mpf(point[1])
    if abs(lon) == 180:  # beyond lies the other side: take the slope just inside
        lon -= 2 * step * mp.sign(lon)
    moved = [[lon + step, lat], [lon - step, lat], [lon, lat + step], [lon, lat - step]]
    east, west, north, south = exact(name, np.array(moved, dtype=object), **options)
    return np.stack([(east - west) / (2 * step), (north - south) / (2 * step)], axis=1).astype(np.float64)


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
    if not name.startswith(("sphere2vec", "space2vec")):
        return features
    if name == "space2vec-grid":
        return features.reshape(n, 2, s, 2).transpose(0, 1, 3, 2).reshape(n, -1)
    if name == "sphere2vec-dfs":
        products = features[:, : 4 * s * s].reshape(n, 2, s, 2, s).transpose(0, 1, 3, 2, 4).reshape(n, -1)
        singles = features[:, 4 * s * s :].reshape(n, s, 4).transpose(0, 2, 1).reshape(n, -1)
        return np.concatenate([products, singles], axis=1)
    return features.reshape(n, s, -1).transpose(0, 2, 1).reshape(n, -1)
