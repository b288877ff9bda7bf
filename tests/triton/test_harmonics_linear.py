"""Spherical harmonics with a layer on CUDA: values and gradients against the reference in float64, any size."""

import math
from collections.abc import Callable

import pytest
import torch
from devices import triton_device
from points import globe
from torch import Tensor
from torch.nn.functional import linear

import locenc
from locenc.kernels import spherical_harmonics_linear, triton_harmonics_linear, triton_legendre, triton_linear
from locenc.kernels.reference_harmonics import spherical_harmonics, tables

DEVICE = triton_device()
pytestmark = pytest.mark.cuda

PLACES = [(0.0, 90.0), (12.0, -90.0), (33.0, 89.999999), (-75.0, -89.99), (180.0, 45.3), (540.0, 0.0)]
TOLERANCES = {torch.float32: 2e-6, torch.float16: 3e-3}


class Case:
    """A layer on the harmonics of some points, and a gradient of what it gives."""

    def __init__(
        self,
        num_degrees: int,
        hidden: int,
        rows: int,
        dtype: torch.dtype = torch.float32,
        biased: bool = True,
    ) -> None:
        generator = torch.Generator().manual_seed(num_degrees)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator).to(DEVICE, dtype)

        places = torch.cat([torch.tensor(PLACES, dtype=torch.float64), globe(rows)])[:rows].to(DEVICE)
        self.recurrence, self.scale = (table.to(DEVICE) for table in tables(num_degrees))
        self.lonlat, self.weight = places, drawn(hidden, num_degrees**2) / num_degrees
        self.bias = drawn(hidden) if biased else None
        self.gradient = drawn(rows, hidden)
        self.dtype = dtype

    @property
    def arguments(self) -> tuple[object, ...]:
        return self.recurrence, self.scale, self.weight, self.bias, self.dtype

    def learned(self) -> list[Tensor]:
        return [self.lonlat, self.weight, *([] if self.bias is None else [self.bias])]

    def exact(self) -> tuple[Tensor, list[Tensor]]:
        """The result in float64, and gradients of coordinates, weight and bias."""
        inputs = [tensor.double().requires_grad_() for tensor in self.learned()]
        lonlat, weight, *bias = inputs
        columns = spherical_harmonics(lonlat, self.recurrence, self.scale, torch.float64)
        result = linear(columns, weight, *bias)
        return result.detach(), list(torch.autograd.grad(result, inputs, self.gradient.double()))

    def by_operator(self) -> tuple[Tensor, list[Tensor]]:
        """As `exact`, by the kernels."""
        inputs = [tensor.detach().requires_grad_() for tensor in self.learned()]
        lonlat, weight, *bias = inputs
        layer = weight, bias[0] if bias else None, self.dtype
        with locenc.backend("triton"):
            result = spherical_harmonics_linear(lonlat, self.recurrence, self.scale, *layer)
            return result.detach(), list(torch.autograd.grad(result, inputs, self.gradient))


def assert_near(found: Tensor, expected: Tensor) -> None:
    """Products of matrices depend on where a row stands."""
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6 * float(expected.nan_to_num().abs().max()))


def check_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for one, other in zip(found, expected, strict=True):
        largest = max(1e-6, float(other.abs().max())) if other.numel() else 1.0
        torch.testing.assert_close(one.double() / largest, other / largest, rtol=0, atol=tolerance)


@pytest.mark.parametrize(
    ("num_degrees", "hidden", "rows", "dtype"),
    [
        *((*sizes, torch.float32) for sizes in [(1, 3, 5), (2, 16, 17), (5, 40, 7), (17, 33, 70), (40, 20, 9)]),
        *((*sizes, torch.float16) for sizes in [(1, 3, 5), (5, 40, 7), (9, 20, 140)]),
    ],
)
def test_values_and_gradients(num_degrees: int, hidden: int, rows: int, dtype: torch.dtype) -> None:
    case = Case(num_degrees, hidden, rows, dtype)
    expected, slopes = case.exact()
    result, found = case.by_operator()
    assert result.dtype == dtype
    assert [one.dtype for one in found] == [torch.float64, dtype, dtype]
    check_close([result, *found], [expected, *slopes], TOLERANCES[dtype])


def test_a_layer_without_bias() -> None:
    case = Case(6, 21, 40, biased=False)
    expected, slopes = case.exact()
    result, found = case.by_operator()
    check_close([result, *found], [expected, *slopes], 2e-6)


@pytest.mark.parametrize(("rows", "hidden"), [(0, 4), (1, 1), (1, 300), (130, 17)])
def test_any_size(rows: int, hidden: int) -> None:
    case = Case(4, hidden, rows)
    expected, slopes = case.exact()
    out = torch.full((rows, hidden), math.nan, device=DEVICE)
    result = triton_harmonics_linear.forward(case.lonlat, *case.arguments, out=out)
    assert result is out
    check_close([result], [expected], 2e-6)
    of_lonlat = triton_harmonics_linear.backward(case.gradient, case.lonlat, *case.arguments)
    rest = triton_harmonics_linear.backward_arguments(case.gradient, case.lonlat, *case.arguments)
    check_close([of_lonlat, *rest], slopes, 2e-6)


def test_whatever_is_multiplied_is_kept() -> None:
    """SatCLIP's signs and norms."""
    case = Case(11, 18, 20)
    position = locenc.position_encoder("spherical-harmonics", num_degrees=11, normalization="satclip")
    case.scale = position.scale.to(DEVICE)
    expected, slopes = case.exact()
    result, found = case.by_operator()
    check_close([result, *found], [expected, *slopes], 2e-6)


def test_more_degrees_than_float32_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_legendre, "NARROW", 8)
    case = Case(12, 17, 20)
    expected, slopes = case.exact()
    result, found = case.by_operator()
    check_close([result, *found], [expected, *slopes], 2e-6)


def test_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(3, 19, 75)
    expected, slopes = case.exact()
    monkeypatch.setattr(triton_linear, "POINTS", 16)
    monkeypatch.setattr(triton_linear, "BYTES", 0)
    result, found = case.by_operator()
    check_close([result, *found], [expected, *slopes], 2e-6)
    again = triton_harmonics_linear.backward_arguments(case.gradient, case.lonlat, *case.arguments)
    assert all(torch.equal(one, other) for one, other in zip(found[1:], again, strict=True))


@pytest.mark.parametrize(
    "change",
    [
        lambda tensor: tensor.T.contiguous().T,
        lambda tensor: torch.cat([tensor, tensor], 1)[:, : tensor.shape[1]],
        lambda tensor: torch.stack([tensor, tensor], 2)[..., 1],
    ],
)
def test_strides(change: Callable[[Tensor], Tensor]) -> None:
    case, other = Case(5, 20, 33), Case(5, 20, 33)
    other.lonlat, other.weight, other.gradient = (change(x) for x in (case.lonlat, case.weight, case.gradient))
    assert torch.equal(case.lonlat, other.lonlat)
    for function in (triton_harmonics_linear.backward, triton_harmonics_linear.backward_arguments):
        found = function(case.gradient, case.lonlat, *case.arguments)
        same = function(other.gradient, other.lonlat, *other.arguments)
        for own, expected in zip(*(one if isinstance(one, list) else [one] for one in (found, same)), strict=True):
            assert_near(own, expected)
    found = triton_harmonics_linear.forward(case.lonlat, *case.arguments)
    assert_near(found, triton_harmonics_linear.forward(other.lonlat, *other.arguments))
    other.gradient = torch.ones(1, 1, device=DEVICE).expand(33, 20)
    found = triton_harmonics_linear.backward(other.gradient, case.lonlat, *case.arguments)
    same = triton_harmonics_linear.backward(other.gradient.contiguous(), case.lonlat, *case.arguments)
    assert_near(found, same)


def test_a_row_depends_on_itself_alone() -> None:
    case = Case(5, 20, 150)
    result = triton_harmonics_linear.forward(case.lonlat, *case.arguments)
    slopes = triton_harmonics_linear.backward(case.gradient, case.lonlat, *case.arguments)
    part = slice(77, 90)
    assert_near(triton_harmonics_linear.forward(case.lonlat[part], *case.arguments), result[part])
    assert_near(triton_harmonics_linear.backward(case.gradient[part], case.lonlat[part], *case.arguments), slopes[part])
    broken = case.lonlat.clone()
    broken[3, 0], broken[4, 1] = math.nan, math.nan
    spoilt = triton_harmonics_linear.forward(broken, *case.arguments)
    assert spoilt[3:5].isnan().all()
    assert_near(spoilt[5:], result[5:])
