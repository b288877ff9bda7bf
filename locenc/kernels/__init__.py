"""Operators on coordinates: what position encoders are made of.

Each has a plain meaning in a ``reference`` module, and compiled kernels that give the same numbers. They know tensors
and plain numbers, none of our classes.
"""

from torch import Tensor

from locenc.kernels import layout, reference, reference_harmonics
from locenc.kernels.operator import Operator


def _columns(frequencies: object, fields: tuple[int, ...], *rest: object) -> int:
    return layout.columns(tuple(fields))


def _squared(recurrence: Tensor, scale: Tensor, *rest: object) -> int:
    return scale.shape[0] ** 2


#: Products of sinusoids of linear phases; see `locenc.kernels.reference.sinusoids`.
sinusoids = Operator(
    "sinusoids",
    "Tensor frequencies, int[] layout, float amplitude",
    reference=reference.sinusoids,
    columns=_columns,
    kernels="locenc.kernels.numba_sinusoids",
)

#: Real spherical harmonics; see `locenc.kernels.reference_harmonics.spherical_harmonics`.
spherical_harmonics = Operator(
    "spherical_harmonics",
    "Tensor recurrence, Tensor scale",
    reference=reference_harmonics.spherical_harmonics,
    columns=_squared,
    kernels="locenc.kernels.numba_harmonics",
)
