"""Sums of many vectors, each by a weight for every row: a panel of a matrix product that stays in registers.

A panel holds `rows` vectors of 16 lanes. Each step reads one vector and the rows' weights, which lie side by side, and
adds: sums[r] = weights[r] * vector + sums[r], fused, so that a row's sum depends on the order of the steps alone.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from locenc.kernels.processor import processor
from locenc.kernels.vectors import I64, LANES, Vector, address, broadcast, call, constant


def rows(bits: int) -> int:
    """How many vectors of 16 numbers of so many bits a panel holds: most of this processor's registers."""
    width = processor().vector_bits
    return max(1, (8 if width == 256 else 16) * width // (LANES * bits))


@intrinsic
def panel(typing: Any, like: Any) -> Any:
    """Sums of zero, of an array's dtype."""
    vector = Vector(like.dtype, LANES)
    kind = types.UniTuple(vector, rows(like.dtype.bitwidth))

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.make_tuple(builder, kind, [constant(vector, 0.0)] * kind.count)

    return kind(like), generate


@intrinsic
def panel_add(typing: Any, sums: Any, weights: Any, first: Any, vectors: Any, index: Any) -> Any:
    """Add the vector at an index of one array by the weights from an index of another on."""
    vector = sums.dtype

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        before, weights_, first_, vectors_, index_ = values
        own = builder.load(
            address(context, builder, vectors_, vectors, index_, LANES), align=vector.dtype.bitwidth // 8
        )
        data = context.make_array(weights)(context, builder, weights_).data
        after = []
        for row in range(sums.count):
            weight = builder.load(builder.gep(data, [builder.add(first_, ir.Constant(I64, row))]))
            weight = broadcast(builder, weight, LANES)
            sum_ = builder.extract_value(before, row)
            after.append(call(builder, f"llvm.fma.{vector.suffix}", vector.llvm, weight, own, sum_))
        return context.make_tuple(builder, sums, after)

    return sums(sums, weights, types.int64, vectors, types.int64), generate


@intrinsic
def panel_collect(typing: Any, sums: Any, out: Any, index: Any) -> Any:
    """Add all rows, one after the other, to what stands from an index on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        for row in range(sums.count):
            place = builder.add(values[2], ir.Constant(I64, LANES * row))
            pointer = address(context, builder, values[1], out, place, LANES)
            align = out.dtype.bitwidth // 8
            sum_ = builder.fadd(builder.load(pointer, align=align), builder.extract_value(values[0], row))
            builder.store(sum_, pointer, align=align)
        return context.get_dummy_value()

    return types.void(sums, out, types.int64), generate
