"""The reduction of phases under a compiler that fuses products with sums, and under one that does not.

The functions of `locenc.kernels.triton_sincos` are run as they stand, with numbers that round as a card's do. A product
remembers its factors, so that a sum of it may take the unrounded one, as a contracting compiler does.
"""

import operator
from collections.abc import Callable
from fractions import Fraction
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from arithmetic import Array, mp

pytest.importorskip("triton", reason="the functions are Triton's")

from triton import language as tl

from locenc.kernels import triton_sincos

ROUNDING = triton_sincos.ROUNDING
#: Which product a sum of two takes unrounded; "none" rounds both.
FUSIONS = ("none", "first", "second")
LARGEST = 2.0**20  # half turns


def fma(x: Array, y: Array, z: Array) -> Array:
    """x y + z, rounded once."""
    if x.dtype == y.dtype == z.dtype == np.float32:
        product, z = x.astype(np.float64) * y, z.astype(np.float64)  # exact
        total = product + z
        part = total - product
        lost = (product - (total - part)) + (z - part)
        # Rounded to odd, so that what follows rounds as if it came first.
        even = total.view(np.int64) % 2 == 0
        total = np.where((lost != 0) & even, np.nextafter(total, np.copysign(np.inf, lost)), total)
        return total.astype(np.float32)
    exact = np.frompyfunc(lambda a, b, c: float(Fraction(a) * Fraction(b) + Fraction(c)), 3, 1)
    return exact(*(v.astype(np.float64) for v in (x, y, z))).astype(np.float64)


class Number:
    """Numbers of a card: each operation rounds to the dtype, but a sum of a product may be fused."""

    fusion = "none"

    def __init__(self, value: Any, factors: tuple[Array, Array] | None = None) -> None:
        self.value, self.factors = np.asarray(value), factors

    def _of(self, other: Any) -> "Number":
        return other if isinstance(other, Number) else Number(np.asarray(other, self.value.dtype))

    def __mul__(self, other: Any) -> "Number":
        other = self._of(other)
        return Number(self.value * other.value, (self.value, other.value))

    def __neg__(self) -> "Number":
        return Number(-self.value, self.factors and (-self.factors[0], self.factors[1]))

    def __add__(self, other: Any) -> "Number":
        other = self._of(other)
        order = [(self, other), (other, self)]
        for product, rest in order if self.fusion == "first" else order[::-1] if self.fusion == "second" else []:
            if product.factors:
                return Number(fma(*product.factors, rest.value))
        return Number(self.value + other.value)

    def __sub__(self, other: Any) -> "Number":
        return self + -self._of(other)

    def __rsub__(self, other: Any) -> "Number":
        return self._of(other) - self

    def _bits(self, other: Any, operation: Callable[[Any, Any], Any]) -> "Number":
        return Number(operation(self.value, other.value if isinstance(other, Number) else other))

    def __xor__(self, other: Any) -> "Number":
        return self._bits(other, operator.xor)

    def __lshift__(self, other: Any) -> "Number":
        return self._bits(other, operator.lshift)

    def to(self, dtype: Any, bitcast: bool = False) -> "Number":
        return Number(self.value.view(dtype) if bitcast else self.value.astype(dtype))


def language_fma(x: Any, y: Any, z: Any) -> Number:
    """``tl.fma``, of which the numbers may stand in the source."""
    dtype = next(v.value.dtype for v in (x, y, z) if isinstance(v, Number) and v.value.ndim)
    arrays = [v.value if isinstance(v, Number) else np.asarray(v, dtype) for v in (x, y, z)]
    return Number(fma(*np.broadcast_arrays(*arrays)))


LANGUAGE = SimpleNamespace(fma=language_fma, float32=np.float32, float64=np.float64, int32=np.int32, int64=np.int64)


def run(function: Any, *arguments: Any) -> Any:
    """Call a function of Triton's, or of this file, with such numbers."""
    names: dict[str, Any] = {"tl": LANGUAGE}
    names["ROUNDING"] = Number(np.float32(triton_sincos.ROUNDING.value))
    names["ROUNDING_WIDE"] = Number(np.float64(triton_sincos.ROUNDING_WIDE.value))
    for name in ("sincos", "negated", "begin", "and_along", "along_axis", "wide", "wide_along_axis"):
        names[name] = FunctionType(getattr(triton_sincos, name).fn.__code__, names)
    return FunctionType(getattr(function, "fn", function).__code__, names)(*arguments)


def pair(value: Array) -> tuple[Number, Number]:
    """A float64 number as the sum of two float32 ones."""
    high = value.astype(np.float32)
    return Number(high), Number((value - high).astype(np.float32))


def drawn(terms: int, largest: float, count: int = 300) -> tuple[list[Array], list[Array]]:
    """Coordinates and frequencies of phases of up to so many half turns, the largest ones and hard ones among them."""
    rng = np.random.default_rng(terms)
    points = [rng.uniform(-180, 180, count) for _ in range(terms)]
    rates = [
        rng.choice([1.0, -1.0], count) * largest / terms / 180 * 2.0 ** -rng.integers(0, 21, count) for _ in points
    ]
    for x, u in zip(points, rates, strict=True):
        x[:40], u[:60] = rng.choice([180.0, -180.0, 90.0, 179.99999999999997, 0.0], 40), largest / terms / 180
        u[60:80] = np.rint(u[60:80] * 180) / 180  # whole turns at the seam
    return points, rates


def waves(points: list[Array], rates: list[Array], shift: Array | float = 0.0) -> Array:
    """Sine and cosine of pi u x, (2, count), right to float64's last digit."""
    terms = zip(
        zip(*points, strict=True), zip(*rates, strict=True), np.broadcast_to(shift, points[0].shape), strict=True
    )
    phases = [mp.pi * (mp.fdot(zip(map(mp.mpf, x), map(mp.mpf, u), strict=True)) + mp.mpf(c)) for x, u, c in terms]
    return np.array([[float(wave(phase)) for phase in phases] for wave in (mp.sin, mp.cos)])


def error(found: tuple[Number, Number], expected: Array) -> float:
    sine, cosine = (number.value.astype(np.float64) for number in found)
    products = np.abs(np.multiply.outer(sine, cosine) - np.multiply.outer(*expected))
    return max(np.abs(np.stack([sine, cosine]) - expected).max(), products.max())


@pytest.fixture(params=FUSIONS, autouse=True)
def fusion(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(Number, "fusion", request.param)
    return request.param


def test_the_arithmetic() -> None:
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=2000).astype(np.float32) for _ in range(2))
    z = (-(x.astype(np.float64) * y) * (1 + rng.choice([0, 1e-7, 1e-3, 1], 2000))).astype(np.float32)
    exact = [Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)) for a, b, c in zip(x, y, z, strict=True)]
    nearest = fma(x, y, z)
    for other in (np.nextafter(nearest, np.float32(9)), np.nextafter(nearest, np.float32(-9))):
        for value, near, beside in zip(exact, nearest, other, strict=True):
            assert abs(value - Fraction(float(near))) <= abs(value - Fraction(float(beside)))


def test_a_phase_along_an_axis(fusion: str) -> None:
    (x,), (u,) = drawn(1, LARGEST)
    r, flip = run(triton_sincos.along_axis, *pair(u), *pair(x))
    assert np.abs(r.value).max() <= 0.5 + 2**-5  # q is rounded twice
    assert error(run(triton_sincos.sincos, r, flip), waves([x], [u])) <= 2.5e-7


@pytest.mark.parametrize("terms", [2, 3])
@pytest.mark.parametrize("shifted", [False, True])
def test_a_phase_of_several_terms(terms: int, shifted: bool, fusion: str) -> None:
    points, rates = drawn(terms, LARGEST)
    shift = np.random.default_rng(9).uniform(-2, 2, len(points[0])) * shifted
    r, lo, flip = run(triton_sincos.begin, *pair(rates[0]), *pair(points[0]))
    for x, u in zip(points[1:], rates[1:], strict=True):
        r, lo, flip = run(triton_sincos.and_along, r, lo, flip, *pair(u), *pair(x))
    if shifted:
        one = np.ones_like(shift)
        r, lo, flip = run(triton_sincos.and_along, r, lo, flip, *pair(shift), *pair(one))
    assert error(run(triton_sincos.sincos, r + lo, flip), waves(points, rates, shift)) <= 2.5e-7


def test_sines_and_cosines_a_little_beyond_the_quarter_turn(fusion: str) -> None:
    r = np.linspace(-0.5 - 2**-5, 0.5 + 2**-5, 3001).astype(np.float32)
    found = run(triton_sincos.sincos, Number(r), Number(np.zeros(len(r), np.int32)))
    assert error(found, waves([np.ones(len(r))], [r.astype(np.float64)])) <= 2.5e-7


def test_float64_phases(fusion: str) -> None:
    (x,), (u,) = drawn(1, 2.0**26)
    expected = waves([x], [u])
    assert (
        error(run(triton_sincos.sincos, *run(triton_sincos.wide_along_axis, Number(u), Number(x))), expected) <= 2.5e-7
    )
    points, rates = drawn(2, 2.0**22)
    total = LANGUAGE.fma(Number(rates[1]), Number(points[1]), Number(rates[0]) * Number(points[0]))
    found = run(triton_sincos.sincos, *run(triton_sincos.wide, total))
    assert error(found, waves(points, rates)) <= 2.5e-7


def with_the_integer(uh: Any, ul: Any, xh: Any, xl: Any) -> Any:
    """As `along_axis`, with h = q - M by its name."""
    lo = tl.fma(uh, xl, ul * xh)
    q = tl.fma(uh, xh, lo) + ROUNDING
    h = q - ROUNDING
    return tl.fma(uh, xh, -h) + lo, q.to(tl.int32, bitcast=True) << 31


def with_the_products_error(uh: Any, ul: Any, xh: Any, xl: Any) -> Any:
    """A reduction that is right on paper: the rounded product, and what it lost."""
    p = uh * xh
    e = tl.fma(uh, xh, -p)
    lo = tl.fma(uh, xl, ul * xh)
    q = tl.fma(uh, xh, lo) + ROUNDING
    h = q - ROUNDING
    return ((p - h) + e) + lo, q.to(tl.int32, bitcast=True) << 31


def test_either_way_to_write_the_integer(fusion: str) -> None:
    (x,), (u,) = drawn(1, LARGEST)
    for one, other in zip(
        run(triton_sincos.along_axis, *pair(u), *pair(x)), run(with_the_integer, *pair(u), *pair(x)), strict=True
    ):
        assert np.array_equal(one.value, other.value)


def test_the_trap_is_there(fusion: str) -> None:
    """The product meets the integer unrounded, and what it would have lost is added all the same."""
    (x,), (u,) = drawn(1, LARGEST)
    found = run(triton_sincos.sincos, *run(with_the_products_error, *pair(u), *pair(x)))
    wrong = error(found, waves([x], [u]))
    assert wrong <= 2.5e-7 if fusion == "none" else wrong > 0.05
