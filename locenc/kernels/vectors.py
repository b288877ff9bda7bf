"""Explicit vectors for numba: a type of 16 (or 8) lanes that LLVM turns into AVX-512, AVX2 or NEON registers.

Here are memory and arithmetic of whole vectors; `locenc.kernels.lanes` has what moves, compares and sums lanes.
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


def order(lanes: Sequence[int]) -> ir.Constant:
    """Which lanes a shuffle takes."""
    return ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))


def broadcast(builder: Any, value: Any, lanes: int) -> Any:
    """A number of run time in all lanes."""
    undefined = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, value, ir.Constant(I32, 0))
    return builder.shuffle_vector(first, undefined, order([0] * lanes))


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
            return broadcast(builder, values[0], lanes)

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
def widen(typing: Any, vector: Any) -> Any:
    """The same numbers in float64."""
    kind = Vector(types.float64, vector.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return values[0] if vector == kind else builder.fpext(values[0], kind.llvm)

    return kind(vector), generate


@intrinsic
def convert(typing: Any, vector: Any, like: Any) -> Any:
    """Float64 lanes in an array's dtype: rounded to float32, or as they are."""
    kind = Vector(like.dtype, vector.lanes)

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return values[0] if vector == kind else builder.fptrunc(values[0], kind.llvm)

    return kind(vector, like), generate


@intrinsic
def prefetch(typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of an index, which may lie behind the array: it is read or written soon."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        pointer = address(context, builder, values[0], array, values[1], 1)
        flags = [ir.Constant(I32, flag) for flag in (0, 3, 1)]  # to read, into the first cache, data
        call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, *flags)
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@intrinsic
def root(typing: Any, vector: Any) -> Any:
    """Square roots."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return call(builder, f"llvm.sqrt.{vector.suffix}", vector.llvm, values[0])

    return vector(vector), generate


def polynomial_like(short: Sequence[float], long: Sequence[float]) -> Any:
    """Make a function of a vector and an array: a short polynomial for arrays of float32, else a long one."""

    @intrinsic
    def evaluate(typing: Any, z: Any, like: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            coefficients = [constant(z, c) for c in (short if like.dtype == types.float32 else long)]
            value = coefficients[-1]
            for coefficient in reversed(coefficients[:-1]):
                value = call(builder, f"llvm.fma.{z.suffix}", z.llvm, value, values[0], coefficient)
            return value

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
