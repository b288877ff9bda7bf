"""Every registered encoder, small or fine, and points of the globe, on the device of the implementation under test."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import formulas
import numpy as np
import torch
from torch import Tensor, nn

import locenc
from locenc import registry
from locenc.kernels.choice import interpreted

NAMES = locenc.list_encoders()
OPTIONS = {name: set(inspect.signature(registry._ENTRIES[name].build).parameters) for name in NAMES}
SCALED = [name for name in NAMES if "min_radius" in OPTIONS[name]]
RADIANS = [name for name in SCALED if locenc.position_encoder(name).radius_unit == "radians"]
SPACE2VEC = [name for name in SCALED if name.startswith("space2vec")]
CITIES = [(2.3522, 48.8566), (139.6917, 35.6895), (-43.1729, -22.9068), (174.7633, -36.8485), (-0.1276, 51.5072)]

# What encoders say of themselves.
DRAWN = {"rff", "geoclip", "rbf"}  # tensors drawn or given once, float64, saved with the weights
TRAINED = {"tile", "spherical-voronoi"}  # trainable weights, cast like a network's
MATRIX_PRODUCTS = {"spherical-voronoi"}  # like a network: rounding may depend on the size of the batch
PIECEWISE = {"tile"}  # constant within a cell: the coordinates' gradient is zero

SMALL = {
    "num_scales": 3,
    "num_features": 6,
    "sigmas": [0.5, 1.0, 2.0],
    "num_anchors": 5,
    "kernel_size": 60.0,
    "cell_degrees": 45.0,
    "num_degrees": 5,
    "num_sites": 40,
    "site_dim": 4,
    "num_tokens": 3,
}

_implementation, _device = "reference", torch.device("cpu")


@contextmanager
def under_test(name: str) -> Iterator[None]:
    """Ask for an implementation; points and encoders of this module are where it runs."""
    global _implementation, _device
    _implementation, _device = name, torch.device("cuda" if name == "triton" and not interpreted() else "cpu")
    try:
        with locenc.backend(name):
            yield
    finally:
        _implementation, _device = "reference", torch.device("cpu")


def device() -> torch.device:
    """Where the implementation under test runs."""
    return _device


def by_triton() -> bool:
    """Whether it is Triton's kernels: slow where they are interpreted, and with little float64."""
    return _implementation == "triton"


def few(count: int, most: int = 40) -> int:
    """So many points, or fewer where kernels are interpreted."""
    return min(count, most) if by_triton() and interpreted() else count


def small(name: str, **options: object) -> dict[str, Any]:
    """Options that make a small encoder of gentle slopes."""
    coarsest = 1.0 if name in RADIANS else 60.0
    gentle = {**SMALL, "min_radius": coarsest / 20, "max_radius": coarsest}
    if name == "rff":
        gentle["kernel_size"] = 1.0
    return {**{key: value for key, value in gentle.items() if key in OPTIONS[name]}, **options}


def fine(name: str) -> tuple[dict[str, Any], int]:
    """The finest options that are promised (2^20 half turns), and how many points to try."""
    if name not in SCALED:
        return ({"num_sites": 64} if name == "spherical-voronoi" else {}), 40
    options = {"num_scales": 64, "min_radius": 1e-6 if name in RADIANS else 6e-5}
    return options, 20 if name == "sphere2vec-dfs" else few(400)


def position_encoder(name: str, **options: Any) -> nn.Module:
    """As `locenc.position_encoder`, on the device."""
    return locenc.position_encoder(name, **options).to(_device)


def location_encoder(name: str, **options: Any) -> nn.Module:
    """As `locenc.create`, on the device."""
    return locenc.create(name, **options).to(_device)


def places(points: Sequence[Any] | Tensor, dtype: torch.dtype = torch.float64, **options: Any) -> Tensor:
    """Coordinates on the device."""
    return torch.tensor(points, dtype=dtype, device=_device, **options)


def globe(count: int = 60, seed: int = 0) -> Tensor:
    """Poles, antimeridian, zeros, far longitudes, cities, then points uniform on the sphere; float64, on the device."""
    rng = np.random.default_rng(seed)
    named = np.array(
        [
            *[(180.0, 90.0), (-180.0, -90.0), (0.0, 90.0), (77.7, -90.0), (180.0, 12.0), (-180.0, 12.0)],
            *[(0.0, 0.0), (-0.0, -0.0), (179.99999999999997, -89.99999999999999), (1e-9, -1e-300)],
            *[(359.75, 1.5), (540.0, -60.0), (-540.0, -60.0), (1234567.875, 33.0), *CITIES],
        ]
    )
    lat = np.rad2deg(np.arcsin(rng.uniform(-1, 1, count)))
    points = np.concatenate([named, np.stack([rng.uniform(-180, 180, count), lat], axis=1)])
    return torch.from_numpy(points[:count]).to(_device)


def weights(encoder: nn.Module) -> dict[str, np.ndarray]:
    """An encoder's drawn and trained tensors by name, in float64: what its formula is told."""
    return {key: value.double().cpu().numpy() for key, value in encoder.state_dict().items()}


def expected(encoder: nn.Module, lonlat: Tensor, **options: object) -> np.ndarray:
    """What the formula gives for the encoder's name and tensors."""
    return formulas.evaluate(encoder.config["name"], lonlat.cpu().numpy(), weights=weights(encoder), **options)


def atol_of(name: str, dtype: torch.dtype, atol: float) -> float:
    """How far features may be off: a layer norm after sums over sites costs float32 digits, a recurrence too."""
    if dtype == torch.float64:
        return atol
    if name == "spherical-harmonics" and by_triton():  # on the CPU the recurrence is float64
        return max(1e-6, atol)
    return max(5e-6, atol) if name == "spherical-voronoi" else atol


def assert_within(actual: Tensor, expected: np.ndarray, atol: float) -> None:
    torch.testing.assert_close(actual.double().cpu(), torch.from_numpy(expected), rtol=0, atol=atol)
