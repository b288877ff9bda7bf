"""Powers of two in registers, as exact as float32 is.

2^y = 2^n 2^r, n the nearest integer to y. Adding M = 1.5 * 2^23 + 64 leaves n + 64 in the sum's lowest bits, from where
it is shifted into an exponent; the result is 2^64 too large, then scaled, so that what float32 holds with fewer digits
is rounded once. 2^r = 1 + r Q(r), Q of degree 5 minimax on |r| <= 1/2: errors of 4e-9 beside those of rounding.
"""

import triton
import triton.language as tl

LEAST = tl.constexpr(-160.0)  # from 2^-150 down powers are 0
ROUNDING = tl.constexpr(1.5 * 2.0**23 + 64)
ONE = tl.constexpr(0x3F800000)  # the bits of 1.0


@triton.jit
def exp2(y):
    """2^y, float32, for y < 60; NaN stays."""
    y = tl.maximum(y, LEAST, propagate_nan=tl.PropagateNan.ALL)
    q = y + ROUNDING
    r = y - (q - ROUNDING)
    p = tl.fma(r, 0.0001533619877807803, 0.001339039081885345)
    p = tl.fma(r, p, 0.009618446090123349)
    p = tl.fma(r, p, 0.05550358308472195)
    p = tl.fma(r, p, 0.240226485091755)
    p = tl.fma(r, p, 0.6931471876512331)
    p = tl.fma(r, p, 1.0)
    scale = (q.to(tl.int32, bitcast=True) << 23) + ONE
    return p * scale.to(tl.float32, bitcast=True) * 5.421010862427522e-20
