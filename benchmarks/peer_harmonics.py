"""Spherical harmonics of SatCLIP and sphericart, as their own code computes them."""

import math
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks.peers import peer, peer_file

#: SatCLIP has a function for each harmonic up to here.
SATCLIP_DEGREES = 50


class PeerHarmonics(NamedTuple):
    """A peer's harmonics: what it makes of coordinates as it wants them, and what times ours is each of its columns."""

    name: str
    prepare: Callable[[Tensor], Tensor]
    encode: Callable[[Tensor], Tensor]
    factors: Tensor


def peers(num_degrees: int) -> Iterator[PeerHarmonics]:
    """All that are installed and have so many degrees, each in float64 and in float32."""
    dtypes = {"float64": torch.float64, "float32": torch.float32}
    file, module = _modules()
    if file is not None and num_degrees <= SATCLIP_DEGREES:
        for name, dtype in dtypes.items():
            encoder = file.SphericalHarmonics(num_degrees)
            yield PeerHarmonics(f"SatCLIP {name}", _in(dtype), encoder, satclip_factors(num_degrees))
    if module is not None:
        for name, dtype in dtypes.items():
            calculator = module.SphericalHarmonics(num_degrees - 1)
            ones = torch.ones(num_degrees**2, dtype=torch.float64)
            yield PeerHarmonics(f"sphericart {name}", _on_sphere(dtype), calculator.compute, ones)


@cache
def _modules() -> tuple[ModuleType | None, ModuleType | None]:
    path = "rangegeo/satclip/positional_encoding/spherical_harmonics.py"
    satclip = peer_file(path, install="pip install --no-deps rangegeo")
    return satclip, peer("sphericart.torch", install="pip install sphericart-torch")


def satclip_factors(num_degrees: int) -> Tensor:
    """SatCLIP's are those of the antipode, (-1)^l, with m = 0 times π."""
    return torch.tensor(
        [
            (-1) ** degree * (math.pi if order == 0 else 1)
            for degree in range(num_degrees)
            for order in range(-degree, degree + 1)
        ],
        dtype=torch.float64,
    )


def _in(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    return lambda lonlat: lonlat.to(dtype)


def _on_sphere(dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    def points(lonlat: Tensor) -> Tensor:
        lon, lat = torch.deg2rad(lonlat).unbind(1)
        return torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], 1).to(dtype)

    return points
