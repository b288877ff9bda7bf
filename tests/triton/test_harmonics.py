"""Spherical harmonics on CUDA: values and gradients against the reference in float64, poles, any size and scale."""

import math

import pytest
import torch
from devices import triton_device
from points import globe
from torch import Tensor

import locenc
from locenc.kernels import triton_harmonics, triton_legendre, triton_shapes
from locenc.kernels.reference_harmonics import spherical_harmonics, tables

DEVICE = triton_device()
pytestmark = pytest.mark.cuda

POLES = [(0.0, 90.0), (-137.3, 90.0), (12.0, -90.0), (180.0, -90.0)]
PLACES = [(33.0, 89.999999), (-75.0, -89.999999), (12.0, 89.99), (180.0, 45.3), (-180.0, 45.3), (540.0, 77.0)]
PLACES += [(0.0, 0.0), (90.0, -0.0), (-90.0, 45.0), (60.0, -45.00000000000001), (-0.0, 1e-300), (179.99, -88.0)]


def places(more: int) -> Tensor:
    """Poles and other hard places, then any."""
    return torch.cat([torch.tensor(POLES + PLACES, dtype=torch.float64), globe(more)]).to(DEVICE)


def on_device(num_degrees: int) -> tuple[Tensor, Tensor]:
    recurrence, scale = tables(num_degrees)
    return recurrence.to(DEVICE), scale.to(DEVICE)


def largest(num_degrees: int) -> Tensor:
    """Of each column, the largest value that any harmonic of its degree takes."""
    sizes = 2 * torch.arange(num_degrees) + 1
    return (sizes.double() / (4 * math.pi)).sqrt().repeat_interleave(sizes).to(DEVICE)


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(DEVICE)


def exact(lonlat: Tensor, both: tuple[Tensor, Tensor], gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Columns in float64 and the gradient of the coordinates."""
    degrees = lonlat.double().requires_grad_()
    columns = spherical_harmonics(degrees, *both, torch.float64)
    (slopes,) = torch.autograd.grad(columns, degrees, gradient.double())
    return columns.detach(), slopes


@pytest.mark.parametrize(
    ("num_degrees", "more", "tolerance"),
    [(1, 40, 1e-7), (2, 40, 2e-7), (5, 40, 2e-7), (17, 40, 3e-7), (40, 9, 5e-7), (100, 0, 1e-6), (200, 0, 1e-6)],
)
def test_values(num_degrees: int, more: int, tolerance: float) -> None:
    both, lonlat = on_device(num_degrees), places(more)
    out = torch.full((len(lonlat), num_degrees**2), math.nan, device=DEVICE)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32, out=out)
    assert columns is out
    expected = spherical_harmonics(lonlat, *both, torch.float64)
    error = (columns.double() - expected) / largest(num_degrees)
    torch.testing.assert_close(error, torch.zeros_like(error), rtol=0, atol=tolerance)
    zonal = torch.arange(num_degrees, device=DEVICE)
    zonal = zonal * (zonal + 1)
    at_poles = columns[: len(POLES)].clone()
    at_poles[:, zonal] = 0
    assert (at_poles == 0).all()
    seam = [PLACES.index((lon, 45.3)) + len(POLES) for lon in (180.0, -180.0)]
    assert torch.equal(columns[seam[0]], columns[seam[1]])


def test_errors_do_not_pile_up_near_the_poles() -> None:
    """A degree magnifies what z lacks l² / 2 times, and float32 has few numbers below 1."""
    both = on_device(128)
    lat = 90 - 10 ** torch.linspace(-7, 1.2, 24, dtype=torch.float64)
    lonlat = torch.stack([torch.zeros_like(lat), lat * (-1) ** torch.arange(24)], 1).to(DEVICE)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32)
    error = (columns.double() - spherical_harmonics(lonlat, *both, torch.float64)) / largest(128)
    assert error.abs().max() <= 6e-7


@pytest.mark.parametrize(("num_degrees", "more"), [(1, 9), (2, 9), (5, 30), (17, 30), (40, 9), (100, 0)])
def test_gradients(num_degrees: int, more: int) -> None:
    both, lonlat = on_device(num_degrees), places(more)
    gradient = drawn(len(lonlat), num_degrees**2)
    _, expected = exact(lonlat, both, gradient)
    found = triton_harmonics.backward(gradient, lonlat, *both, torch.float32)
    assert found.dtype == torch.float64
    scale = float(expected.abs().max()) or 1.0
    torch.testing.assert_close(found / scale, expected / scale, rtol=0, atol=5e-6)


@pytest.mark.parametrize("satclip", [True, False])
def test_whatever_is_multiplied_is_kept(satclip: bool) -> None:
    """SatCLIP's signs and norms, and norms of no convention, some of them zero."""
    recurrence, scale = tables(21)
    if satclip:
        scale = locenc.position_encoder("spherical-harmonics", num_degrees=21, normalization="satclip").scale
    else:
        generator = torch.Generator().manual_seed(0)
        scale *= 10 ** (3 * torch.randn(scale.shape, generator=generator, dtype=torch.float64))
        scale[torch.rand(scale.shape, generator=generator) < 0.2] = 0
        scale[:, 3] = 0
        scale[7:, 4] = 0
    both, lonlat = (recurrence.to(DEVICE), scale.to(DEVICE)), places(9)
    gradient = drawn(len(lonlat), 21**2)
    expected, slopes = exact(lonlat, both, gradient)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32)
    sizes = expected.abs().amax(0) + 1e-30
    torch.testing.assert_close(columns / sizes, expected / sizes, rtol=0, atol=1e-6, check_dtype=False)
    found = triton_harmonics.backward(gradient, lonlat, *both, torch.float32)
    steepest = slopes.abs().max()
    torch.testing.assert_close(found / steepest, slopes / steepest, rtol=0, atol=5e-6)


@pytest.mark.parametrize(("rows", "num_degrees"), [(0, 3), (1, 1), (1, 40), (67, 4), (33, 9), (129, 8), (3, 33)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_any_size_and_dtype(rows: int, num_degrees: int, dtype: torch.dtype) -> None:
    both, lonlat = on_device(num_degrees), globe(rows).to(DEVICE)
    gradient = drawn(rows, num_degrees**2).to(dtype)
    expected, slopes = exact(lonlat, both, gradient)
    out = torch.full((rows, num_degrees**2), math.nan, dtype=dtype, device=DEVICE)
    columns = triton_harmonics.forward(lonlat, *both, dtype, out=out)
    rtol = {torch.float32: 0.0, torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}[dtype]  # the interpreter may truncate
    torch.testing.assert_close(columns.double(), expected, rtol=rtol, atol=2e-6)
    found = triton_harmonics.backward(gradient, lonlat, *both, dtype)
    torch.testing.assert_close(found, slopes, rtol=1e-5, atol=1e-6 * num_degrees)


def test_more_degrees_than_float32_has_room_for() -> None:
    both = on_device(260)
    lonlat = torch.tensor([(77.0, 89.9), (-12.3, 17.0)], dtype=torch.float64, device=DEVICE)
    out = torch.full((2, 260**2), math.nan, device=DEVICE)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32, out=out)
    error = (columns.double() - spherical_harmonics(lonlat, *both, torch.float64)) / largest(260)
    assert error.abs().max() <= 1e-6


@pytest.mark.parametrize("narrow", [False, True])
def test_many_blocks_of_orders(narrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with more than 512 degrees, and in float64."""
    monkeypatch.setattr(triton_shapes, "harmonics", lambda device, degrees: triton_shapes.Tile(4, 8, 4))
    if not narrow:
        monkeypatch.setattr(triton_legendre, "NARROW", 10)
    both, lonlat = on_device(37), places(1)
    gradient = drawn(len(lonlat), 37**2)
    expected, slopes = exact(lonlat, both, gradient)
    out = torch.full((len(lonlat), 37**2), math.nan, device=DEVICE)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32, out=out)
    torch.testing.assert_close(columns.double(), expected, rtol=0, atol=1e-6)
    found = triton_harmonics.backward(gradient, lonlat, *both, torch.float32)
    torch.testing.assert_close(found, slopes, rtol=0, atol=5e-6 * float(slopes.abs().max()))


def test_strides() -> None:
    both = on_device(11)
    strided = globe(2 * 37).view(37, 4).clamp(-90, 90).to(DEVICE)[:, 1:3]
    lonlat = strided.contiguous()
    columns = triton_harmonics.forward(strided, *both, torch.float32)
    assert torch.equal(columns, triton_harmonics.forward(lonlat, *both, torch.float32))
    for gradient in (drawn(1, 1).expand(37, 121), drawn(121, 37).T, drawn(37, 200)[:, 40:161]):
        found = triton_harmonics.backward(gradient, strided, *both, torch.float32)
        assert torch.equal(found, triton_harmonics.backward(gradient.contiguous(), lonlat, *both, torch.float32))
    transposed = both[0], both[1].T.contiguous().T
    assert torch.equal(columns, triton_harmonics.forward(lonlat, *transposed, torch.float32))


def test_float32_coordinates() -> None:
    both, lonlat = on_device(9), globe(40).float().to(DEVICE)
    gradient = drawn(40, 81)
    expected, slopes = exact(lonlat, both, gradient)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32)
    torch.testing.assert_close(columns.double(), expected, rtol=0, atol=5e-7)
    found = triton_harmonics.backward(gradient, lonlat, *both, torch.float32)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), slopes, rtol=1e-5, atol=1e-5)


def test_a_row_depends_on_itself_alone() -> None:
    both, lonlat, gradient = on_device(12), globe(150).to(DEVICE), drawn(150, 144)
    columns = triton_harmonics.forward(lonlat, *both, torch.float32)
    slopes = triton_harmonics.backward(gradient, lonlat, *both, torch.float32)
    part = slice(77, 90)
    assert torch.equal(triton_harmonics.forward(lonlat[part], *both, torch.float32), columns[part])
    assert torch.equal(triton_harmonics.backward(gradient[part], lonlat[part], *both, torch.float32), slopes[part])
    broken = lonlat.clone()
    broken[3, 0], broken[4, 1] = math.nan, math.nan
    spoilt = triton_harmonics.forward(broken, *both, torch.float32)
    assert spoilt[3:5].isnan().all()
    assert torch.equal(spoilt[5:], columns[5:])


def test_through_the_encoder() -> None:
    encoder = locenc.position_encoder("spherical-harmonics", num_degrees=6).to(DEVICE)
    lonlat = globe(20).to(DEVICE).requires_grad_()
    with locenc.backend("triton"):
        columns = encoder(lonlat)
        (found,) = torch.autograd.grad(columns.square().sum(), lonlat)
        again = torch.autograd.grad(encoder(lonlat)[:, 5].sum(), lonlat, create_graph=True)[0]
    expected = spherical_harmonics(lonlat, *on_device(6), torch.float64)
    torch.testing.assert_close(columns.double(), expected, rtol=0, atol=1e-6)
    (slopes,) = torch.autograd.grad((expected * columns.detach() * 2).sum(), lonlat)
    torch.testing.assert_close(found, slopes, rtol=1e-5, atol=1e-6)
    assert again.requires_grad
