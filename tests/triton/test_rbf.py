"""Radial basis functions on CUDA: values and gradients against the reference in float64, hard places, any size."""

import math

import pytest
import torch
from devices import assert_same_sums, triton_device
from points import globe
from torch import Tensor

import locenc
from locenc.kernels import triton_rbf
from locenc.kernels.reference_rbf import radial_basis

DEVICE = triton_device()
pytestmark = pytest.mark.cuda

ANCHORS = [(10.0, 20.0), (180.0, -5.0), (-180.0, 5.0), (0.0, 90.0), (33.0, -90.0), (-60.5, -33.25), (0.0, 0.0)]
ANCHORS += [(90.0, 0.0), (-90.0, 1e-9), (10.0, 20.000001)]
PLANES = [False, True]
SIZES = [1e-4, 0.01, 1.0, 10.0, 12.0, 60.0, 180.0, 1e4]  # from 12 on, anchors count beyond a right angle


def anchors(count: int) -> Tensor:
    """Hard places first, then any."""
    return torch.cat([torch.tensor(ANCHORS, dtype=torch.float64), globe(count, 5)])[:count].to(DEVICE)


def antipodes(places: Tensor) -> Tensor:
    return torch.stack([places[:, 0] - torch.copysign(torch.tensor(180.0), places[:, 0]), -places[:, 1]], 1)


def hard_places(kernel_size: float) -> Tensor:
    """Anchors and antipodes, places up to some widths of a kernel away, poles, seams, right angles, other turns."""
    centres = torch.tensor(ANCHORS, dtype=torch.float64)
    centres = torch.cat([centres, antipodes(centres)])
    steps = torch.randn(4, len(centres), 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    beside = (centres + min(kernel_size, 30.0) * steps).reshape(-1, 2)
    far = [(lon, lat) for lon in (-180, 180, 100, -80, 540, -900.5) for lat in (-90, -5, 5, 90)]
    places = torch.cat([centres, beside, torch.tensor(far, dtype=torch.float64), globe(30)])
    return torch.stack([places[:, 0], places[:, 1].clamp(-90, 90)], 1).to(DEVICE)


def exact(lonlat: Tensor, centres: Tensor, kernel_size: float, planar: bool, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Features in float64 and the gradient of the coordinates."""
    degrees = lonlat.double().requires_grad_()
    features = radial_basis(degrees, centres, kernel_size, planar, torch.float64)
    (slopes,) = torch.autograd.grad(features, degrees, gradient.double())
    return features.detach(), slopes


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2)).to(DEVICE)


@pytest.mark.parametrize("planar", PLANES)
@pytest.mark.parametrize("kernel_size", SIZES)
def test_values_and_gradients(kernel_size: float, planar: bool) -> None:
    lonlat, centres = hard_places(kernel_size), anchors(21)
    gradient = drawn(len(lonlat), 21)
    expected, slopes = exact(lonlat, centres, kernel_size, planar, gradient)
    out = torch.full((len(lonlat), 21), math.nan, device=DEVICE)
    features = triton_rbf.forward(lonlat, centres, kernel_size, planar, torch.float32, out=out)
    assert features is out
    torch.testing.assert_close(features.double(), expected, rtol=0, atol=2.5e-7)
    found = triton_rbf.backward(gradient, lonlat, centres, kernel_size, planar, torch.float32)
    assert found.dtype == torch.float64
    assert torch.isfinite(found).all()
    ends = (lonlat[:, None] == antipodes(centres.cpu()).to(DEVICE)).all(2).any(1) & (not planar)  # no slope there
    steepest = float(slopes[~ends].abs().max())
    torch.testing.assert_close(found[~ends] / steepest, slopes[~ends] / steepest, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("rows", "count"), [(0, 3), (1, 1), (1, 40), (129, 1), (70, 17), (5, 200)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_any_size_and_dtype(rows: int, count: int, dtype: torch.dtype) -> None:
    lonlat, centres, gradient = globe(rows).to(DEVICE), anchors(count), drawn(rows, count).to(dtype)
    expected, slopes = exact(lonlat, centres, 25.0, False, gradient)
    out = torch.full((rows, count), math.nan, dtype=dtype, device=DEVICE)
    features = triton_rbf.forward(lonlat, centres, 25.0, False, dtype, out=out)
    atol = {torch.float32: 2.5e-7, torch.float16: 2.0**-12 + 2.5e-7, torch.bfloat16: 2.0**-8}[dtype]  # may truncate
    torch.testing.assert_close(features.double(), expected, rtol=0, atol=atol)
    found = triton_rbf.backward(gradient, lonlat, centres, 25.0, False, dtype)
    torch.testing.assert_close(found, slopes, rtol=1e-5, atol=1e-7)


def test_strides() -> None:
    wide, centres = globe(2 * 61).view(61, 4).to(DEVICE), anchors(33)
    lonlat = wide[:, 1:3].clamp(-90, 90)
    strided = wide.clamp(-90, 90)[:, 1:3]
    assert not strided.is_contiguous()
    for planar in PLANES:
        features = triton_rbf.forward(strided, centres, 9.0, planar, torch.float32)
        assert torch.equal(features, triton_rbf.forward(lonlat.contiguous(), centres, 9.0, planar, torch.float32))
        for gradient in (drawn(1, 1).expand(61, 33), drawn(33, 61).T):
            found = triton_rbf.backward(gradient, strided, centres, 9.0, planar, torch.float32)
            same = triton_rbf.backward(gradient.contiguous(), lonlat, centres, 9.0, planar, torch.float32)
            assert_same_sums(found, same)


@pytest.mark.parametrize("planar", PLANES)
def test_a_row_depends_on_itself_alone(planar: bool) -> None:
    lonlat, centres, gradient = globe(150).to(DEVICE), anchors(45), drawn(150, 45)
    features = triton_rbf.forward(lonlat, centres, 14.0, planar, torch.float32)
    slopes = triton_rbf.backward(gradient, lonlat, centres, 14.0, planar, torch.float32)
    part = slice(77, 90)
    assert torch.equal(triton_rbf.forward(lonlat[part], centres, 14.0, planar, torch.float32), features[part])
    again = triton_rbf.backward(gradient[part], lonlat[part], centres, 14.0, planar, torch.float32)
    assert torch.equal(again, slopes[part])
    broken = lonlat.clone()
    broken[3, 0], broken[4, 1] = math.nan, math.nan
    spoilt = triton_rbf.forward(broken, centres, 14.0, planar, torch.float32)
    assert spoilt[3:5].isnan().all()
    assert torch.equal(spoilt[5:], features[5:])


@pytest.mark.parametrize("planar", PLANES)
def test_one_at_an_anchor_and_zero_far_away(planar: bool) -> None:
    centres = anchors(len(ANCHORS))
    for kernel_size in (1e-4, 1.0, 11.0, 50.0):
        features = triton_rbf.forward(centres, centres, kernel_size, planar, torch.float32)
        assert (features.diagonal() == 1).all()
        assert ((features >= 0) & (features <= 1)).all()
    lat = torch.linspace(0, 90, 500, dtype=torch.float64, device=DEVICE)
    lonlat = torch.stack([torch.zeros_like(lat), lat], 1)
    features = triton_rbf.forward(lonlat, torch.zeros(1, 2, device=DEVICE).double(), 2.0, planar, torch.float32)[:, 0]
    torch.testing.assert_close(features, torch.exp(-(lat**2) / 8).float(), rtol=5e-5, atol=2.8e-45)
    assert (features[lat > 78] == 0).all()


def test_narrow_kernels_have_nothing_beyond_a_right_angle() -> None:
    lat = torch.linspace(-90, 90, 700, dtype=torch.float64, device=DEVICE)
    lonlat = torch.stack([torch.zeros_like(lat), lat], 1)
    pole = torch.tensor([[0.0, 90.0]], dtype=torch.float64, device=DEVICE)
    features = triton_rbf.forward(lonlat, pole, 11.0, False, torch.float32)[:, 0]
    assert (features[lat <= 0] <= 1.01 * triton_rbf.NOTHING).all()
    assert (features.diff() >= 0).all()


@pytest.mark.parametrize("kernel_size", [1e-150, 1e-20, 9e-5, 1e20, 1e150])
@pytest.mark.parametrize("planar", PLANES)
def test_extreme_sizes(kernel_size: float, planar: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_rbf, "REFERENCE_FEATURES", 100)
    centres = anchors(20)
    lonlat = torch.cat([centres, globe(7).to(DEVICE)])
    gradient = drawn(len(lonlat), 20)
    expected, slopes = exact(lonlat, centres, kernel_size, planar, gradient)
    out = torch.full((len(lonlat), 20), math.nan, device=DEVICE)
    features = triton_rbf.forward(lonlat, centres, kernel_size, planar, torch.float32, out=out)
    torch.testing.assert_close(features.double(), expected, rtol=0, atol=1e-7)
    found = triton_rbf.backward(gradient, lonlat, centres, kernel_size, planar, torch.float32)
    steepest = float(slopes.abs().max()) or 1.0
    # Next to an antipode, 1e-9 degrees, the cosine of 90 degrees shows that is not 0 in float64.
    torch.testing.assert_close(found / steepest, slopes / steepest, rtol=0, atol=1e-5)


def test_anchors_beyond_the_seam_stay_there_on_the_plane() -> None:
    centres = torch.tensor([[190.0, 0.0], [-170.0, 0.0]], dtype=torch.float64, device=DEVICE)
    lonlat = torch.tensor([[175.0, 0.0]], dtype=torch.float64, device=DEVICE)
    for planar in PLANES:
        features = triton_rbf.forward(lonlat, centres, 10.0, planar, torch.float32)
        expected = radial_basis(lonlat, centres, 10.0, planar, torch.float64)
        torch.testing.assert_close(features.double(), expected, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize("distance", ["great-circle", "planar"])
def test_encoder(distance: str) -> None:
    encoder = locenc.position_encoder("rbf", num_anchors=30, distance=distance, kernel_size=20.0).to(DEVICE)
    weights = drawn(40, 30)

    def run(backend: str) -> tuple[Tensor, Tensor]:
        lonlat = globe(40).to(DEVICE).requires_grad_()
        with locenc.backend(backend):
            features = encoder(lonlat)
            features.backward(weights)
        return features.detach(), lonlat.grad

    for found, expected in zip(run("triton"), run("reference"), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=2.5e-7)
