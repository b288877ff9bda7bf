"""What `vectors`, `lanes` and `panels` of `locenc.kernels` make LLVM do, in NumPy, so that kernels run as plain Python.

A vector is an array of its lanes. `fma` rounds as one operation does to float32, and to float64 but for some 2^-64.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Lanes = NDArray[Any]
LANES = 16


def _flat(array: Lanes) -> Lanes:
    flat = array.reshape(-1)
    assert np.shares_memory(flat, array)
    return flat


def _load(lanes: int) -> Callable[[Lanes, int], Lanes]:
    def load(array: Lanes, index: int) -> Lanes:
        return _flat(array)[index : index + lanes].copy()

    return load


load, load8 = _load(16), _load(8)


def store(array: Lanes, index: int, vector: Lanes) -> None:
    assert array.dtype == vector.dtype
    _flat(array)[index : index + len(vector)] = vector


def _splat(lanes: int) -> Callable[[Any], Lanes]:
    return lambda value: np.full(lanes, value, np.asarray(value).dtype)


splat, splat8 = _splat(16), _splat(8)


def fma(a: Any, b: Any, c: Any) -> Any:
    dtype = np.asarray(a).dtype
    wide = np.float64 if dtype == np.float32 else np.longdouble
    return (np.asarray(a, wide) * np.asarray(b, wide) + np.asarray(c, wide)).astype(dtype)[()]


def widen(vector: Lanes) -> Lanes:
    return vector.astype(np.float64)


def convert(vector: Lanes, like: Lanes) -> Lanes:
    return vector.astype(like.dtype)


def prefetch(array: Lanes, index: int) -> None:
    """Nothing: it changes no result."""


def root(vector: Lanes) -> Lanes:
    return np.sqrt(vector)


def polynomial_like(short: Sequence[float], long: Sequence[float]) -> Callable[[Lanes, Lanes], Lanes]:
    def evaluate(z: Lanes, like: Lanes) -> Lanes:
        coefficients = [np.asarray(c, z.dtype) for c in (short if like.dtype == np.float32 else long)]
        value = np.full_like(z, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = fma(value, z, coefficient)
        return value

    return evaluate


def reverse(vector: Lanes) -> Lanes:
    return vector[::-1].copy()


def first(vector: Lanes, count: int) -> Lanes:
    return np.where(np.arange(len(vector)) < count, vector, vector.dtype.type(0))


def load8_between(array: Lanes, index: int, begin: int, end: int) -> Lanes:
    flat, found = _flat(array), np.zeros(8, array.dtype)
    for lane in range(max(begin, 0), min(end, 8)):
        found[lane] = flat[index + lane]
    return found


def store_between(array: Lanes, index: int, vector: Lanes, begin: int, end: int) -> None:
    flat = _flat(array)
    for lane in range(max(begin, 0), min(end, len(vector))):
        flat[index + lane] = vector[lane]


def pair(a: Lanes, b: Lanes) -> Lanes:
    return np.concatenate([a, b])


def low(vector: Lanes) -> Lanes:
    return vector[: len(vector) // 2].copy()


def high(vector: Lanes) -> Lanes:
    return vector[len(vector) // 2 :].copy()


def shift(before: Lanes, vector: Lanes) -> Lanes:
    return np.concatenate([before[-1:], vector[:-1]])


def choice(lanes: Sequence[bool]) -> Callable[[Lanes, Lanes], Lanes]:
    return lambda a, b: np.where(np.array(lanes), b, a)


def total(vector: Lanes) -> Any:
    while len(vector) > 1:
        vector = low(vector) + high(vector)
    return vector[0]


def negate_odd(vector: Lanes, numbers: Lanes) -> Lanes:
    return np.where(numbers.view(np.int64) & 1, -vector, vector)


def less(a: Lanes, b: Lanes, chosen: Lanes, other: Lanes) -> Lanes:
    return np.where(a < b, chosen, other)


def not_less(a: Lanes, b: Lanes) -> int:
    return sum(1 << lane for lane in np.flatnonzero(~(a < b)).tolist())


def power_of_two(rounded: Lanes) -> Lanes:
    return ((rounded.view(np.int64) + 1023) << 52).view(np.float64)


def lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


def panel(like: Lanes) -> tuple[Lanes, ...]:
    return (np.zeros(LANES, like.dtype),) * 4


def panel_add(sums: tuple[Lanes, ...], weights: Lanes, first: int, vectors: Lanes, index: int) -> tuple[Lanes, ...]:
    vector = load(vectors, index)
    return tuple(fma(splat(weights[first + row]), vector, before) for row, before in enumerate(sums))


def panel_collect(sums: tuple[Lanes, ...], out: Lanes, index: int) -> None:
    for row, own in enumerate(sums):
        store(out, index + LANES * row, load(out, index + LANES * row) + own)
