"""Operators on coordinates: what position encoders are made of.

Each has a plain meaning in a ``reference`` module, and compiled kernels that give the same numbers. They know tensors
and plain numbers, none of our classes.
"""

from locenc.kernels import layout, reference
from locenc.kernels.operator import Operator


def _columns(frequencies: object, fields: tuple[int, ...], *rest: object) -> int:
    return layout.columns(tuple(fields))


#: Products of sinusoids of linear phases; see `locenc.kernels.reference.sinusoids`.
sinusoids = Operator(
    "sinusoids",
    "Tensor frequencies, int[] layout, float amplitude",
    reference=reference.sinusoids,
    columns=_columns,
    kernels="locenc.kernels.numba_sinusoids",
)
