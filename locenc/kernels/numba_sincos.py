"""Sines and cosines of half turns, 16 at a time: exact reduction, then short polynomials.

sin(pi t) and cos(pi t) are (-1)^h times those of r = t - h, h the nearest integer. Adding M = 1.5 * 2^52 rounds t to an
integer whose parity is the sum's lowest bit; it becomes the sign bit of both results. With z = r²,

    sin(pi r) = r pi + r z P(z),   cos(pi r) = 1 + z Q(z),

P and Q Chebyshev fits on |r| <= 1/2, made with 40 digits; their errors are 3e-10 and 9e-10 (float32), below 1e-18
(float64). pi is two numbers: one alone, rounded to float32, would cost half a last digit. The last digit of Q's second
coefficient is such that Q(1/4), as the machine evaluates it, is -4: cosines of odd multiples of a quarter turn are
exactly 0, on which seamless encoders rest at the poles.
"""

from typing import Any

from numba.extending import register_jitable

from locenc.kernels.lanes import negate_odd
from locenc.kernels.vectors import convert, fma, polynomial_like, splat

ROUNDING = 1.5 * 2.0**52

_p = polynomial_like(
    (-5.167712779186312, 2.550163867104827, -0.5992589937336754, 0.08208371776286144, -0.007084488778956108),
    (
        -5.16771278004997,
        2.5501640398773455,
        -0.599264529320791,
        0.08214588661108463,
        -0.007370430944816936,
        0.0004663027953897944,
        -2.1915282920601852e-05,
        7.949258149042043e-07,
        -2.2349456072698055e-08,
    ),
)
_q = polynomial_like(
    (-4.934802196986985, 4.058711051940918, -1.3352399607008951, 0.23507436832239592, -0.024627111595228457),
    (
        -4.934802200544679,
        4.058712126416768,
        -1.3352627688545895,
        0.23533063035889246,
        -0.025806891389994792,
        0.0019295743091160256,
        -0.00010463810230557562,
        4.303054832119255e-06,
        -1.3873925305665263e-07,
        3.5096988376964982e-09,
    ),
)
_pi = polynomial_like((3.1415927410125732,), (3.141592653589793,))
_more = polynomial_like((-8.742277657347586e-08,), (1.2246467991473532e-16,))
_one = polynomial_like((1.0,), (1.0,))


@register_jitable
def nearest(half_turns: Any) -> tuple[Any, Any]:
    """The sum with M, whose lowest bit is the nearest integer's parity, and the nearest integer; float64 vectors."""
    rounded = half_turns + splat(ROUNDING)
    return rounded, rounded - splat(ROUNDING)


@register_jitable
def of_product(u: Any, x: Any) -> tuple[Any, Any]:
    """The sum of u x with M, and what u x is beyond the nearest integer, each rounded once; float64 vectors."""
    rounded = fma(u, x, splat(ROUNDING))
    return rounded, fma(u, x, -(rounded - splat(ROUNDING)))


@register_jitable
def of_degrees(angle: Any) -> tuple[Any, Any]:
    """The sum with M, and the remainder in half turns, of angles in degrees; float64 vectors."""
    rounded, half_turns = nearest(angle * splat(1 / 180))
    return rounded, fma(half_turns, splat(-180.0), angle) * splat(1 / 180)


@register_jitable
def sincos(rest: Any, rounded: Any, like: Any) -> tuple[Any, Any]:
    """Sine and cosine, in an array's dtype, from float64 remainders in half turns and the sum with M."""
    r = convert(rest, like)
    z = r * r
    sine = fma(r, _pi(z, like), r * fma(z, _p(z, like), _more(z, like)))
    cosine = fma(z, _q(z, like), _one(z, like))
    return negate_odd(sine, rounded), negate_odd(cosine, rounded)
