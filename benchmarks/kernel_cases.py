"""Calls of every Triton kernel that the library makes, to be compiled or counted without a card.

A case is a position encoder with its options, what is asked of it, and in which numbers. Its launches are recorded with
the shapes of an architecture; new operators join by the encoders that use them.
"""

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor

import locenc
from benchmarks.card import tf32
from locenc import kernels
from locenc.kernels import activations, triton_shapes
from locenc.kernels.operator import Operator
from locenc.kernels.triton_launch import Launch, recording

#: Bytes of shared memory that a program can have, by compute capability.
SHARED = {80: 163 * 1024, 86: 99 * 1024, 90: 227 * 1024}
#: Arithmetic instructions, addresses included, for each float32 feature of an encoder with many scales.
BUDGETS = {"sphereC": 18, "sphereC+": 18, "sphereM": 18, "sphereM+": 18, "dfs": 18, "grid": 18, "theory": 30, "rff": 30}

#: Points of a call: as alignment goes, any multiple of 16 is like any other.
POINTS = 2**20
WIDTHS = (256, 512, 1024)

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
#: The operators whose features have a layer fused to them.
FUSED = {kernels.sinusoids: kernels.sinusoids_linear, kernels.spherical_harmonics: kernels.spherical_harmonics_linear}
#: What is fused, and how its products are made: dtype of weight and result, and whether TF32 is allowed.
PRECISIONS = {"float32": (torch.float32, False), "tf32": (torch.float32, True), "bfloat16": (torch.bfloat16, False)}
PARTS = ("layer", "layer, gradient", "layer, learned")
#: Encoders with all scales; those of which every width is taken; those whose frequencies' gradients are.
LARGE = [name for name in ENCODERS if "64" in name or name in ("dfs 16", "nerf 16", "geoclip 256", "harmonics 40")]
MAIN = ("sphereC 64", "sphereM+ 64", "harmonics 40")
LEARNED = ("sphereM 64", "theory 64", "dfs 16", "rff 64", "geoclip 256", "voronoi")


class Case(NamedTuple):
    """A call of a kernel module.

    Attributes
    ----------
    encoder : str
        A key of `ENCODERS`.
    what : str
        ``"encode"``, ``"gradient"`` (by coordinates), ``"learned"`` (gradients by what is learned), and, with a linear
        layer, ``"layer"``, ``"layer, gradient"``, ``"layer, learned"``.
    precision : str
        Of the features, or of `PRECISIONS`.
    width : int
        Outputs of the layer; 0 without one.
    """

    encoder: str
    what: str
    precision: str
    width: int = 0

    @property
    def name(self) -> str:
        """All of it."""
        return ", ".join(str(field) for field in self if field)

    def launches(self, capability: int, lonlat: Tensor | None = None, gradient: Tensor | None = None) -> list[Launch]:
        """Record what it starts on cards of a compute capability such as 90; tensors are without memory.

        Parameters
        ----------
        capability : int
            Of the card.
        lonlat, gradient : Tensor, optional
            Other coordinates and gradients than contiguous float64 and features'.
        """
        dtype, allowed = PRECISIONS.get(self.precision) or (getattr(torch, self.precision), False)
        lonlat = torch.empty(POINTS, 2, dtype=torch.float64, device="meta") if lonlat is None else lonlat
        operator, arguments = call(self.encoder, dtype)
        if self.width:
            weight = torch.empty(self.width, operator._columns(*arguments), dtype=dtype, device="meta")
            layer = (weight, torch.empty(self.width, dtype=dtype, device="meta"), activations.LEAKY, 0.0)
            operator, arguments = FUSED[operator], (*arguments[:-1], *layer, dtype)
        if gradient is None:
            shape = len(lonlat), operator._columns(*arguments)
            gradient = torch.empty(shape, dtype=arguments[-1], device="meta")
        module = modules(operator)
        with recording() as found, triton_shapes.architecture(divmod(capability, 10)), tf32(allowed):
            if self.what.endswith("gradient"):
                module.backward(gradient, lonlat, *arguments)
            elif self.what.endswith("learned"):
                module.backward_arguments(gradient, lonlat, *arguments)
            else:
                module.forward(lonlat, *arguments, out=None)
        return list(found)


def every() -> list[Case]:
    """All cases: gradients in other numbers, and layers of other widths, for some encoders."""
    found = []
    for encoder in ENCODERS:
        operator, _ = call(encoder, torch.float32)
        if (module := modules(operator)) is None:
            continue
        found += [Case(encoder, "encode", dtype) for dtype in ("float32", "bfloat16", "float16")]
        found += [Case(encoder, "gradient", dtype) for dtype in ("float32", *(["bfloat16"] if encoder in MAIN else []))]
        if hasattr(module, "backward_arguments") and encoder in LEARNED:
            found.append(Case(encoder, "learned", "float32"))
        if encoder == "voronoi":
            found += [Case(encoder, part, "tf32") for part in ("encode", "gradient", "learned")]
        if operator in FUSED and modules(FUSED[operator]) is not None:
            widths, parts = (WIDTHS if encoder in MAIN else (512,)), (PARTS if encoder in LARGE else PARTS[:1])
            found += [Case(encoder, part, own, width) for width in widths for part in parts for own in PRECISIONS]
    return found


def few() -> list[Case]:
    """A case of every kind of code, of the larger encoders: what a test can compile in minutes."""
    names = [name for name in [*LARGE, "wrap", "xyz"] if name != "harmonics 40"]
    found = [Case(name, part, "float32") for name in names for part in ("encode", "gradient")]
    found += [Case(name, "encode", "bfloat16") for name in ("sphereM+ 64", "dfs 64", "theory 64", "rff 64")]
    found += [Case("sphereM+ 64", "encode", "float16"), Case("sphereM+ 64", "gradient", "bfloat16")]
    found += [Case(name, "learned", "float32") for name in ("sphereM 64", "theory 64", "rff 64")]
    found += [Case(name, part, "float32") for name in ("harmonics 10", "rbf 200") for part in ("encode", "gradient")]
    found += [Case("harmonics 40", "encode", "float32"), Case("rbf 200", "encode", "bfloat16")]
    found += [Case("voronoi", part, own) for part in ("encode", "gradient", "learned") for own in ("float32", "tf32")]
    for encoder in ("sphereC 64", "harmonics 40"):
        found += [Case(encoder, part, own, 512) for part in PARTS for own in PRECISIONS]
    found += [Case("sphereM+ 64", "layer", own, 512) for own in PRECISIONS]
    found += [Case("dfs 16", part, own, 512) for part in PARTS for own in ("float32", "bfloat16")]
    found += [Case("theory 64", "layer, gradient", "bfloat16", 512), Case("rff 64", "layer", "bfloat16", 512)]
    # Those that want most registers.
    found += [Case("dfs 64", "layer, gradient", own, 512) for own in ("float32", "tf32")]
    found += [Case("dfs 32", "layer", "float32", 512), Case("geoclip 256", "layer, gradient", "float32", 512)]
    there = every()
    return [case for case in found if case in there]


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


def modules(operator: Operator) -> Any:
    """An operator's Triton kernels, or None where there are none yet."""
    name = operator._modules["triton"]
    return import_module(name) if find_spec(name) else None
