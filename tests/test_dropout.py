"""Our dropout: shares, scales and gradients as torch's, reproducible, and torch's own where it must be."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import locenc
from locenc.dropout import Dropout, part_of_batch


@pytest.mark.parametrize("p", [0.5, 0.1, 0.25, 0.9, 0.999])
def test_share_and_scale(p):
    x = torch.ones(1000, 333)
    out = Dropout(p)(x)
    share = (out == 0).float().mean().item()
    assert share == pytest.approx(p, abs=5 * (p * (1 - p) / x.numel()) ** 0.5)
    assert_close(out[out != 0], torch.full_like(out[out != 0], 1 / (1 - p)), rtol=1e-2 if p > 0.99 else 1e-4, atol=0.0)
    exact = round(p * 2**16) / 2**16
    assert_close(out.max().item(), 1 / (1 - exact), rtol=1e-6, atol=0.0)


def test_entries_are_independent():
    kept = (Dropout(0.5)(torch.ones(4096, 64)) != 0).double() - 0.5
    correlation = kept.T @ kept / len(kept) * 4
    assert (correlation - torch.eye(64)).abs().max() < 6 / 64  # six standard deviations
    neighbours = (kept[1:] * kept[:-1]).mean() * 4
    assert abs(neighbours) < 6 / 512


def test_gradients_pass_where_entries_did():
    x = torch.randn(50, 7, dtype=torch.float64, requires_grad=True)
    out = Dropout(0.3)(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert_close(gradient * x, out)

    def same_masks(values):
        torch.manual_seed(3)
        return Dropout(0.3)(values)

    assert torch.autograd.gradcheck(same_masks, x)
    assert torch.autograd.gradgradcheck(same_masks, x)


def test_a_seed_gives_the_same_masks():
    dropout, x = Dropout(0.5), torch.ones(33, 5)
    torch.manual_seed(7)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(7)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)
    state = torch.get_rng_state()
    third = dropout(x)
    torch.set_rng_state(state)
    assert torch.equal(dropout(x), third)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 5)])
def test_any_shape_and_dtype(dtype, shape):
    out = Dropout(0.5)(torch.ones(shape, dtype=dtype))
    assert out.shape == shape
    assert out.dtype == dtype
    assert all(value in (0.0, 2.0) for value in out.flatten().tolist())


def test_strided_input():
    x = torch.arange(1.0, 13.0).view(3, 4).T
    out = Dropout(0.5)(x)
    assert out.shape == (4, 3)
    assert ((out == 0) | (out == 2 * x)).all()


@pytest.mark.parametrize("p", [0.0, 1.0, 1e-6, 1 - 1e-6])
def test_nothing_or_everything(p):
    x = torch.ones(100)
    expected = x if p < 0.5 else torch.zeros(100)
    assert torch.equal(Dropout(p)(x) > 0.5, expected > 0.5)
    assert Dropout(p).eval()(x) is x


def test_torchs_own_under_transforms_and_compilation(monkeypatch):
    dropout, x = Dropout(0.5), torch.ones(6, 4)
    monkeypatch.setattr("locenc.dropout._random", None)
    out = torch.func.vmap(dropout, randomness="different")(x)
    assert all(value in (0.0, 2.0) for value in out.flatten().tolist())
    out = torch.compile(dropout, backend="eager", fullgraph=True)(x)
    assert all(value in (0.0, 2.0) for value in out.flatten().tolist())


def test_networks_have_it():
    for name in ("sphere2vec-sphereC", "wrap", "spherical-harmonics", "spherical-voronoi"):
        modules = list(locenc.create(name).modules())
        assert any(isinstance(module, nn.Dropout) for module in modules)
        assert all(type(module) is Dropout for module in modules if isinstance(module, nn.Dropout))


@pytest.mark.parametrize(("dtype", "inplace"), [(torch.float32, False), (torch.bfloat16, False), (torch.float64, True)])
def test_parts_of_a_batch_have_the_masks_of_the_whole(dtype, inplace):
    """Ours, and torch's own (in place)."""
    dropout, x = Dropout(0.3, inplace=inplace), torch.randn(11, 3, 5).to(dtype)
    torch.manual_seed(5)
    whole = [dropout(x.clone()) for _ in range(2)]
    for rows in (slice(0, 4), slice(4, 5), slice(5, 5), slice(5, 11)):
        torch.manual_seed(5)
        with part_of_batch(rows, 11):
            parts = [dropout(x[rows].clone()) for _ in range(2)]
        for part, wanted in zip(parts, whole, strict=True):
            assert torch.equal(part, wanted[rows])
    assert not torch.equal(*whole)


def test_parts_of_another_size_are_refused():
    with (
        part_of_batch(slice(2, 4), 9),
        pytest.raises(RuntimeError, match="rows 2 to 4 of a batch was given 3 rows"),
    ):
        Dropout(0.5)(torch.ones(3, 2))
    assert Dropout(0.5)(torch.ones(3, 2)).shape == (3, 2)
    with part_of_batch(slice(2, 4), 9):
        assert Dropout(0.5).eval()(torch.ones(3, 2)).sum() == 6
