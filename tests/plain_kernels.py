"""A program: the bodies of numba's kernels run as plain Python, and their numbers are compared with the reference's.

Started by `tests/kernels/test_plain_python.py` in a process of its own, since numba compiles a function, or does not,
when its module is imported.
"""

import importlib
import pkgutil
from typing import Any

import catalogue
import numba
import numpy as np
import plain_vectors
import torch
from points import globe

import locenc
from locenc import kernels
from locenc.kernels import choice

EDGES = [(0.0, 90.0), (77.0, -90.0), (180.0, 0.0), (-180.0, 12.0), (540.5, -3.0), (-540.5, 3.0)]
SMALL = [
    (name, {key: value for key, value in catalogue.SMALL.items() if key in catalogue.OPTIONS[name]})
    for name in catalogue.NAMES
]
#: More than a vector of scales, orders, anchors, sites; other distances.
MORE: list[tuple[str, dict[str, Any]]] = [
    ("sphere2vec-sphereM+", {"num_scales": 20}),
    ("space2vec-theory", {"num_scales": 20}),
    ("rff", {"num_features": 40}),
    ("spherical-harmonics", {"num_degrees": 21}),
    ("rbf", {"num_anchors": 40, "kernel_size": 2.0}),
    ("rbf", {"num_anchors": 20, "kernel_size": 60.0, "distance": "planar"}),
    ("spherical-voronoi", {"num_sites": 100, "num_features": 20}),
]


def without_compiler() -> None:
    """Import all kernels as plain functions, on vectors of NumPy."""
    numba.config.DISABLE_JIT = True
    for name in ("vectors", "lanes", "panels"):
        module = importlib.import_module(f"locenc.kernels.{name}")
        for public, function in vars(plain_vectors).items():
            if not public.startswith("_") and public.islower() and hasattr(module, public):
                setattr(module, public, function)
    for module in pkgutil.iter_modules(kernels.__path__):
        if module.name.startswith("numba_"):
            importlib.import_module(f"locenc.kernels.{module.name}")
    numba.config.DISABLE_JIT = False  # so that the library takes them
    assert choice.missing("numba") is None


def values(encoder: torch.nn.Module, lonlat: torch.Tensor, backend: str) -> list[torch.Tensor]:
    """Features, and the gradient of their weighted sum by the coordinates."""
    given = lonlat.clone().requires_grad_()
    features = encoder(given, backend=backend)
    weights = torch.linspace(-1, 1, features.numel(), dtype=features.dtype).reshape(features.shape)
    (gradient,) = torch.autograd.grad((features * weights).sum(), given)
    return [features.detach(), gradient]


def main() -> None:
    """Compare all encoders; print the largest difference of each."""
    without_compiler()
    lonlat = torch.tensor([*catalogue.CITIES, *EDGES], dtype=torch.float64)
    lonlat = torch.cat([lonlat, globe(30)])
    for name, options in [*SMALL, *MORE]:
        for dtype in (torch.float32, torch.float64):
            torch.manual_seed(0)
            encoder = locenc.position_encoder(name, dtype=dtype, **options).requires_grad_(False)
            pairs = zip(values(encoder, lonlat, "numba"), values(encoder, lonlat, "reference"), strict=True)
            furthest = 0.0
            for one, other in pairs:
                scale = max(1.0, float(other.abs().max()))
                furthest = max(furthest, float((one - other).abs().max()) / scale)
            print(f"{name} {options} {dtype}: {furthest:.1e}")
            assert furthest <= (1e-5 if dtype == torch.float32 else 1e-9), name


if __name__ == "__main__":
    with np.errstate(all="ignore"):
        main()
