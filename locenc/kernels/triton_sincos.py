"""Sines and cosines of phases in half turns, in registers: exact reduction, then short polynomials.

A phase is u x, u half turns per unit; sin(pi t) and cos(pi t) are (-1)^h times those of r = t - h, h the nearest
integer. Coordinates and frequencies are sums of two float32 numbers (xh + xl, uh + ul), and M = 1.5 * 2^23 rounds:

    lo = uh xl + ul xh,   q = (uh xh + lo) + M,   h = q - M,   r = (uh xh - h) + lo.

Each bracket is one fma, so that no product is rounded before it meets h; the lowest bit of q is the parity of h. What
is fused further, or not, changes nothing: the only products outside an fma are in lo, which may err.  It holds for
phases below 2^22 half turns. Beyond, and for frequencies of which nobody knows a bound, all is float64 with
M = 1.5 * 2^52 ("wide").

The polynomials are those of `locenc.kernels.numba_sincos`; the same last digits make cosines of odd multiples of a
quarter turn exactly 0.
"""

import triton
import triton.language as tl

ROUNDING = tl.constexpr(1.5 * 2.0**23)
ROUNDING_WIDE = tl.constexpr(1.5 * 2.0**52)


@triton.jit
def sincos(r, flip):
    """Sine and cosine of r in half turns, |r| <= 1/2; the sign bit ``flip`` negates both. All float32, int32."""
    z = r * r
    p = tl.fma(z, -0.007084488778956108, 0.08208371776286144)
    p = tl.fma(z, p, -0.5992589937336754)
    p = tl.fma(z, p, 2.550163867104827)
    p = tl.fma(z, p, -5.167712779186312)
    sine = tl.fma(r, 3.1415927410125732, r * tl.fma(z, p, -8.742277657347586e-08))
    q = tl.fma(z, -0.024627111595228457, 0.23507436832239592)
    q = tl.fma(z, q, -1.3352399607008951)
    q = tl.fma(z, q, 4.058711051940918)
    q = tl.fma(z, q, -4.934802196986985)
    cosine = tl.fma(z, q, 1.0)
    return negated(sine, flip), negated(cosine, flip)


@triton.jit
def negated(x, flip):
    """X with the sign bit ``flip`` xored into its own."""
    return (x.to(tl.int32, bitcast=True) ^ flip).to(tl.float32, bitcast=True)


@triton.jit
def along_axis(uh, ul, xh, xl):
    """Remainder and sign bit of the phase u x, of float32 pairs."""
    lo = tl.fma(uh, xl, ul * xh)
    q = tl.fma(uh, xh, lo) + ROUNDING
    r = tl.fma(uh, xh, ROUNDING - q) + lo
    return r, q.to(tl.int32, bitcast=True) << 31


@triton.jit
def begin(uh, ul, xh, xl):
    """A phase of several terms, from its first one: remainder, what is too small for it, sign bit."""
    q = tl.fma(uh, xh, ROUNDING)
    return tl.fma(uh, xh, ROUNDING - q), tl.fma(uh, xl, ul * xh), q.to(tl.int32, bitcast=True) << 31


@triton.jit
def and_along(r, lo, flip, uh, ul, xh, xl):
    """As `begin`, with another term. The sum of both remainders is exact: each rounding would show in the features."""
    other, small, turn = begin(uh, ul, xh, xl)
    total = r + other
    part = total - r
    lost = (r - (total - part)) + (other - part)
    lo += small
    q = (total + lo) + ROUNDING
    return total + (ROUNDING - q), lo + lost, flip ^ turn ^ (q.to(tl.int32, bitcast=True) << 31)


@triton.jit
def wide(half_turns):
    """Remainder (float32) and sign bit of a float64 phase."""
    q = half_turns + ROUNDING_WIDE
    r = half_turns - (q - ROUNDING_WIDE)
    return r.to(tl.float32), q.to(tl.int64, bitcast=True).to(tl.int32) << 31


@triton.jit
def wide_along_axis(u, x):
    """Remainder (float32) and sign bit of the phase u x, of float64."""
    q = tl.fma(u, x, ROUNDING_WIDE)
    r = tl.fma(u, x, ROUNDING_WIDE - q)
    return r.to(tl.float32), q.to(tl.int64, bitcast=True).to(tl.int32) << 31
