"""A layer's weight on spherical harmonics, packed in the order in which kernels read it.

They take a block of orders from degree to degree. Columns of a degree begin at odd addresses, which products cannot
read in one go; and half of a block's first degrees is zeros, where orders exceed the degree.
"""

import triton
import triton.language as tl
from torch import Tensor

from locenc.kernels.triton_launch import blocks, empty, launch

ROWS = tl.constexpr(64)  # of the weight, of a program that packs


@triton.jit
def pack_kernel(
    weight,
    out,
    hidden,
    pitch,
    along,
    across,
    DEGREES: tl.constexpr,
    ORDERS: tl.constexpr,
    TRANSPOSED: tl.constexpr,
):
    """The weight's part for a block of orders at a degree."""
    first = tl.program_id(0) * ORDERS
    degree = tl.program_id(1)
    rows = tl.program_id(2) * ROWS + tl.arange(0, ROWS)
    lanes = tl.arange(0, 2 * ORDERS)
    if degree >= first:
        order = first + lanes // 2
        odd = lanes % 2 == 1
        column = degree * (degree + 1) + tl.where(odd, -order, order)
        inside = (order <= degree) & ((order > 0) | (lanes % 2 == 0))
        mask = inside[None, :] & (rows < hidden)[:, None]
        start = weight + rows.to(tl.int64)[:, None] * along + column.to(tl.int64)[None, :] * across
        value = tl.load(start, mask=mask, other=0.0)
        before = tl.program_id(0) * DEGREES - ORDERS * (tl.program_id(0) * (tl.program_id(0) - 1) // 2)
        part = (before + degree - first).to(tl.int64)
        start = out + part * (2 * ORDERS) * pitch
        if TRANSPOSED:
            tl.store(start + lanes[None, :] * pitch + rows[:, None], value, mask=(rows < pitch)[:, None])
        else:
            tl.store(start + rows[:, None] * (2 * ORDERS) + lanes[None, :], value, mask=(rows < pitch)[:, None])


def pack(weight: Tensor, degrees: int, orders: int, columns: int, *, transposed: bool = False) -> tuple[Tensor, int]:
    """The weight ``(H, L²)`` by blocks of orders and degrees, in the order in which kernels read it.

    Returns
    -------
    packed : Tensor
        ``(blocks and degrees, H, 2 orders)``: cosine and sine of each order in turns; or, transposed,
        ``(blocks and degrees, 2 orders, H)``. 0 where there is no column.
    rows : int
        H, rounded up to a multiple of ``columns``.
    """
    count = blocks(degrees, orders)
    parts = count * degrees - orders * (count * (count - 1) // 2)
    padded = blocks(len(weight), columns) * columns
    packed = empty((parts, 2 * orders, padded) if transposed else (parts, padded, 2 * orders), weight, weight.dtype)
    launch(
        pack_kernel,
        (count, degrees, blocks(padded, ROWS.value)),
        *(weight, packed, len(weight), padded, *weight.stride()),
        DEGREES=degrees,
        ORDERS=orders,
        TRANSPOSED=transposed,
    )
    return packed, padded
