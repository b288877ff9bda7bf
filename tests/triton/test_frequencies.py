"""Gradients of sinusoids by their frequencies and shifts."""

import pytest
import torch
from devices import triton_device
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import layouts
from points import rectangle
from torch import Tensor

import locenc
from locenc import kernels
from locenc.kernels import reference

DEVICE = triton_device()
pytestmark = pytest.mark.cuda


@settings(max_examples=25, deadline=None)
@given(layouts(), st.sampled_from([1.0, -3.0]), st.integers(0, 70))
def test_any_layout(case: tuple[tuple[int, ...], Tensor], amplitude: float, count: int) -> None:
    layout, frequencies = case
    lonlat = rectangle(count).to(DEVICE)
    weights = torch.randn(count, kernels._columns(None, layout), generator=torch.Generator().manual_seed(0)).to(DEVICE)

    def gradient(backend: str, dtype: torch.dtype) -> Tensor:
        learned = frequencies.to(DEVICE).requires_grad_()
        with locenc.backend(backend):
            features = kernels.sinusoids(lonlat, learned, layout, amplitude, dtype)
            return torch.autograd.grad(features, learned, weights.to(dtype))[0]

    expected = gradient("reference", torch.float64)
    size = 200 * float(weights.abs().sum()) * abs(amplitude)  # terms may cancel
    torch.testing.assert_close(gradient("triton", torch.float32), expected, rtol=0, atol=1e-7 * size)


def test_many_splits_give_the_same_bytes_each_time() -> None:
    encoder = locenc.position_encoder("rff", num_features=40).to(DEVICE)
    lonlat = rectangle(3000).to(DEVICE)
    weights = torch.randn(3000, 40, generator=torch.Generator().manual_seed(0)).to(DEVICE)

    def gradient(lonlat: Tensor, backend: str) -> Tensor:
        encoder.directions.requires_grad_().grad = None
        with locenc.backend(backend):
            (encoder(lonlat) * weights).sum().backward()
        return encoder.directions.grad

    found = gradient(lonlat, "triton")
    assert torch.equal(found, gradient(lonlat, "triton"))
    expected = gradient(lonlat, "reference")
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5


def test_second_derivatives_are_the_references() -> None:
    frequencies = torch.rand(3, 2, dtype=torch.float64, device=DEVICE) / 100
    layout = (0, 0, 1, 3, -1, 0, 0, 0, 0, 2)
    lonlat = rectangle(5).to(DEVICE)

    def curvature(backend: str) -> Tensor:
        learned = frequencies.clone().requires_grad_()
        with locenc.backend(backend):
            features = kernels.sinusoids(lonlat, learned, layout, 1.0, torch.float32)
            (slopes,) = torch.autograd.grad(features.square().sum(), learned, create_graph=True)
            return torch.autograd.grad(slopes.square().sum(), learned)[0]

    torch.testing.assert_close(curvature("triton"), curvature("reference"), rtol=1e-4, atol=1e-2)


def test_by_hand() -> None:
    """One frequency of longitude: the sine's slope is pi lon cos(pi u lon)."""
    frequency = torch.tensor([[0.011, 0.0]], dtype=torch.float64, device=DEVICE, requires_grad=True)
    lonlat = torch.tensor([[30.0, 40.0]], dtype=torch.float64, device=DEVICE)
    with locenc.backend("triton"):
        kernels.sinusoids(lonlat, frequency, (0, 0, 1, 1, 0, 0, 0, 0, 0, 2), 1.0, torch.float32).sum().backward()
    turns = torch.tensor(torch.pi * 0.011 * 30, dtype=torch.float64)
    expected = torch.pi * turns.cos() * torch.tensor([30.0, 40.0], dtype=torch.float64)
    torch.testing.assert_close(frequency.grad[0].cpu(), expected, rtol=1e-6, atol=1e-6)


def test_reference_is_the_one_for_products_of_all_scales() -> None:
    encoder = locenc.position_encoder("sphere2vec-dfs", num_scales=4)
    learned = encoder.frequencies.to(DEVICE).requires_grad_()
    lonlat = rectangle(9).to(DEVICE)
    with locenc.backend("triton"):
        kernels.sinusoids(lonlat, learned, encoder._layout, 1.0, torch.float32).sum().backward()
    again = encoder.frequencies.to(DEVICE).requires_grad_()
    reference.sinusoids(lonlat, again, encoder._layout, 1.0, torch.float32).sum().backward()
    torch.testing.assert_close(learned.grad, again.grad, rtol=1e-6, atol=1e-5)
