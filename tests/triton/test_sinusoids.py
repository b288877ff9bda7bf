"""Sinusoids on CUDA: every encoder against exact features, drawn layouts, hard places, any memory, any batch."""

import math
from typing import Any

import formulas
import numpy as np
import pytest
import torch
from devices import assert_same_sums, triton_device
from hypothesis import given as drawn_from
from hypothesis import settings
from hypothesis import strategies as st
from layouts import by_hand, float32_error, layouts
from points import bits, globe, rectangle
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import triton_shapes, triton_sinusoids
from locenc.kernels.choice import interpreted
from locenc.kernels.layout import XYZ
from locenc.kernels.reference import sinusoids
from locenc.kernels.triton_launch import recording

DEVICE = triton_device()
pytestmark = pytest.mark.cuda

Layout = tuple[int, ...]
RADIANS, DEGREES, FINER = {"min_radius": 1e-6}, {"min_radius": 6e-5}, {"min_radius": 1e-6}
#: Every encoder at the finest that is promised: 2^20 half turns; beyond, phases are float64.
FINEST: dict[str, tuple[str, dict[str, Any]]] = {
    **{
        f"{v} {s}": (f"sphere2vec-{v}", {"num_scales": s, **RADIANS}) for v in ("sphereC", "sphereM+") for s in (64, 17)
    },
    **{f"{v} 20": (f"sphere2vec-{v}", {"num_scales": 20, **RADIANS}) for v in ("sphereC+", "sphereM")},
    "dfs 19": ("sphere2vec-dfs", {"num_scales": 19, **RADIANS}),
    "dfs 2": ("sphere2vec-dfs", {"num_scales": 2}),
    "sphereC 1": ("sphere2vec-sphereC", {"num_scales": 1}),
    "sphereM 20, seamless": ("sphere2vec-sphereM", {"num_scales": 20, "seamless": True, "min_radius": 1e-4}),
    **{f"{v} 33": (f"space2vec-{v}", {"num_scales": 33, **DEGREES}) for v in ("grid", "theory")},
    **{f"{v} 16, finer": (f"space2vec-{v}", {"num_scales": 16, **FINER}) for v in ("grid", "theory")},
    "nerf 21": ("nerf", {"num_scales": 21}),
    "rff": ("rff", {"num_features": 50, "kernel_size": 1e10}),
    "geoclip": ("geoclip", {"num_features": 20}),
    "wrap": ("wrap", {}),
    "xyz": ("xyz", {}),
}
PLAIN = ["sphereC 64", "sphereM+ 17", "dfs 19", "theory 33", "grid 16, finer", "nerf 21", "geoclip", "xyz"]
#: Poles, seams, zeros of both signs, other turns.
EDGES = [(lon, lat) for lon in (-180.0, -90.0, -0.0, 0.0, 180.0) for lat in (-90.0, 0.0, 90.0)]
EDGES += [(540.0, 12.0), (-540.0, -12.0), (359.5, 1.0), (-1e6, 2.0), (1234567.875, 33.0), (-179.99999999999997, 5.0)]


def places(count: int = 40) -> Tensor:
    return torch.cat([torch.tensor(EDGES, dtype=torch.float64), globe(count)])


def position(label: str, **options: Any) -> Any:
    name, own = FINEST[label]
    return locenc.position_encoder(name, **own, **options)


def arguments(label: str, dtype: torch.dtype = torch.float32) -> tuple[Any, ...]:
    """What an encoder's operator takes after the coordinates."""
    return (*position(label).to(DEVICE).waves(), dtype)


def forward(lonlat: Tensor, *rest: Any, out: Tensor | None = None) -> Tensor:
    return triton_sinusoids.forward(lonlat.to(DEVICE), *rest, out=out)


def numbers(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


# Values


@pytest.mark.parametrize("given", [torch.float64, torch.float32])
@pytest.mark.parametrize("label", FINEST)
def test_exact_features(label: str, given: torch.dtype) -> None:
    encoder, lonlat = position(label).to(DEVICE), places().to(given)
    name, options = FINEST[label]
    drawn = {key: value.cpu().numpy() for key, value in encoder.state_dict().items()}
    expected = formulas.evaluate(name, lonlat.double().numpy(), weights=drawn, **options)
    with locenc.backend("triton"):
        features = encoder(lonlat.to(DEVICE))
    assert features.dtype == torch.float32
    np.testing.assert_allclose(features.cpu().numpy(), expected, rtol=0, atol=2.5e-7)


@pytest.mark.parametrize("given", [torch.float64, torch.float32])
@pytest.mark.parametrize("label", FINEST)
def test_gradients_by_coordinates(label: str, given: torch.dtype) -> None:
    rest = arguments(label)
    lonlat = places().to(DEVICE, given)
    exact = lonlat.double().requires_grad_()
    features = sinusoids(exact, *rest[:-1], torch.float64)
    gradient = numbers(*features.shape)
    (expected,) = torch.autograd.grad(features, exact, gradient.double())
    slopes = triton_sinusoids.backward(gradient, lonlat, *rest)
    assert slopes.dtype == given
    atol = 1e-6 * expected.abs().amax(0)
    assert ((slopes - expected).abs() <= atol).all()


@settings(max_examples=40, deadline=None)
@drawn_from(layouts(), st.sampled_from([1.0, 0.25, -3.0]), st.integers(1, 40))
def test_any_layout(case: tuple[Layout, Tensor], amplitude: float, count: int) -> None:
    layout, frequencies = case
    lonlat = rectangle(count)
    features = forward(lonlat, frequencies.to(DEVICE), layout, amplitude, torch.float32)
    expected = by_hand(lonlat, frequencies, layout, amplitude)
    np.testing.assert_allclose(features.cpu().numpy(), expected, rtol=0, atol=float32_error(layout, amplitude))


@settings(max_examples=30, deadline=None)
@drawn_from(layouts(), st.sampled_from([1.0, 0.25]), st.integers(1, 20))
def test_slopes_of_any_layout(case: tuple[Layout, Tensor], amplitude: float, count: int) -> None:
    layout, frequencies = case
    lonlat = rectangle(count).requires_grad_()
    reference = sinusoids(lonlat, frequencies, layout, amplitude, torch.float64)
    gradient = numbers(*reference.shape)
    (expected,) = torch.autograd.grad(reference, lonlat, gradient.double().cpu())
    rest = frequencies.to(DEVICE), layout, amplitude, torch.float32
    slopes = triton_sinusoids.backward(gradient, lonlat.detach().to(DEVICE), *rest)
    # Terms may cancel: what is lost is measured by the sum of their sizes.
    size = float(gradient.abs().sum(1).max()) * float(frequencies[:, : 2 + (layout[0] == XYZ)].abs().max()) * 10
    torch.testing.assert_close(slopes.cpu(), expected, rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("label", PLAIN)
def test_narrow_features_are_the_float32_ones_rounded(label: str, dtype: torch.dtype) -> None:
    *rest, _ = arguments(label)
    wide, narrow = (forward(places(), *rest, own) for own in (torch.float32, dtype))
    if dtype == torch.bfloat16 and interpreted():  # which cuts digits off
        wide = (wide.view(torch.int32) >> 16 << 16).view(torch.float32)
    assert torch.equal(narrow, wide.to(dtype))


# Hard places


@pytest.mark.parametrize("lon", [181.0, 540.0, -540.0, 1e6, -1e15, 1e18, 1e300, -1.7e308])
@pytest.mark.parametrize("label", ["sphereM+ 17", "grid 16, finer", "xyz", "geoclip"])
def test_longitudes_beyond_180(label: str, lon: float) -> None:
    rest, near = arguments(label), math.fmod(lon, 360)
    near -= 360 * (near > 180) - 360 * (near < -180)
    there, here = (forward(torch.tensor([[own, 25.0]], dtype=torch.float64), *rest) for own in (lon, near))
    assert bits(there.cpu()) == bits(here.cpu())


@pytest.mark.filterwarnings("ignore:invalid value")  # the interpreter's arithmetic is NumPy's
@pytest.mark.parametrize("label", PLAIN)
def test_nan_stays_where_it_is(label: str) -> None:
    rest, lonlat = arguments(label), places(50)
    expected = forward(lonlat, *rest)
    spoilt = lonlat.clone()
    spoilt[20, 0], spoilt[30, 1], spoilt[40] = math.nan, math.nan, math.inf
    features = forward(spoilt, *rest)
    others = [row for row in range(len(lonlat)) if row not in (20, 30, 40)]
    assert bits(features[others].cpu()) == bits(expected[others].cpu())
    assert features[[20, 30, 40]].isnan().any(1).all()
    gradient = numbers(*features.shape)
    slopes = triton_sinusoids.backward(gradient, spoilt.to(DEVICE), *rest)
    assert slopes[others].isfinite().all()
    assert slopes[[20, 30, 40]].isnan().any(1).all()


def test_a_gradient_of_one_point_does_not_leak_into_another() -> None:
    rest, lonlat = arguments("sphereM+ 17"), rectangle(50).to(DEVICE)
    gradient = numbers(50, 8 * 17)
    gradient[20, 3] = math.nan
    slopes = triton_sinusoids.backward(gradient, lonlat, *rest)
    assert slopes[20].isnan().any()
    assert slopes[torch.arange(50) != 20].isfinite().all()


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("label", PLAIN)
def test_no_row_and_one(label: str, count: int) -> None:
    rest, lonlat = arguments(label), rectangle(3).to(DEVICE)
    gradient = numbers(3, position(label).out_dim)
    features, slopes = forward(lonlat, *rest), triton_sinusoids.backward(gradient, lonlat, *rest)
    assert torch.equal(forward(lonlat[:count], *rest), features[:count])
    assert torch.equal(triton_sinusoids.backward(gradient[:count], lonlat[:count], *rest), slopes[:count])


# Memory


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [1, 37, 128, 131])
@pytest.mark.parametrize("label", PLAIN)
def test_out_is_filled_and_nothing_else(label: str, count: int, dtype: torch.dtype) -> None:
    *rest, _ = arguments(label)
    lonlat, columns = rectangle(count), position(label).out_dim
    memory = torch.full(((count + 4) * columns,), 7, dtype=dtype, device=DEVICE)
    out = memory[2 * columns : -2 * columns].view(count, columns).fill_(math.nan)
    assert forward(lonlat, *rest, dtype, out=out) is out
    assert torch.equal(out, forward(lonlat, *rest, dtype))
    assert out.isfinite().all()
    assert (memory[: 2 * columns] == 7).all()
    assert (memory[-2 * columns :] == 7).all()


@pytest.mark.parametrize("given", [torch.float64, torch.float32])
@pytest.mark.parametrize("label", ["sphereM+ 17", "geoclip", "dfs 2"])
def test_coordinates_in_any_order_of_memory(label: str, given: torch.dtype) -> None:
    rest, lonlat = arguments(label), rectangle(30).to(DEVICE, given)
    gradient = numbers(30, position(label).out_dim)
    features, slopes = forward(lonlat, *rest), triton_sinusoids.backward(gradient, lonlat, *rest)
    spread = torch.full((60, 5), math.nan, dtype=given, device=DEVICE)
    spread[::2, 1::2] = lonlat
    for same in (lonlat.T.contiguous().T, spread[::2, 1::2]):
        assert not same.is_contiguous()
        assert torch.equal(forward(same, *rest), features)
        assert torch.equal(triton_sinusoids.backward(gradient, same, *rest), slopes)
    one = forward(lonlat[:1].expand(30, 2), *rest)
    assert torch.equal(one, features[:1].expand_as(one))


@pytest.mark.parametrize("label", PLAIN)
def test_gradients_in_any_order_of_memory(label: str) -> None:
    rest, lonlat, columns = arguments(label), rectangle(21).to(DEVICE), position(label).out_dim
    gradient = numbers(21, columns)
    for given in (
        numbers(1, 1).expand(21, columns),
        numbers(1, columns).expand(21, columns),
        numbers(21, 1).expand(21, columns),
        gradient.T.contiguous().T,
        torch.stack([gradient, gradient * math.nan], 2)[..., 0],
    ):
        slopes = triton_sinusoids.backward(given, lonlat, *rest)
        assert_same_sums(slopes, triton_sinusoids.backward(given.contiguous(), lonlat, *rest))


@pytest.mark.parametrize("label", PLAIN)
def test_the_same_bytes_in_any_batch(label: str) -> None:
    rest, lonlat = arguments(label), rectangle(70).to(DEVICE)
    gradient = numbers(70, position(label).out_dim)
    whole, slopes = forward(lonlat, *rest), triton_sinusoids.backward(gradient, lonlat, *rest)
    for cuts in ([1, 69], [64, 6], [33, 33, 4]):
        assert torch.equal(torch.cat([forward(own, *rest) for own in lonlat.split(cuts)]), whole)
        pairs = zip(gradient.split(cuts), lonlat.split(cuts), strict=True)
        assert torch.equal(torch.cat([triton_sinusoids.backward(*pair, *rest) for pair in pairs]), slopes)


# The operator


@pytest.mark.parametrize("label", FINEST)
def test_nothing_is_read_on_the_host(label: str) -> None:
    """Tensors without numbers do: no synchronisation, and a CUDA graph can hold the launches."""
    frequencies, layout, amplitude = position(label).waves()
    lonlat, rest = torch.empty(100, 2, dtype=torch.float64, device="meta"), (layout, amplitude, torch.float32)
    with recording() as launches, triton_shapes.architecture((9, 0)):
        features = triton_sinusoids.forward(lonlat, frequencies.to("meta"), *rest)
        before = len(launches)
        slopes = triton_sinusoids.backward(features, lonlat, frequencies.to("meta"), *rest)
    assert features.shape == (100, position(label).out_dim)
    assert slopes.shape == (100, 2)
    assert 0 < before < len(launches)


@pytest.mark.parametrize("label", ["sphereC 64", "rff", "geoclip"])
def test_an_encoder_and_its_gradient(label: str) -> None:
    encoder, lonlat = position(label).to(DEVICE), rectangle(33).to(DEVICE).requires_grad_()
    with locenc.backend("triton"):
        features = encoder(lonlat)
        features.square().sum().backward()
        out = torch.empty_like(features)
        encoder(lonlat.detach(), out=out)
    assert torch.equal(out, features)
    rest = arguments(label)
    expected = triton_sinusoids.backward(2 * features.detach(), lonlat.detach(), *rest)
    assert torch.equal(lonlat.grad, expected)


def test_float64_features_are_the_references() -> None:
    encoder, lonlat = position("sphereC 1").to(DEVICE), rectangle(9).to(DEVICE)
    with locenc.backend("triton"):
        features = encoder(lonlat, dtype=torch.float64)
    assert torch.equal(features, kernels.reference.sinusoids(lonlat, *encoder.waves(), torch.float64))
