"""Calls of every Triton kernel that the library makes, to be compiled or counted without a card.

A case is a position encoder with its options, what is asked of it, and in which numbers. Its launches are recorded with
the shapes of an architecture; new operators join by the encoders that use them.
"""

from functools import cache
from importlib import import_module
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

import locenc
from benchmarks.card import tf32
from locenc.kernels import triton_shapes
from locenc.kernels.operator import Operator
from locenc.kernels.triton_launch import Launch, recording

#: Bytes of shared memory that a program can have, by compute capability.
SHARED = {80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
#: Arithmetic instructions, addresses included, for each float32 feature of an encoder with many scales.
BUDGETS = {"sphereC": 18, "sphereC+": 18, "sphereM": 18, "sphereM+": 18, "dfs": 18, "grid": 18, "theory": 30, "rff": 30}

#: Points of a call: as alignment goes, any multiple of 16 is like any other.
POINTS = 2**20

FINE = {"min_radius": 1e-6}  # radians: 2^20 half turns
FAR = {"min_radius": 1e-6}  # degrees: more
#: Encoders by a short name: id and options.
ENCODERS: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"{variant} {scales}": (f"sphere2vec-{variant}", {"num_scales": scales, **FINE})
        for variant in ("sphereC", "sphereC+", "sphereM", "sphereM+", "dfs")
        for scales in (16, 32, 64)
    },
    **{
        f"{variant} {scales}": (f"space2vec-{variant}", {"num_scales": scales})
        for variant in ("grid", "theory")
        for scales in (16, 32, 64)
    },
    **{f"{name} 64, far": (f"space2vec-{name}", {"num_scales": 64, **FAR}) for name in ("grid", "theory")},
    "nerf 16": ("nerf", {}),
    "rff 64": ("rff", {}),
    "geoclip 256": ("geoclip", {}),
    "wrap": ("wrap", {}),
    "xyz": ("xyz", {}),
    "harmonics 10": ("spherical-harmonics", {"num_degrees": 10}),
    "harmonics 40": ("spherical-harmonics", {"num_degrees": 40}),
    "rbf 200": ("rbf", {}),
    "voronoi": ("spherical-voronoi", {}),
}
#: Encoders of which gradients of bfloat16 features are taken too, and those of which gradients by what is learned are.
HALF = ("sphereC 64", "sphereM+ 64", "harmonics 40")
LEARNED = ("sphereM 64", "theory 64", "rff 64", "geoclip 256", "voronoi")


class Case(NamedTuple):
    """A call of a kernel module.

    Attributes
    ----------
    encoder : str
        A key of `ENCODERS`.
    what : str
        ``"encode"``, ``"gradient"`` (by coordinates) or ``"learned"`` (gradients by what is learned).
    precision : str
        Of the features; ``"tf32"`` are float32 with products in TF32, which Voronoi's attention has.
    """

    encoder: str
    what: str
    precision: str

    @property
    def name(self) -> str:
        """All of it."""
        return ", ".join(self)

    @property
    def dtype(self) -> torch.dtype:
        """Of the features."""
        dtype: torch.dtype = torch.float32 if self.precision == "tf32" else getattr(torch, self.precision)
        return dtype

    def launches(self, capability: int, lonlat: Tensor | None = None, gradient: Tensor | None = None) -> list[Launch]:
        """Record what it starts on cards of a compute capability such as 90; tensors are without memory.

        Parameters
        ----------
        capability : int
            Of the card.
        lonlat, gradient : Tensor, optional
            Other coordinates and gradients than contiguous float64 and features'.
        """
        lonlat = torch.empty(POINTS, 2, dtype=torch.float64, device="meta") if lonlat is None else lonlat
        operator, arguments = call(self.encoder, self.dtype)
        if gradient is None:
            shape = len(lonlat), operator._columns(*arguments)
            gradient = torch.empty(shape, dtype=self.dtype, device="meta")
        module: Any = import_module(operator._modules["triton"])
        allowed = tf32(self.precision == "tf32")
        with recording() as found, triton_shapes.architecture(divmod(capability, 10)), allowed:
            if self.what == "gradient":
                module.backward(gradient, lonlat, *arguments)
            elif self.what == "learned":
                module.backward_arguments(gradient, lonlat, *arguments)
            else:
                module.forward(lonlat, *arguments, out=None)
        return list(found)


def every() -> list[Case]:
    """All cases: gradients in other numbers, or by what is learned, for some encoders."""
    found = []
    for encoder in ENCODERS:
        found += [Case(encoder, "encode", dtype) for dtype in ("float32", "bfloat16", "float16")]
        found += [Case(encoder, "gradient", dtype) for dtype in ("float32", *(["bfloat16"] if encoder in HALF else []))]
        if encoder in LEARNED:
            found.append(Case(encoder, "learned", "float32"))
        if encoder == "voronoi":
            found += [Case(encoder, part, "tf32") for part in ("encode", "gradient", "learned")]
    return found


def few() -> list[Case]:
    """A case of every kind of code, of the larger encoders: what a test can compile in minutes."""
    others = ("dfs 16", "nerf 16", "geoclip 256", "wrap", "xyz")
    names = [name for name in ENCODERS if "64" in name or name in others]
    found = [Case(name, part, "float32") for name in names for part in ("encode", "gradient")]
    found += [Case(name, "encode", "bfloat16") for name in ("sphereM+ 64", "dfs 64", "theory 64", "rff 64")]
    found += [Case("sphereM+ 64", "encode", "float16"), Case("sphereM+ 64", "gradient", "bfloat16")]
    found += [Case(name, "learned", "float32") for name in ("sphereM 64", "theory 64", "rff 64")]
    found += [Case(name, part, "float32") for name in ("harmonics 10", "rbf 200") for part in ("encode", "gradient")]
    found += [Case("harmonics 40", "encode", "float32"), Case("rbf 200", "encode", "bfloat16")]
    found += [Case("voronoi", part, own) for part in ("encode", "gradient", "learned") for own in ("float32", "tf32")]
    return found


@cache
def call(encoder: str, dtype: torch.dtype) -> tuple[Operator, tuple[Any, ...]]:
    """The operator that an encoder calls for its features, and the arguments after the coordinates."""
    name, options = ENCODERS[encoder]
    position: Any = locenc.position_encoder(name, **options)
    found: list[tuple[Operator, tuple[Any, ...]]] = []

    def note(operator: Operator, lonlat: Tensor, *arguments: Any, **rest: Any) -> Tensor:
        found.append((operator, arguments))
        return operator._fake(lonlat, *arguments)

    with mock.patch.object(Operator, "__call__", note), torch.no_grad():
        position.features(torch.zeros(1, 2, dtype=torch.float64), dtype)
    ((operator, arguments),) = found
    return operator, tuple(value.to("meta") if isinstance(value, Tensor) else value for value in arguments)
