"""Activations of a tile in registers, and their slopes; see `locenc.kernels.activations`.

A sine's argument t is reduced by multiples of π, which is the sum of two float32 numbers to 1e-15: exact to t = 1e5.
"""

import triton
import triton.language as tl

from locenc.kernels import activations
from locenc.kernels.triton_sincos import ROUNDING, sincos

LEAKY, SINE = tl.constexpr(activations.LEAKY), tl.constexpr(activations.SINE)
PI_HIGH, PI_LOW = tl.constexpr(3.1415927410125732), tl.constexpr(-8.742277657347586e-08)
TURNS = tl.constexpr(0.3183098861837907)


@triton.jit
def sine_cosine(t):
    """Sine and cosine of radians, float32."""
    q = tl.fma(t, TURNS, ROUNDING)
    h = q - ROUNDING
    r = tl.fma(h, -PI_LOW, tl.fma(h, -PI_HIGH, t))
    return sincos(r * TURNS, q.to(tl.int32, bitcast=True) << 31)


@triton.jit
def activate(x, parameter, KIND: tl.constexpr):
    """The activation of x, float32."""
    if KIND == LEAKY:
        return tl.where(x > 0.0, x, parameter * x)
    elif KIND == SINE:
        sine, _ = sine_cosine(parameter * x)
        return sine
    else:
        return x


@triton.jit
def slope(x, parameter, KIND: tl.constexpr):
    """Derivative of the activation at x, float32."""
    if KIND == LEAKY:
        return tl.where(x > 0.0, 1.0, parameter)
    elif KIND == SINE:
        _, cosine = sine_cosine(parameter * x)
        return parameter * cosine
    else:
        return tl.full(x.shape, 1.0, tl.float32)
