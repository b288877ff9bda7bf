"""What moves lanes of vectors, masks them, compares them, looks at their bits, or adds them up; see `vectors`."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from locenc.kernels.vectors import I32, I64, Vector, address, broadcast, call, constant, order


def shuffle(builder: Any, vector: Any, lanes: Sequence[int]) -> Any:
    """Some lanes of one vector."""
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), order(lanes))


@intrinsic
def reverse(typing: Any, vector: Any) -> Any:
    """The lanes from last to first."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return shuffle(builder, values[0], list(reversed(range(vector.lanes))))

    return vector(vector), generate


@intrinsic
def first(typing: Any, vector: Any, count: Any) -> Any:
    """The first lanes; zero in the others, whatever they hold."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        kept = _between(builder, vector.lanes, ir.Constant(I64, 0), values[1])
        return builder.select(kept, values[0], constant(vector, 0.0))

    return vector(vector, types.int64), generate


def _between(builder: Any, lanes: int, begin: Any, end: Any) -> Any:
    """Mask of the lanes from ``begin`` on, before ``end``."""
    numbers = ir.Constant(ir.VectorType(I64, lanes), list(range(lanes)))
    low, high = (broadcast(builder, bound, lanes) for bound in (begin, end))
    return builder.and_(builder.icmp_signed(">=", numbers, low), builder.icmp_signed("<", numbers, high))


@intrinsic
def load8_between(typing: Any, array: Any, index: Any, begin: Any, end: Any) -> Any:
    """Read the lanes from ``begin`` on, before ``end``; the others are 0, and what lies there is not touched."""
    kind = Vector(array.dtype, 8)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = address(context, builder, values[0], array, values[1], 8)
        mask = _between(builder, 8, *values[2:])
        align = ir.Constant(I32, array.dtype.bitwidth // 8)
        return call(builder, f"llvm.masked.load.{kind.suffix}.p0", kind.llvm, pointer, align, mask, constant(kind, 0.0))

    return kind(array, types.int64, types.int64, types.int64), generate


@intrinsic
def store_between(typing: Any, array: Any, index: Any, vector: Any, begin: Any, end: Any) -> Any:
    """Write the lanes from ``begin`` on, before ``end``; what lies at the others is not touched."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = address(context, builder, values[0], array, values[1], vector.lanes)
        mask = _between(builder, vector.lanes, *values[3:])
        align = ir.Constant(I32, array.dtype.bitwidth // 8)
        call(builder, f"llvm.masked.store.{vector.suffix}.p0", ir.VoidType(), values[2], pointer, align, mask)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector, types.int64, types.int64), generate


@intrinsic
def pair(typing: Any, a: Any, b: Any) -> Any:
    """A vector of twice the lanes: those of one, then those of the other."""
    kind = Vector(a.dtype, 2 * a.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.shuffle_vector(*values, order(range(kind.lanes)))

    return kind(a, b), generate


def _half(start: int) -> Any:
    @intrinsic
    def half(typing: Any, vector: Any) -> Any:
        """One half of the lanes."""
        kind = Vector(vector.dtype, vector.lanes // 2)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return shuffle(builder, values[0], [start * kind.lanes + lane for lane in range(kind.lanes)])

        return kind(vector), generate

    return half


low, high = _half(0), _half(1)


@intrinsic
def shift(typing: Any, before: Any, vector: Any) -> Any:
    """The last lane of ``before``, then all lanes of ``vector`` but the last."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.shuffle_vector(*values, order(range(vector.lanes - 1, 2 * vector.lanes - 1)))

    return vector(before, vector), generate


def choice(lanes: Sequence[bool]) -> Any:
    """Make a function of two vectors: lanes of the first, of the second where ``lanes`` says so."""

    @intrinsic
    def choose(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return builder.shuffle_vector(
                *values, order([lane + len(lanes) * other for lane, other in enumerate(lanes)])
            )

        return a(a, a), generate

    return choose


@intrinsic
def total(typing: Any, vector: Any) -> Any:
    """Sum of the lanes, halves onto halves."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        sums, lanes = values[0], vector.lanes
        while lanes > 1:
            lanes //= 2
            sums = builder.fadd(*(shuffle(builder, sums, range(start, start + lanes)) for start in (0, lanes)))
        return builder.extract_element(sums, ir.Constant(I32, 0))

    return vector.dtype(vector), generate


@intrinsic
def negate_odd(typing: Any, vector: Any, numbers: Any) -> Any:
    """Change the sign of lanes where the lowest bit of the float64 numbers' pattern is set."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        width = vector.dtype.bitwidth
        bits = ir.VectorType(ir.IntType(width), vector.lanes)
        if width < 64:  # one shuffle of the low halves; a truncation is three instructions
            halves = builder.bitcast(values[1], ir.VectorType(I32, 2 * vector.lanes))
            pattern = shuffle(builder, halves, range(0, 2 * vector.lanes, 2))
        else:
            pattern = builder.bitcast(values[1], bits)
        sign = builder.shl(pattern, ir.Constant(bits, [width - 1] * vector.lanes))
        return builder.bitcast(builder.xor(builder.bitcast(values[0], bits), sign), vector.llvm)

    return vector(vector, numbers), generate


@intrinsic
def less(typing: Any, a: Any, b: Any, chosen: Any, other: Any) -> Any:
    """Lanes of ``chosen`` where a < b, of ``other`` elsewhere, so also where a or b is NaN."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", values[0], values[1]), values[2], values[3])

    return chosen(a, a, chosen, chosen), generate


@intrinsic
def not_less(typing: Any, a: Any, b: Any) -> Any:
    """Integer whose lowest bits tell the lanes where a < b does not hold: a is not less, or one of them is NaN."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        mask = builder.fcmp_unordered(">=", values[0], values[1])
        return builder.zext(builder.bitcast(mask, ir.IntType(a.lanes)), I64)

    return types.int64(a, a), generate


@intrinsic
def power_of_two(typing: Any, rounded: Any) -> Any:
    """2^n in float64 lanes, n in [-1022, 1023] being the lowest bits of the pattern: those of n + 1.5 * 2^52."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = ir.VectorType(I64, rounded.lanes)
        exponent = builder.add(builder.bitcast(values[0], bits), ir.Constant(bits, [1023] * rounded.lanes))
        return builder.bitcast(builder.shl(exponent, ir.Constant(bits, [52] * rounded.lanes)), rounded.llvm)

    return rounded(rounded), generate


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """Number of the lowest bit that is set."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate
