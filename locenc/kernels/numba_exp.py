"""Powers of two of negative numbers, 16 at a time.

2^y = 2^n 2^r, n the nearest integer to y; adding M = 1.5 * 2^52 leaves n in the sum's lowest bits, from where it is
shifted into an exponent. 2^r = 1 + r Q(r), Q a Chebyshev fit on |r| <= 1/2, made with 50 digits: relative errors of
1.4e-10, for what is rounded to float32 afterwards, and below 1e-17.
"""

from typing import Any

from numba.extending import register_jitable

from locenc.kernels.lanes import less, power_of_two
from locenc.kernels.numba_sincos import nearest
from locenc.kernels.vectors import fma, polynomial_like, splat

#: From here down powers are 0, once rounded to the dtype; by bits of the dtype.
ZERO = {32: -151.0, 64: -1076.0}

#: Where exponents end, below which powers would be 0 anyway, and in float64 slow.
_least = polynomial_like((-200.0,), (-1080.0,))
_q = polynomial_like(
    (
        0.6931471805599453,
        0.24022650922288757,
        0.055504108839096185,
        0.009618056678524637,
        0.001333350238616277,
        0.0001546144469856913,
        1.5297323760701075e-05,
    ),
    (
        0.6931471805599453,
        0.24022650695910097,
        0.0555041086648216,
        0.009618129107606888,
        0.0013333558146416936,
        0.0001540353044173605,
        1.525273382983612e-05,
        1.321544258792169e-06,
        1.0178062445845774e-07,
        7.072585949269223e-09,
        4.4549605981865186e-10,
    ),
)


@register_jitable
def exp2(y: Any, like: Any) -> Any:
    """2^y, float64, as exact as the dtype of an array asks, for y <= 0; NaN stays."""
    least = _least(y, like)
    bounded = less(y, least, least, y)
    rounded, whole = nearest(bounded)
    rest = bounded - whole
    # 2^64 too much, then back: what float64 holds with fewer digits is rounded once.
    return fma(rest, _q(rest, like), splat(1.0)) * power_of_two(rounded + splat(64.0)) * splat(2.0**-64)
