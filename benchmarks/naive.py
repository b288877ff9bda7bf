"""Each sinusoidal encoder as one would write it in torch, from its paper: what ours are timed against.

A form takes coordinates ``(N, 2)`` in degrees and its constants, all of one dtype, and computes in it; eager, compiled,
with gradients. It shares nothing with the library but the order of the columns.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import locenc

#: Finest and coarsest radius of the timed encoders, the library's defaults: radians, and degrees.
SPHERE2VEC = {"min_radius": 1e-3, "max_radius": 1.0}
SPACE2VEC = {"min_radius": 0.1, "max_radius": 360.0}


def columns(*blocks: Tensor) -> Tensor:
    """All scales of one block together."""
    return torch.stack(blocks, 1).flatten(1)


def scaled(lonlat: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """Longitude and latitude at all scales: twice ``(N, S)``."""
    phases = lonlat[:, :, None] * f
    return phases[:, 0], phases[:, 1]


def sphere_c(lonlat: Tensor, f: Tensor) -> Tensor:
    """Sphere2Vec sphereC, Mai et al. 2023."""
    lons, lats = scaled(torch.deg2rad(lonlat), f)
    return columns(lats.sin(), lats.cos() * lons.cos(), lats.cos() * lons.sin())


def sphere_c_plus(lonlat: Tensor, f: Tensor) -> Tensor:
    """Sphere2Vec sphereC+."""
    lons, lats = scaled(torch.deg2rad(lonlat), f)
    singles = [lats.sin(), lats.cos(), lons.sin(), lons.cos()]
    return columns(*singles, lats.cos() * lons.cos(), lats.cos() * lons.sin())


def _mixed(angles: Tensor, lons: Tensor, lats: Tensor) -> list[Tensor]:
    lon, lat = angles[:, :1], angles[:, 1:]
    return [lats.cos() * lon.cos(), lat.cos() * lons.cos(), lats.cos() * lon.sin(), lat.cos() * lons.sin()]


def sphere_m(lonlat: Tensor, f: Tensor) -> Tensor:
    """Sphere2Vec sphereM."""
    angles = torch.deg2rad(lonlat)
    lons, lats = scaled(angles, f)
    return columns(lats.sin(), *_mixed(angles, lons, lats))


def sphere_m_plus(lonlat: Tensor, f: Tensor) -> Tensor:
    """Sphere2Vec sphereM+."""
    angles = torch.deg2rad(lonlat)
    lons, lats = scaled(angles, f)
    return columns(lats.sin(), lats.cos(), lons.sin(), lons.cos(), *_mixed(angles, lons, lats))


def dfs(lonlat: Tensor, f: Tensor) -> Tensor:
    """Sphere2Vec dfs, the double Fourier sphere."""
    lons, lats = scaled(torch.deg2rad(lonlat), f)
    of_lon = torch.stack([lons.sin(), lons.cos()], 1)[:, :, None, :, None]
    of_lat = torch.stack([lats.sin(), lats.cos()], 1)[:, None, :, None, :]
    return torch.cat([(of_lon * of_lat).flatten(1), lats.sin(), lats.cos(), lons.sin(), lons.cos()], 1)


def grid(lonlat: Tensor, f: Tensor) -> Tensor:
    """Space2Vec grid, Mai et al. 2020: degrees as radians."""
    lons, lats = scaled(lonlat, f)
    return columns(lons.sin(), lons.cos(), lats.sin(), lats.cos())


def theory(lonlat: Tensor, f: Tensor) -> Tensor:
    """Space2Vec theory: three directions, 120 degrees apart."""
    lons, lats = scaled(lonlat, f)
    root = math.sqrt(3) / 2
    directions = [lons, root * lats - lons / 2, -root * lats - lons / 2]
    return columns(*(wave(phases) for phases in directions for wave in (torch.sin, torch.cos)))


def wrap(lonlat: Tensor) -> Tensor:
    """Wrap, Mac Aodha et al. 2019."""
    phases = lonlat * lonlat.new_tensor([math.pi / 180, math.pi / 90])
    return torch.cat([phases.sin(), phases.cos()], 1)


def xyz(lonlat: Tensor) -> Tensor:
    """Point on the unit sphere."""
    lon, lat = torch.deg2rad(lonlat).unbind(1)
    return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], 1)


def nerf(lonlat: Tensor, f: Tensor) -> Tensor:
    """NeRF, Mildenhall et al. 2020, on the unit sphere."""
    phases = (xyz(lonlat)[:, :, None] * f).flatten(1)
    return torch.cat([phases.sin(), phases.cos()], 1)


def rff(lonlat: Tensor, directions: Tensor, shift: Tensor) -> Tensor:
    """Random Fourier features, Rahimi and Recht 2007, of the coordinates scaled to [-1, 1]."""
    phases = (lonlat / lonlat.new_tensor([180.0, 90.0])) @ directions + shift
    return math.sqrt(2 / len(shift)) * phases.cos()


def equal_earth(lonlat: Tensor) -> Tensor:
    """Equal Earth projection, Savric et al. 2018, as GeoCLIP scales it."""
    lon, lat = torch.deg2rad(lonlat).unbind(1)
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    t = torch.asin(math.sqrt(3) / 2 * lat.sin())
    x = 2 * math.sqrt(3) * lon * t.cos() / (3 * (9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1))
    y = a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t
    return torch.stack([x, y], 1) * (66.50336 / 180)


def geoclip(lonlat: Tensor, directions: Tensor) -> Tensor:
    """GeoCLIP, Vivanco Cepeda et al. 2023: random Fourier features of Equal Earth at several widths."""
    place = equal_earth(lonlat)
    phases = [2 * math.pi * place @ of_width.T for of_width in directions]
    return torch.cat([wave(phase) for phase in phases for wave in (torch.cos, torch.sin)], 1)


class Naive(NamedTuple):
    """A form, and the encoder of ours that it states.

    Attributes
    ----------
    encoder : str
        Its id.
    features : callable
        The form.
    size : str
        The option that says how many scales or directions; empty where there is none.
    sizes : tuple of int
        Those that are timed.
    main : int
        The one that is timed against others.
    options : dict
        Other options of the encoder.
    waves : int
        How many phases it has for each scale: sines and cosines are evaluated once for each.
    blocks : int
        Columns for each scale (of dfs: of the main size).
    """

    encoder: str
    features: Callable[..., Tensor]
    size: str
    sizes: tuple[int, ...]
    main: int
    options: dict[str, Any]
    waves: int
    blocks: int

    @property
    def name(self) -> str:
        """The encoder's short name."""
        return self.encoder.rpartition("-")[2]

    def build(self, size: int, **options: Any) -> nn.Module:
        """Our encoder."""
        return locenc.position_encoder(self.encoder, **{**self.sized(size), **options})

    def sized(self, size: int) -> dict[str, Any]:
        """Its options."""
        return {**({self.size: size} if self.size else {}), **self.options}

    def constants(self, position: nn.Module, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """What the form takes besides coordinates, for an encoder of ours."""
        drawn = list(position.state_dict().values())
        if not drawn and self.size:
            config: Any = position.config
            steps = torch.arange(config["num_scales"], dtype=torch.float64)
            if self.encoder == "nerf":
                drawn = [math.pi * 2**steps]
            else:
                ratio = config["max_radius"] / config["min_radius"]
                drawn = [1 / (config["min_radius"] * ratio ** (steps / (len(steps) - 1)))]
        return tuple(value.to(dtype) for value in drawn)

    def bind(self, position: nn.Module, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
        """The form as a function of coordinates of a dtype alone."""
        constants = self.constants(position, dtype)
        return lambda lonlat: self.features(lonlat, *constants)


SIZES = (8, 16, 32, 64)
FORMS = {
    form.name: form
    for form in (
        Naive("sphere2vec-sphereC", sphere_c, "num_scales", SIZES, 64, SPHERE2VEC, 2, 3),
        Naive("sphere2vec-sphereC+", sphere_c_plus, "num_scales", SIZES, 64, SPHERE2VEC, 2, 6),
        Naive("sphere2vec-sphereM", sphere_m, "num_scales", SIZES, 64, SPHERE2VEC, 2, 5),
        Naive("sphere2vec-sphereM+", sphere_m_plus, "num_scales", SIZES, 64, SPHERE2VEC, 2, 8),
        Naive("sphere2vec-dfs", dfs, "num_scales", SIZES, 16, SPHERE2VEC, 2, 4 * 16 + 4),
        Naive("space2vec-grid", grid, "num_scales", SIZES, 64, SPACE2VEC, 2, 4),
        Naive("space2vec-theory", theory, "num_scales", SIZES, 64, SPACE2VEC, 3, 6),
        Naive("nerf", nerf, "num_scales", (8, 16), 16, {}, 3, 6),
        Naive("rff", rff, "num_features", SIZES, 64, {}, 1, 1),
        Naive("geoclip", geoclip, "num_features", SIZES, 64, {}, 3, 6),
        Naive("wrap", wrap, "", (1,), 1, {}, 2, 4),
        Naive("xyz", xyz, "", (1,), 1, {}, 2, 3),
    )
}
