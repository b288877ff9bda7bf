"""Spherical harmonics again, from the closed definition: Rodrigues' formula with whole-number coefficients."""

import math
from collections.abc import Iterable
from functools import cache
from typing import Any

from arithmetic import DEGREE, Arithmetic, Array, mp

BITS = 512  # of the fraction of the fixed-point numbers in which polynomials are evaluated


@cache
def _coefficients(degree: int, order: int) -> list[int]:
    """Of the (l + m)-th derivative of (z² - 1)^l, the highest power of z first, every second power."""
    return [
        (-1) ** k * math.comb(degree, k) * math.perm(2 * degree - 2 * k, degree + order)
        for k in range((degree - order) // 2 + 1)
    ]


@cache
def _norm(degree: int, order: int) -> Any:
    """Square root of (2 - [m = 0]) (2l + 1) / 4π (l - m)! / (l + m)!, over 2^l l! of Rodrigues' formula."""
    ratio = mp.mpf((1 if order == 0 else 2) * (2 * degree + 1)) / math.perm(degree + order, 2 * order)
    return mp.sqrt(ratio / (4 * mp.pi)) / (2**degree * math.factorial(degree))


def legendre(degree: int, order: int, z: int) -> Any:
    """Normalised d^m P_l / dz^m at z / 2^BITS, by Horner's rule."""
    total, square = 0, z * z >> BITS
    for coefficient in _coefficients(degree, order):
        total = (total * square >> BITS) + (coefficient << BITS)
    if (degree - order) % 2:
        total = total * z >> BITS
    return mp.ldexp(mp.mpf(total), -BITS) * _norm(degree, order)


def harmonics(lon: Any, lat: Any, degrees: Iterable[int]) -> list[Any]:
    """Orthonormal real harmonics without Condon-Shortley phase: orders -l to l of each of the degrees."""
    degrees = list(degrees)
    with mp.workdps(100):
        sine, cosine = mp.sin(lat * DEGREE), mp.cos(lat * DEGREE)
        z = int(mp.nint(mp.ldexp(sine, BITS)))
        orders = range(max(degrees) + 1)
        east = [cosine**m * mp.cos(m * lon * DEGREE) for m in orders]
        north = [cosine**m * mp.sin(m * lon * DEGREE) for m in orders]
        columns = []
        for degree in degrees:
            values = [legendre(degree, order, z) for order in range(degree + 1)]
            columns += [values[m] * north[m] for m in range(degree, 0, -1)]
            columns += [values[m] * east[m] for m in range(degree + 1)]
        return columns


def spherical_harmonics(on: Arithmetic, *, num_degrees: int, normalization: str) -> list[Array]:
    """All harmonics below a degree; SatCLIP's are those of the antipode, (-1)^l, with m = 0 times π."""
    factors = [mp.mpf(1)] * num_degrees**2
    if normalization == "satclip":
        factors = [
            (-1) ** degree * (mp.pi if order == 0 else 1)
            for degree in range(num_degrees)
            for order in range(-degree, degree + 1)
        ]
    return [
        on.values(
            lambda lon, lat: [a * b for a, b in zip(factors, harmonics(lon, lat, range(num_degrees)), strict=True)]
        )
    ]
