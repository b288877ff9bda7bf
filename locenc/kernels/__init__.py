"""Operators on coordinates: what position encoders are made of.

Each has a plain meaning in a ``reference`` module, and compiled kernels that give the same numbers. They know tensors
and plain numbers, none of our classes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from locenc.kernels import layout, reference, reference_harmonics, reference_rbf, reference_voronoi
from locenc.kernels.operator import Operator


def _sinusoids_linear(
    lonlat: Tensor,
    frequencies: Tensor,
    fields: Any,
    amplitude: float,
    weight: Tensor,
    bias: Tensor | None,
    dtype: torch.dtype,
) -> Tensor:
    return linear(reference.sinusoids(lonlat, frequencies, fields, amplitude, dtype), weight, bias)


def _harmonics_linear(
    lonlat: Tensor, recurrence: Tensor, scale: Tensor, weight: Tensor, bias: Tensor | None, dtype: torch.dtype
) -> Tensor:
    return linear(reference_harmonics.spherical_harmonics(lonlat, recurrence, scale, dtype), weight, bias)


def _columns(frequencies: object, fields: tuple[int, ...], *rest: object) -> int:
    return layout.columns(tuple(fields))


def _squared(recurrence: Tensor, scale: Tensor, *rest: object) -> int:
    return scale.shape[0] ** 2


def _embedding_columns(keys: Tensor, embeddings: Tensor, *rest: object) -> int:
    return embeddings.shape[1]


def _rows(table: Tensor, *rest: object) -> int:
    return table.shape[0]


#: Products of sinusoids of linear phases; see `locenc.kernels.reference.sinusoids`.
sinusoids = Operator(
    "sinusoids",
    "Tensor frequencies, int[] layout, float amplitude",
    reference=reference.sinusoids,
    columns=_columns,
    kernels={"numba": "locenc.kernels.numba_sinusoids", "triton": "locenc.kernels.triton_sinusoids"},
    learned=(0,),
)

#: These, then a linear layer, some points at a time: not all features exist at once.
sinusoids_linear = Operator(
    "sinusoids_linear",
    "Tensor frequencies, int[] layout, float amplitude, Tensor weight, Tensor? bias",
    reference=_sinusoids_linear,
    columns=lambda frequencies, fields, amplitude, weight, *rest: int(weight.shape[0]),
    kernels={"triton": "locenc.kernels.triton_sinusoids_linear"},
    learned=(3, 4),
)

#: Real spherical harmonics; see `locenc.kernels.reference_harmonics.spherical_harmonics`.
spherical_harmonics = Operator(
    "spherical_harmonics",
    "Tensor recurrence, Tensor scale",
    reference=reference_harmonics.spherical_harmonics,
    columns=_squared,
    kernels={"numba": "locenc.kernels.numba_harmonics", "triton": "locenc.kernels.triton_harmonics"},
)

#: These, then a linear layer, as in `sinusoids_linear`.
spherical_harmonics_linear = Operator(
    "spherical_harmonics_linear",
    "Tensor recurrence, Tensor scale, Tensor weight, Tensor? bias",
    reference=_harmonics_linear,
    columns=lambda recurrence, scale, weight, *rest: int(weight.shape[0]),
    kernels={"triton": "locenc.kernels.triton_harmonics_linear"},
    learned=(2, 3),
)

#: Gaussians of distances to anchors; see `locenc.kernels.reference_rbf.radial_basis`.
radial_basis = Operator(
    "radial_basis",
    "Tensor anchors, float kernel_size, bool planar",
    reference=reference_rbf.radial_basis,
    columns=_rows,
    kernels={"numba": "locenc.kernels.numba_rbf", "triton": "locenc.kernels.triton_rbf"},
)

#: Means of embeddings of sites; see `locenc.kernels.reference_voronoi.site_attention`.
site_attention = Operator(
    "site_attention",
    "Tensor keys, Tensor embeddings",
    reference=reference_voronoi.site_attention,
    columns=_embedding_columns,
    kernels={"numba": "locenc.kernels.numba_voronoi", "triton": "locenc.kernels.triton_voronoi"},
    learned=(0, 1),
)
