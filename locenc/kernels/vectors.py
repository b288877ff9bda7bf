"""Explicit vectors for numba: a type of 16 (or 8) lanes that LLVM turns into AVX-512, AVX2 or NEON registers.

Loads and stores are at an index of a contiguous array, flattened, and check no bounds. Arithmetic is strict: nothing is
fused but by `fma`, nothing reordered, so that a lane's result does not depend on where it stands.
"""

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import intrinsic, lower_builtin, register_model, type_callable

#: Lanes of a vector; `load8` and `splat8` make vectors of 8.
LANES = 16

I32, I64 = ir.IntType(32), ir.IntType(64)
_ELEMENTS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


class Vector(types.Type):
    """Numba's name for a vector of ``lanes`` numbers of ``dtype``."""

    def __init__(self, dtype: types.Float, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        super().__init__(name=f"Vector({dtype}, {lanes})")

    @property
    def llvm(self) -> ir.VectorType:
        """The type of the register."""
        return ir.VectorType(_ELEMENTS[self.dtype], self.lanes)

    @property
    def suffix(self) -> str:
        """How LLVM's intrinsics name the type."""
        return f"v{self.lanes}f{self.dtype.bitwidth}"


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


def call(builder: Any, name: str, result: ir.Type, *values: Any) -> Any:
    """Call one of LLVM's intrinsics by its full name."""
    function = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), values)


def constant(kind: Vector, value: float) -> ir.Constant:
    """The same number in all lanes."""
    return ir.Constant(kind.llvm, [value] * kind.lanes)


def address(context: Any, builder: Any, array: Any, kind: types.Array, index: Any, lanes: int) -> Any:
    """Pointer to a vector that lies at an index of an array."""
    data = context.make_array(kind)(context, builder, array).data
    vector = ir.VectorType(_ELEMENTS[kind.dtype], lanes)
    return builder.bitcast(builder.gep(data, [index]), vector.as_pointer())


def _loader(lanes: int) -> Any:
    @intrinsic
    def load(typing: Any, array: Any, index: Any) -> Any:
        """Read consecutive numbers from an index on."""

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            pointer = address(context, builder, values[0], signature.args[0], values[1], lanes)
            return builder.load(pointer, align=array.dtype.bitwidth // 8)

        return Vector(array.dtype, lanes)(array, types.int64), generate

    return load


load, load8 = _loader(LANES), _loader(8)


@intrinsic
def store(typing: Any, array: Any, index: Any, vector: Any) -> Any:
    """Write all lanes to consecutive places from an index on."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = address(context, builder, values[0], signature.args[0], values[1], vector.lanes)
        builder.store(values[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.int64, vector), generate


def _splatter(lanes: int) -> Any:
    @intrinsic
    def splat(typing: Any, value: Any) -> Any:
        """The same number in all lanes."""
        kind = Vector(value, lanes)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            undefined = ir.Constant(kind.llvm, ir.Undefined)
            first = builder.insert_element(undefined, values[0], ir.Constant(I32, 0))
            return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, lanes), [0] * lanes))

        return kind(value), generate

    return splat


splat, splat8 = _splatter(LANES), _splatter(8)


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """A b + c, rounded once; of vectors or of numbers of one type."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        suffix = a.suffix if isinstance(a, Vector) else f"f{a.bitwidth}"
        return call(builder, f"llvm.fma.{suffix}", values[0].type, *values)

    return a(a, a, a), generate


@intrinsic
def narrow(typing: Any, vector: Any) -> Any:
    """Round float64 lanes to float32."""
    kind = Vector(types.float32, vector.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.fptrunc(values[0], kind.llvm)

    return kind(vector), generate


@intrinsic
def widen(typing: Any, vector: Any) -> Any:
    """The same numbers in float64."""
    kind = Vector(types.float64, vector.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return values[0] if vector == kind else builder.fpext(values[0], kind.llvm)

    return kind(vector), generate


@intrinsic
def reverse(typing: Any, vector: Any) -> Any:
    """The lanes from last to first."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        order = ir.Constant(ir.VectorType(I32, vector.lanes), list(reversed(range(vector.lanes))))
        return builder.shuffle_vector(values[0], ir.Constant(vector.llvm, ir.Undefined), order)

    return vector(vector), generate


@intrinsic
def first(typing: Any, vector: Any, count: Any) -> Any:
    """The first lanes; zero in the others, whatever they hold."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        lanes = ir.VectorType(I64, vector.lanes)
        undefined = ir.Constant(lanes, ir.Undefined)
        limit = builder.insert_element(undefined, values[1], ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, vector.lanes), [0] * vector.lanes)
        limit = builder.shuffle_vector(limit, undefined, zeros)
        kept = builder.icmp_signed("<", ir.Constant(lanes, list(range(vector.lanes))), limit)
        return builder.select(kept, values[0], constant(vector, 0.0))

    return vector(vector, types.int64), generate


def _between(builder: Any, lanes: int, begin: Any, end: Any) -> Any:
    """Mask of the lanes from ``begin`` on, before ``end``."""
    kind = ir.VectorType(I64, lanes)
    numbers, undefined = ir.Constant(kind, list(range(lanes))), ir.Constant(kind, ir.Undefined)
    zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
    low, high = (
        builder.shuffle_vector(builder.insert_element(undefined, bound, ir.Constant(I32, 0)), undefined, zeros)
        for bound in (begin, end)
    )
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
def convert(typing: Any, vector: Any, like: Any) -> Any:
    """Float64 lanes in an array's dtype: rounded to float32, or as they are."""
    kind = Vector(like.dtype, vector.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return values[0] if vector == kind else builder.fptrunc(values[0], kind.llvm)

    return kind(vector, like), generate


@intrinsic
def pair(typing: Any, a: Any, b: Any) -> Any:
    """A vector of twice the lanes: those of one, then those of the other."""
    kind = Vector(a.dtype, 2 * a.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        order = ir.Constant(ir.VectorType(I32, kind.lanes), list(range(kind.lanes)))
        return builder.shuffle_vector(*values, order)

    return kind(a, b), generate


def _half(start: int) -> Any:
    @intrinsic
    def half(typing: Any, vector: Any) -> Any:
        """One half of the lanes."""
        kind = Vector(vector.dtype, vector.lanes // 2)

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            lanes = [start * kind.lanes + lane for lane in range(kind.lanes)]
            undefined = ir.Constant(vector.llvm, ir.Undefined)
            return builder.shuffle_vector(values[0], undefined, ir.Constant(ir.VectorType(I32, kind.lanes), lanes))

        return kind(vector), generate

    return half


low, high = _half(0), _half(1)


@intrinsic
def shift(typing: Any, before: Any, vector: Any) -> Any:
    """The last lane of ``before``, then all lanes of ``vector`` but the last."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        lanes = range(vector.lanes - 1, 2 * vector.lanes - 1)
        return builder.shuffle_vector(*values, ir.Constant(ir.VectorType(I32, vector.lanes), list(lanes)))

    return vector(before, vector), generate


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an index, which may lie behind the array: it is read or written soon."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = address(context, builder, values[0], array, values[1], 1)
        flags = [ir.Constant(I32, flag) for flag in (0, 3, 1)]  # to read, into the first cache, data
        call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, *flags)
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


def choice(lanes: Sequence[bool]) -> Any:
    """Make a function of two vectors: lanes of the first, of the second where ``lanes`` says so."""

    @intrinsic
    def choose(typing: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            order = [lane + len(lanes) * other for lane, other in enumerate(lanes)]
            return builder.shuffle_vector(*values, ir.Constant(ir.VectorType(I32, len(lanes)), order))

        return a(a, a), generate

    return choose


@intrinsic
def total(typing: Any, vector: Any) -> Any:
    """Sum of the lanes, halves onto halves."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        sums, lanes = values[0], vector.lanes
        while lanes > 1:
            lanes //= 2
            undefined = ir.Constant(sums.type, ir.Undefined)
            halves = [
                builder.shuffle_vector(
                    sums, undefined, ir.Constant(ir.VectorType(I32, lanes), list(range(start, start + lanes)))
                )
                for start in (0, lanes)
            ]
            sums = builder.fadd(*halves)
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
            low = ir.Constant(ir.VectorType(I32, vector.lanes), list(range(0, 2 * vector.lanes, 2)))
            pattern = builder.shuffle_vector(halves, ir.Constant(halves.type, ir.Undefined), low)
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
def root(typing: Any, vector: Any) -> Any:
    """Square roots."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return call(builder, f"llvm.sqrt.{vector.suffix}", vector.llvm, values[0])

    return vector(vector), generate


@intrinsic
def power_of_two(typing: Any, rounded: Any) -> Any:
    """2^n in float64 lanes, n in [-1022, 1023] being the lowest bits of the pattern: those of n + 1.5 * 2^52."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        bits = ir.VectorType(I64, rounded.lanes)
        exponent = builder.add(builder.bitcast(values[0], bits), ir.Constant(bits, [1023] * rounded.lanes))
        return builder.bitcast(builder.shl(exponent, ir.Constant(bits, [52] * rounded.lanes)), rounded.llvm)

    return rounded(rounded), generate


def _horner(builder: Any, kind: Any, z: Any, coefficients: Sequence[float]) -> Any:
    vector = isinstance(kind, Vector)
    suffix = kind.suffix if vector else f"f{kind.bitwidth}"
    numbers = [constant(kind, c) if vector else ir.Constant(z.type, c) for c in coefficients]
    value = numbers[-1]
    for number in reversed(numbers[:-1]):
        value = call(builder, f"llvm.fma.{suffix}", value.type, value, z, number)
    return value


def polynomial(coefficients: Sequence[float]) -> Any:
    """Make a function of vectors or numbers: the polynomial with these coefficients, constant first."""

    @intrinsic
    def evaluate(typing: Any, z: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return _horner(builder, z, values[0], coefficients)

        return z(z), generate

    return evaluate


def polynomial_like(short: Sequence[float], long: Sequence[float]) -> Any:
    """Make a function of vectors or numbers and an array: a short polynomial for arrays of float32, else a long one."""

    @intrinsic
    def evaluate(typing: Any, z: Any, like: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            return _horner(builder, z, values[0], short if like.dtype == types.float32 else long)

        return z(z, like), generate

    return evaluate


def _arithmetic(operation: Callable[..., Any], instruction: str, count: int) -> None:
    @type_callable(operation)
    def typer(context: Any) -> Any:
        def of_vectors(*kinds: Any) -> Any:
            return kinds[0] if isinstance(kinds[0], Vector) and len({*kinds}) == 1 else None

        return of_vectors

    @lower_builtin(operation, *[Vector] * count)
    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return getattr(builder, instruction)(*values)


for _operation, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _arithmetic(_operation, _instruction, 2)
_arithmetic(operator.neg, "fneg", 1)
