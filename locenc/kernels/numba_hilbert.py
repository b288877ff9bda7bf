"""Places in an order in which neighbours stand together: a Hilbert curve on the octahedron, unfolded to a square."""

import math
from typing import Any

import numpy as np
from numba.extending import register_jitable

from locenc.kernels.compiling import kernel

LEVELS = 8  # of the curve: 2^16 cells


@kernel
def _curve(points: Any, codes: Any) -> None:
    """Cells of places along the curve."""
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        size = abs(x) + abs(y) + abs(z)
        u, v = x / size, y / size
        if z < 0:
            u, v = math.copysign(1 - abs(v), u), math.copysign(1 - abs(u), v)
        codes[i] = _hilbert(_cell(u), _cell(v))


@register_jitable(forceinline=True)
def _cell(u: float) -> int:
    scaled = (u + 1) * 2.0 ** (LEVELS - 1)
    return int(min(scaled, 2.0**LEVELS - 1)) if scaled >= 0 else 0  # 0 for NaN too


@register_jitable(forceinline=True)
def _hilbert(x: int, y: int) -> int:
    """Place of a cell of the square along the curve."""
    code, side, last = 0, 1 << (LEVELS - 1), (1 << LEVELS) - 1
    while side > 0:
        right, up = (x & side) > 0, (y & side) > 0
        code = 4 * code + (3 * right ^ up)
        if not up:
            if right:
                x, y = last - x, last - y
            x, y = y, x
        side >>= 1
    return code


def neighbours(points: Any) -> Any:
    """Order of places in which neighbours stand together."""
    codes = np.empty(len(points), np.uint16)
    _curve(points, codes)
    return np.argsort(codes, kind="stable")
