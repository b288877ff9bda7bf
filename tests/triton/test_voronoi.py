"""Attention over sites on CUDA: values and gradients against the reference in float64, any size, the whole encoder."""

import math

import pytest
import torch
from devices import triton_device
from points import globe
from torch import Tensor

import locenc
from locenc.kernels import triton_partial_sums, triton_scores, triton_voronoi
from locenc.kernels.reference_voronoi import site_attention, site_keys, site_weights

DEVICE = triton_device()
pytestmark = pytest.mark.cuda


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def keys_of(count: int, *tau: float) -> Tensor:
    """Keys of sites anywhere, with each τ in turn."""
    all_tau = torch.tensor(tau, device=DEVICE).repeat(count)[:count]
    return site_keys(drawn(count, 3, seed=1), all_tau.log())


def exact(
    lonlat: Tensor, keys: Tensor, embeddings: Tensor, gradient: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Features in float64 and the gradients of all that has one."""
    inputs = [tensor.detach().double().requires_grad_() for tensor in (lonlat, keys, embeddings)]
    features = site_attention(*inputs, torch.float64)
    return features.detach(), torch.autograd.grad(features, inputs, gradient.double())


def gradients(gradient: Tensor, lonlat: Tensor, keys: Tensor, embeddings: Tensor, dtype: torch.dtype) -> list[Tensor]:
    by_places = triton_voronoi.backward(gradient, lonlat, keys, embeddings, dtype)
    return [by_places, *triton_voronoi.backward_arguments(gradient, lonlat, keys, embeddings, dtype)]


def assert_near(found: Tensor, expected: Tensor, rtol: float, least: float = 1e-30) -> None:
    """Errors relative to the largest number expected."""
    scale = max(least, float(expected.abs().max()))
    torch.testing.assert_close(found.double() / scale, expected / scale, rtol=0, atol=rtol)


@pytest.mark.parametrize("tau", [0.1, 1.0, 45.0, 500.0, 5000.0, 1e5])
def test_weights(tau: float) -> None:
    """With the identity for embeddings, features are weights: exponents, here to -28, to float32's last digit."""
    lonlat, keys = globe(30).to(DEVICE), keys_of(90, tau)
    lonlat = torch.cat([lonlat, torch.tensor([(0, 90), (0, -90), (180, 0), (-180, 0), (541, 3)]).to(lonlat)])
    expected = site_weights(lonlat, keys, torch.float64)
    weights = triton_voronoi.forward(lonlat, keys, torch.eye(90, device=DEVICE), torch.float32)
    torch.testing.assert_close(weights.double(), expected, rtol=2e-6, atol=1e-12)


@pytest.mark.parametrize("tau", [(0.1,), (45.0,), (500.0,), (5000.0,), (0.1, 3.0, 45.0, 500.0, 5000.0)], ids=str)
def test_values_and_gradients(tau: tuple[float, ...]) -> None:
    lonlat, keys, embeddings, gradient = globe(70).to(DEVICE), keys_of(90, *tau), drawn(90, 20), drawn(70, 20, seed=2)
    expected, (by_places, by_keys, by_embeddings) = exact(lonlat, keys, embeddings, gradient)
    out = torch.full((70, 20), math.nan, device=DEVICE)
    assert triton_voronoi.forward(lonlat, keys, embeddings, torch.float32, out=out) is out
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=2e-6)
    found = gradients(gradient, lonlat, keys, embeddings, torch.float32)
    assert [tensor.dtype for tensor in found] == [torch.float64, torch.float64, torch.float32]
    # Differences p - δ are right to the last digits of p: gradients of places whose one site has all the weight are 0.
    assert_near(found[0], by_places, 1e-5, least=math.pi / 180 * max(tau))
    assert_near(found[1], by_keys, 1e-5, least=1.0)
    assert_near(found[2], by_embeddings, 2e-6)


SIZES = [(0, 5, 3), (1, 1, 1), (3, 1, 20), (65, 2, 1), (5, 64, 16), (129, 17, 33), (2, 70, 130), (33, 65, 5)]


@pytest.mark.parametrize(("rows", "sites", "columns"), SIZES)
def test_any_size(rows: int, sites: int, columns: int) -> None:
    lonlat, keys, embeddings = globe(rows).to(DEVICE), keys_of(sites, 20.0), drawn(sites, columns)
    gradient = drawn(rows, columns, seed=2)
    expected, slopes = exact(lonlat, keys, embeddings, gradient)
    out = torch.full((rows, columns), math.nan, device=DEVICE)
    triton_voronoi.forward(lonlat, keys, embeddings, torch.float32, out=out)
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=2e-6)
    for found, slope in zip(gradients(gradient, lonlat, keys, embeddings, torch.float32), slopes, strict=True):
        assert found.shape == slope.shape
        if slope.numel():
            assert_near(found, slope, 1e-5, least=1.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_rounds_features_alone(dtype: torch.dtype) -> None:
    lonlat, keys, embeddings = globe(20).to(DEVICE), keys_of(30, 45.0), drawn(30, 12)
    wide = triton_voronoi.forward(lonlat, keys, embeddings, torch.float32)
    features = triton_voronoi.forward(lonlat, keys, embeddings, dtype)
    assert features.dtype == dtype
    torch.testing.assert_close(features.float(), wide, rtol=2.0**-7 if dtype == torch.bfloat16 else 2.0**-10, atol=1e-6)
    gradient = drawn(20, 12, seed=2).to(dtype)
    found = gradients(gradient, lonlat.float(), keys, embeddings, dtype)
    assert found[0].dtype == torch.float32
    same = gradients(gradient.float(), lonlat.float(), keys, embeddings, torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(found, same, strict=True))


def test_strides() -> None:
    table = globe(74).view(37, 4).clamp(-90, 90).to(DEVICE)
    lonlat, keys, embeddings = table[:, 1:3], keys_of(40, 45.0), drawn(9, 40).T
    assert not lonlat.is_contiguous()
    plain = (lonlat.contiguous(), keys.contiguous(), embeddings.contiguous())
    strided = (lonlat, keys.T.contiguous().T, embeddings)
    features = triton_voronoi.forward(*strided, torch.float32)
    assert torch.equal(features, triton_voronoi.forward(*plain, torch.float32))
    for gradient in (drawn(1, 1).expand(37, 9), drawn(9, 37, seed=2).T):
        found = gradients(gradient, *strided, torch.float32)
        same = gradients(gradient.contiguous(), *plain, torch.float32)
        assert all(torch.equal(a, b) for a, b in zip(found, same, strict=True))


def test_a_row_depends_on_itself_alone() -> None:
    lonlat, keys, embeddings = globe(100).to(DEVICE), keys_of(40, 45.0, 3.0), drawn(40, 18)
    gradient = drawn(100, 18, seed=2)
    features = triton_voronoi.forward(lonlat, keys, embeddings, torch.float32)
    slopes = triton_voronoi.backward(gradient, lonlat, keys, embeddings, torch.float32)
    part = slice(77, 90)
    assert torch.equal(triton_voronoi.forward(lonlat[part], keys, embeddings, torch.float32), features[part])
    again = triton_voronoi.backward(gradient[part], lonlat[part], keys, embeddings, torch.float32)
    assert torch.equal(again, slopes[part])
    broken = lonlat.clone()
    broken[3, 0], broken[4, 1] = math.nan, math.nan
    spoilt = triton_voronoi.forward(broken, keys, embeddings, torch.float32)
    assert spoilt[3:5].isnan().all()
    assert torch.equal(spoilt[5:], features[5:])


@pytest.mark.parametrize("splits", [1, 2, 32])
def test_parts_are_added_in_order(splits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_partial_sums, "SPLITS", splits)
    lonlat, keys, embeddings = globe(170).to(DEVICE), keys_of(40, 30.0), drawn(40, 17)
    gradient = drawn(170, 17, seed=2)
    _, (_, *expected) = exact(lonlat, keys, embeddings, gradient)
    found = triton_voronoi.backward_arguments(gradient, lonlat, keys, embeddings, torch.float32)
    again = triton_voronoi.backward_arguments(gradient, lonlat, keys, embeddings, torch.float32)
    for slope, own, other in zip(expected, found, again, strict=True):
        assert torch.equal(own, other)
        assert_near(own, slope, 3e-6)


def test_high_parts_of_scores_are_whole_numbers() -> None:
    """Their products, and sums of three, are below 2^24 units."""
    keys = torch.cat([keys_of(60, 0.1, 45.0, 5000.0), torch.zeros(2, 3, dtype=torch.float64, device=DEVICE)])
    scores = triton_scores.scores(globe(50).to(DEVICE), keys)
    places, table = (packed.view(torch.float32).view(3, -1, 2).double() for packed in (scores.places, scores.table))
    assert table.shape == (3, 64, 2)
    unit = 2.0 ** math.ceil(math.log2(5000 / math.log(2))) / 2**11
    for high, step in ((places[:, :, 0], 2.0**-12), (table[:, :, 0], unit)):
        assert torch.equal(high / step, (high / step).round())
    assert float((places[:, :, 0].T @ table[:, :, 0]).abs().max()) < 2**24 * 2.0**-12 * unit
    torch.testing.assert_close(table.sum(2)[:, :62].T * math.log(2), keys, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize(("columns", "cosine"), [(12, False), (20, True)])
def test_encoder(columns: int, cosine: bool) -> None:
    encoder = locenc.position_encoder(
        "spherical-voronoi", num_sites=30, site_dim=12, num_features=columns, num_tokens=6, cosine_attention=cosine
    ).to(DEVICE)
    weights = drawn(25, columns, seed=2)

    def run(backend: str) -> list[Tensor]:
        encoder.zero_grad()
        lonlat = globe(25).to(DEVICE).requires_grad_()
        with locenc.backend(backend):
            features = encoder(lonlat)
            features.backward(weights)
        return [features.detach(), lonlat.grad, *(parameter.grad.clone() for parameter in encoder.parameters())]

    for found, expected in zip(run("triton"), run("reference"), strict=True):
        assert found.dtype == expected.dtype
        assert_near(found, expected.double(), 2e-5)


@pytest.mark.parametrize("learned", [(1,), (2,), (0, 2)])
def test_some_of_the_gradients(learned: tuple[int, ...]) -> None:
    def run(backend: str) -> list[Tensor]:
        inputs = [globe(9).to(DEVICE), keys_of(10, 45.0), drawn(10, 4)]
        for place in learned:
            inputs[place].requires_grad_()
        with locenc.backend(backend):
            features = locenc.kernels.site_attention(*inputs, torch.float32)
            return list(torch.autograd.grad(features.square().sum(), [inputs[place] for place in learned]))

    for found, expected in zip(run("triton"), run("reference"), strict=True):
        assert_near(found, expected.double(), 1e-5)
