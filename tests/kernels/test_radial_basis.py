"""The kernels of radial basis functions: values against 50 digits, gradients, hard places, the same bytes."""

import math
from functools import cache

import formulas
import numpy as np
import pytest
import torch
from points import bits, globe
from torch import Tensor

from locenc import kernels
from locenc.kernels import numba_rbf
from locenc.kernels.choice import missing
from locenc.kernels.reference_rbf import radial_basis

if missing("numba"):
    pytest.skip(str(missing("numba")), allow_module_level=True)

ANCHORS = [(10.0, 20.0), (180.0, -5.0), (-180.0, 5.0), (0.0, 90.0), (33.0, -90.0), (-60.5, -33.25), (0.0, 0.0)]
ANCHORS += [(90.0, 0.0), (-90.0, 1e-9), (10.0, 20.000001)]
SIZES = [1e-6, 1e-3, 0.5, 10.0, 90.0, 1e4]
PLANES = [False, True]


def anchors(count: int) -> Tensor:
    """Hard places first, then any."""
    return torch.cat([torch.tensor(ANCHORS, dtype=torch.float64), globe(count, 5)])[:count]


def antipode(lon: float, lat: float) -> tuple[float, float]:
    return (lon - math.copysign(180, lon), -lat)


def hard_places() -> Tensor:
    """Anchors, antipodes, and places from 10 cm to 12 degrees away from them; poles, seams, right angles."""
    rng = np.random.default_rng(1)
    centres = [*ANCHORS, *(antipode(*place) for place in ANCHORS)]
    places = [
        (lon + size * rng.uniform(-1, 1), min(90.0, max(-90.0, lat + size * rng.uniform(-1, 1))))
        for lon, lat in centres
        for size in (0.0, 1e-6, 1e-3, 1.0, 12.0)
    ]
    places += [(lon, lat) for lon in (-180.0, 180.0, 100.0, -80.0) for lat in (-90.0, -5.0, 5.0, 70.0, 90.0)]
    return torch.tensor(places, dtype=torch.float64)


# Values


@cache
def exact(kernel_size: float, planar: bool) -> tuple[Tensor, Tensor]:
    lonlat = torch.cat([hard_places(), globe(10)])
    centres = np.array(ANCHORS)
    if planar:
        lonlat = lonlat[lonlat[:, 0].abs() <= 180]
    values = formulas.exact(
        "rbf",
        lonlat.numpy(),
        weights={"anchors": centres},
        distance="planar" if planar else "great-circle",
        kernel_size=kernel_size,
    )
    return lonlat, torch.from_numpy(values.astype(np.float64))


@pytest.mark.parametrize("planar", PLANES)
@pytest.mark.parametrize("kernel_size", SIZES)
def test_values(kernel_size: float, planar: bool) -> None:
    lonlat, expected = exact(kernel_size, planar)
    centres = torch.tensor(ANCHORS, dtype=torch.float64)
    # An angle of 180 degrees in float64 is good to 3e-14: in units of the kernel that is what features may be off by.
    atol = 1.5e-15 + 3e-14 / kernel_size
    wide = numba_rbf.forward(lonlat, centres, kernel_size, planar, torch.float64)
    torch.testing.assert_close(wide, expected, rtol=0, atol=atol)
    narrow = numba_rbf.forward(lonlat, centres, kernel_size, planar, torch.float32)
    torch.testing.assert_close(narrow.double(), expected, rtol=0, atol=atol + 3.1e-8)
    half = numba_rbf.forward(lonlat, centres, kernel_size, planar, torch.bfloat16)
    assert torch.equal(half, narrow.to(torch.bfloat16))


@pytest.mark.parametrize("count", [1, 2, 3, 15, 16, 17, 40, 200])
@pytest.mark.parametrize("planar", PLANES)
def test_any_number_of_anchors(count: int, planar: bool) -> None:
    lonlat, centres = torch.cat([hard_places(), globe(100)]), anchors(count)
    for dtype, atol in ((torch.float64, 3e-15), (torch.float32, 3.1e-8)):
        features = numba_rbf.forward(lonlat, centres, 10.0, planar, dtype)
        expected = radial_basis(lonlat, centres, 10.0, planar, torch.float64)
        assert features.dtype == dtype
        torch.testing.assert_close(features.double(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize("metres", [1e-3, 1.0, 1e3, 1e5, 7e5, 1e6])
@pytest.mark.parametrize("centre", [(0.0, 0.0), (180.0, 0.0), (-75.25, 0.0)])
def test_small_distances_keep_their_digits(metres: float, centre: tuple[float, float]) -> None:
    degrees = metres / 111_194.9
    lonlat = torch.tensor([(centre[0], degrees), (centre[0], -degrees)], dtype=torch.float64)
    features = numba_rbf.forward(lonlat, torch.tensor([centre]).double(), degrees, False, torch.float64)
    assert features.flatten().tolist() == pytest.approx([math.exp(-0.5)] * 2, rel=1e-14)


def test_one_at_an_anchor_and_below_elsewhere() -> None:
    centres = anchors(30)
    for dtype in (torch.float64, torch.float32):
        for planar in PLANES:
            features = numba_rbf.forward(centres, centres, 7.0, planar, dtype)
            assert (features.diagonal() == 1).all()
            assert ((features >= 0) & (features <= 1)).all()


def test_features_end_in_zero() -> None:
    """Far from the anchors features are what exp rounds to: very small numbers, then 0, whoever stands beside."""
    lat = torch.linspace(0, 90, 4001, dtype=torch.float64)
    lonlat = torch.stack([torch.zeros_like(lat), lat], 1)
    origin = torch.zeros(1, 2, dtype=torch.float64)
    many = torch.cat([origin, globe(200, 3)])
    for dtype, least in ((torch.float64, 5e-324), (torch.float32, 1.4e-45)):
        features = numba_rbf.forward(lonlat, origin, 2.0, False, dtype)[:, 0]
        expected = torch.exp(-(lat**2) / 8).to(dtype)
        torch.testing.assert_close(features, expected, rtol=1e-12 if dtype == torch.float64 else 1e-6, atol=2 * least)
        assert (features[lat > 78] == 0).all()
        assert torch.equal(numba_rbf.forward(lonlat, many, 2.0, False, dtype)[:, 0], features)


def test_the_sphere_has_no_seam_and_poles_are_points() -> None:
    lonlat = torch.tensor([(180, 12), (-180, 12), (540, 12), (-540, 12), (77, 90), (-13, 90), (0, 90)]).double()
    features = numba_rbf.forward(lonlat, anchors(50), 30.0, False, torch.float64)
    torch.testing.assert_close(features[1:4], features[:1].expand(3, -1), rtol=0, atol=1e-15)
    torch.testing.assert_close(features[5:], features[4:5].expand(2, -1), rtol=0, atol=1e-15)
    plane = numba_rbf.forward(lonlat, anchors(50), 30.0, True, torch.float64)
    assert torch.equal(plane[2], plane[0])  # 540 is 180, not -180
    assert torch.equal(plane[3], plane[1])
    assert not torch.allclose(plane[0], plane[1])


@pytest.mark.parametrize("kernel_size", [1e-150, 1e-20, 1e20, 1e150])
@pytest.mark.parametrize("planar", PLANES)
def test_extreme_sizes(kernel_size: float, planar: bool) -> None:
    centres = anchors(20)
    expected = radial_basis(centres, centres, kernel_size, planar, torch.float64)
    for dtype in (torch.float64, torch.float32):
        features = numba_rbf.forward(centres, centres, kernel_size, planar, dtype)
        torch.testing.assert_close(features.double(), expected, rtol=0, atol=1e-15)
        slopes = numba_rbf.backward(torch.ones_like(features), centres, centres, kernel_size, planar, dtype)
        assert torch.isfinite(slopes).all()


def test_a_bad_place_spoils_its_own_row_alone() -> None:
    lonlat = globe(9)
    lonlat[4] = math.nan
    lonlat[6, 0] = math.inf
    bad = torch.tensor([4, 6])
    good = torch.tensor([0, 1, 2, 3, 5, 7, 8])
    for planar in PLANES:
        features = numba_rbf.forward(lonlat, anchors(40), 1.0, planar, torch.float32)
        assert torch.isnan(features[bad]).all()
        assert torch.isfinite(features[good]).all()


# Gradients


def both_gradients(lonlat: Tensor, count: int, size: float, planar: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """From the kernel for features of a dtype, and from autograd through the float64 reference."""
    centres = anchors(count)
    drawn = torch.randn(len(lonlat), count, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    lonlat = lonlat.clone().requires_grad_()
    features = radial_basis(lonlat, centres, size, planar, torch.float64)
    (expected,) = torch.autograd.grad(features, lonlat, drawn.double())
    return numba_rbf.backward(drawn, lonlat, centres, size, planar, dtype), expected


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-9), (torch.float16, 2e-9)])
@pytest.mark.parametrize("count", [1, 3, 16, 30, 100])
@pytest.mark.parametrize("planar", PLANES)
def test_gradients(count: int, planar: bool, dtype: torch.dtype, tolerance: float) -> None:
    lonlat = hard_places()
    antipodes = torch.tensor([antipode(*place) for place in ANCHORS], dtype=torch.float64)
    # Within a metre of an antipode the reference's slopes lose their digits: fifty digits are compared below.
    lonlat = lonlat[radial_basis(lonlat, antipodes, 1e-5, False, torch.float64).amax(1) < 0.5]
    for size in (10.0, 90.0, 1000.0):
        found, expected = both_gradients(torch.cat([lonlat, globe(200)]), count, size, planar, dtype)
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=tolerance * (1 + math.sqrt(count)) / size)


@pytest.mark.parametrize("kernel_size", [0.5, 10.0, 90.0])
def test_gradients_agree_with_fifty_digits(kernel_size: float) -> None:
    centres = anchors(6)
    for place in [*map(tuple, globe(6, 3).tolist()), (10.0 + 1e-6, 20.0), (-170.0, -20.0 + 1e-6), (0.0, 89.9999)]:
        expected = formulas.slopes(
            "rbf", place, weights={"anchors": centres.numpy()}, distance="great-circle", kernel_size=kernel_size
        )
        for row, column in enumerate(torch.eye(6, dtype=torch.float64)):
            own = torch.tensor([place], dtype=torch.float64)
            found = numba_rbf.backward(column[None], own, centres, kernel_size, False, torch.float64)
            atol = 1e-13 / kernel_size
            torch.testing.assert_close(found[0], torch.from_numpy(expected[row]), rtol=1e-9, atol=atol)


@pytest.mark.parametrize("planar", PLANES)
@pytest.mark.parametrize("kernel_size", [1e-6, 0.5, 60.0, 1e4])
def test_gradients_are_finite_everywhere(planar: bool, kernel_size: float) -> None:
    lonlat, centres = hard_places(), anchors(len(ANCHORS))
    for column in torch.eye(len(ANCHORS), dtype=torch.float64):
        for dtype in (torch.float64, torch.float32):
            gradient = column.to(dtype).expand(len(lonlat), -1)
            slopes = numba_rbf.backward(gradient, lonlat, centres, kernel_size, planar, dtype)
            assert torch.isfinite(slopes).all()
            assert slopes.abs().max() <= 0.61 / kernel_size  # a Gaussian's steepest slope is exp(-1/2) / k


def test_no_slope_at_an_anchor_and_at_its_antipode() -> None:
    for lon, lat in ANCHORS:
        places = torch.tensor([(lon, lat), antipode(lon, lat)], dtype=torch.float64)
        centre = torch.tensor([(lon, lat)], dtype=torch.float64)
        slopes = numba_rbf.backward(torch.ones(2, 1).double(), places, centre, 60.0, False, torch.float64)
        assert (slopes == 0).all()


@pytest.mark.parametrize("planar", PLANES)
def test_autograd_of_first_and_second_order(planar: bool) -> None:
    lonlat, centres = globe(3).requires_grad_(), anchors(9)

    def features(lonlat: Tensor) -> Tensor:
        return kernels.radial_basis(lonlat, centres, 30.0, planar, torch.float64)

    assert torch.autograd.gradcheck(features, lonlat)
    assert torch.autograd.gradgradcheck(features, lonlat)


def test_gradients_of_anchors() -> None:
    lonlat, centres = globe(5), anchors(12).requires_grad_()
    features = kernels.radial_basis(lonlat, centres, 30.0, False, torch.float64)
    (found,) = torch.autograd.grad(features.square().sum(), centres)
    features = radial_basis(lonlat, centres, 30.0, False, torch.float64)
    (expected,) = torch.autograd.grad(features.square().sum(), centres)
    torch.testing.assert_close(found, expected)


def test_coordinates_keep_their_dtype() -> None:
    lonlat = globe(5).float().requires_grad_()
    kernels.radial_basis(lonlat, anchors(5), 20.0, False, torch.float32).sum().backward()
    assert lonlat.grad is not None
    assert lonlat.grad.dtype == torch.float32


# The operator


@pytest.mark.parametrize("planar", PLANES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gradient", [False, True])
def test_torchs_own_check(planar: bool, dtype: torch.dtype, gradient: bool) -> None:
    arguments = (globe(6).requires_grad_(gradient), anchors(5), 20.0, planar, dtype)
    torch.library.opcheck(torch.ops.locenc.radial_basis.default, arguments)


def test_torchs_own_check_of_the_gradient() -> None:
    arguments = (torch.ones(6, 5), globe(6), anchors(5), 20.0, False, torch.float32)
    torch.library.opcheck(torch.ops.locenc.radial_basis_backward.default, arguments)


# The same bytes


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
@pytest.mark.parametrize("count", [1, 3, 37, 64])
def test_the_same_bytes_in_any_batch(dtype: torch.dtype, count: int) -> None:
    lonlat, centres = torch.cat([hard_places(), globe(60)]), anchors(count)
    for planar in PLANES:
        features = numba_rbf.forward(lonlat, centres, 15.0, planar, dtype)
        gradient = torch.randn(features.shape, generator=torch.Generator().manual_seed(2)).to(dtype)
        slopes = numba_rbf.backward(gradient, lonlat, centres, 15.0, planar, dtype)
        for start, stop in ((0, 1), (3, 4), (1, 18), (50, 117), (len(lonlat) - 1, len(lonlat))):
            part = slice(start, stop)
            assert bits(numba_rbf.forward(lonlat[part], centres, 15.0, planar, dtype)) == bits(features[part])
            own = numba_rbf.backward(gradient[part], lonlat[part], centres, 15.0, planar, dtype)
            assert bits(own) == bits(slopes[part])


def test_an_anchor_s_column_does_not_depend_on_the_others() -> None:
    lonlat, centres = globe(50), anchors(40)
    features = numba_rbf.forward(lonlat, centres, 15.0, False, torch.float64)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(numba_rbf.forward(lonlat, centres[order], 15.0, False, torch.float64), features[:, order])
    assert torch.equal(numba_rbf.forward(lonlat, centres[7:8], 15.0, False, torch.float64), features[:, 7:8])


_whole: dict[torch.dtype, tuple[bytes, bytes]] = {}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_same_bytes_by_any_number_of_threads(threads: int, dtype: torch.dtype) -> None:
    lonlat, centres = globe(12_345), anchors(301)
    features = numba_rbf.forward(lonlat, centres, 15.0, False, dtype)
    slopes = numba_rbf.backward(torch.ones_like(features), lonlat, centres, 15.0, False, dtype)
    found = bits(features), bits(slopes)
    assert _whole.setdefault(dtype, found) == found
    assert bits(numba_rbf.forward(lonlat[7000:7010], centres, 15.0, False, dtype)) == bits(features[7000:7010])


# Memory


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_out_is_filled_and_nothing_beyond(dtype: torch.dtype) -> None:
    lonlat, centres = globe(33), anchors(21)
    memory = torch.full((33 * 21 + 40,), -7.0, dtype=dtype)
    out = memory[20:-20].view(33, 21)
    assert numba_rbf.forward(lonlat, centres, 15.0, False, dtype, out=out) is out
    assert torch.equal(out, numba_rbf.forward(lonlat, centres, 15.0, False, dtype))
    assert (memory[:20] == -7).all()
    assert (memory[-20:] == -7).all()


def test_strided_expanded_and_float32_coordinates() -> None:
    wide, centres = globe(40), anchors(20)
    expected = numba_rbf.forward(wide[::2].clone(), centres, 15.0, False, torch.float64)
    assert torch.equal(numba_rbf.forward(wide[::2], centres, 15.0, False, torch.float64), expected)
    turned = wide[::2].T.contiguous().T
    assert torch.equal(numba_rbf.forward(turned, centres, 15.0, False, torch.float64), expected)
    strided = torch.cat([centres, centres], 1)[:, :2]
    assert torch.equal(numba_rbf.forward(wide[::2], strided, 15.0, False, torch.float64), expected)
    one = wide[:1].expand(5, 2)
    features = numba_rbf.forward(one, centres, 15.0, False, torch.float64)
    assert torch.equal(features, features[:1].expand(5, -1))
    gradient = torch.ones(1, 1, dtype=torch.float64).expand(5, 20)
    slopes = numba_rbf.backward(gradient, one, centres, 15.0, False, torch.float64)
    assert torch.equal(slopes, slopes[:1].expand(5, -1))
    rough = wide.float()
    assert torch.equal(
        numba_rbf.forward(rough, centres, 15.0, False, torch.float64),
        numba_rbf.forward(rough.double(), centres, 15.0, False, torch.float64),
    )


def test_no_rows() -> None:
    nowhere = torch.zeros(0, 2, dtype=torch.float64)
    for dtype in (torch.float64, torch.float32, torch.float16):
        features = numba_rbf.forward(nowhere, anchors(5), 15.0, False, dtype)
        assert features.shape == (0, 5)
        assert features.dtype == dtype
        assert numba_rbf.backward(features, nowhere, anchors(5), 15.0, False, dtype).shape == (0, 2)
