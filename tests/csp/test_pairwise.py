"""Losses in blocks of rows against the whole matrix of scores: same value, same gradients, no such matrix."""

import loss_formulas as formulas
import pytest
import torch
from torch.testing import assert_close

from locenc_csp import pairwise
from locenc_csp.clip_terms import clip_batch, clip_dropout, geoclip_batch, siglip_batch, siglip_dropout
from locenc_csp.contrastive import contrastive_loss
from locenc_csp.masks import same_place
from locenc_csp.terms import mc_batch, mc_dropout, nce_batch, nce_dropout

SIZE, QUEUE, DIM = 11, 6, 5
"""Of most tests; blocks have four rows, so the last is not full."""


def places(count, seed=0):
    """Some at equal coordinates, some within a kilometre, the others anywhere."""
    generator = torch.Generator().manual_seed(seed)
    lonlat = torch.rand(count, 2, generator=generator, dtype=torch.float64) * torch.tensor([360.0, 180.0])
    lonlat = (lonlat - torch.tensor([180.0, 90.0])) * 0.9
    lonlat[1], lonlat[4] = lonlat[0], lonlat[0]
    lonlat[7] = lonlat[2] + 0.004
    return lonlat


def rows(count, seed, dtype=torch.float64, dim=DIM):
    return 2 * torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Each case: the code and the formula, both of (a, b, temperature, bias) and of a mask or the pairs that are out

CASES = {
    "MC": (lambda a, b, t, _, m: mc_batch(a, b, t, mask=m), lambda a, b, t, _, o: formulas.softmax(a, b, t, o)),
    "MC-sum": (
        lambda a, b, t, _, m: mc_batch(a, b, t, symmetric="sum", mask=m),
        lambda a, b, t, _, o: 2 * formulas.both_ways(a, b, t, o),
    ),
    "MC-D": (lambda a, b, t, _, m: mc_dropout(a, b, t, mask=m), lambda a, b, t, _, o: formulas.softmax(a, b, t, o)),
    "NCE": (lambda a, b, t, _, m: nce_batch(a, b, t, mask=m), lambda a, b, t, _, o: formulas.noise(a, b, t, o)),
    "NCE-D": (lambda a, b, t, _, m: nce_dropout(a, b, t, mask=m), lambda a, b, t, _, o: formulas.noise(a, b, t, o)),
    "CLIP": (lambda a, b, t, _, m: clip_batch(a, b, t, mask=m), lambda a, b, t, _, o: formulas.both_ways(a, b, t, o)),
    "CLIP-D": (
        lambda a, b, t, _, m: clip_dropout(a, b, t, mask=m),
        lambda a, b, t, _, o: formulas.both_ways(a, b, t, o),
    ),
    "SIGLIP": (
        lambda a, b, t, c, m: siglip_batch(a, b, t, c, mask=m),
        lambda a, b, t, c, o: formulas.siglip(a, b, t, c, o),
    ),
    "SIGLIP-D": (
        lambda a, b, t, c, m: siglip_dropout(a, b, t, c, mask=m),
        lambda a, b, t, c, o: formulas.siglip(a, b, t, c, o),
    ),
    "GEOCLIP": (
        lambda a, b, t, _, m: geoclip_batch(b[: len(a)], a, b[len(a) :], t, mask=m),
        lambda a, b, t, _, o: formulas.softmax(a, b, t, o),
    ),
    "contrastive_loss": (
        lambda a, b, t, _, m: contrastive_loss(a, b, t, mask=m),
        lambda a, b, t, _, o: formulas.softmax(a, b, t, o),
    ),
    "contrastive_loss, symmetric": (
        lambda a, b, t, _, m: contrastive_loss(a, b, t, symmetric=True, mask=m),
        lambda a, b, t, _, o: formulas.both_ways(a, b, t, o),
    ),
}
LONGER = ("GEOCLIP", "contrastive_loss")


def case(name, *, km=None, size=SIZE, dtype=torch.float64, dim=DIM, temperature=0.3, bias=-2.0):
    """The loss, the formula, and what both take: rows, temperature and bias, which want gradients."""
    others = size + (QUEUE if name in LONGER else 0)
    lonlat = places(others)
    mask, out = (None, None) if km is None else (same_place(lonlat, km), formulas.excluded(lonlat, km))
    inputs = [rows(size, 1, dtype, dim), rows(others, 2, dtype, dim)]
    inputs += [torch.tensor(temperature, dtype=dtype), torch.tensor(bias, dtype=dtype)]
    code, formula = CASES[name]
    return (
        lambda *given: code(*given, mask),
        lambda *given: formula(*given, out),
        [one.requires_grad_() for one in inputs],
    )


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(pairwise, "BLOCK", 1)
    monkeypatch.setattr(pairwise, "FEWEST_ROWS", 4)


@pytest.mark.parametrize("km", [None, 0.0, 1.0, 9000.0])
@pytest.mark.parametrize("name", CASES)
def test_blocks_agree_with_the_whole_matrix(small_blocks, name, km):
    loss, formula, inputs = case(name, km=km)
    value, expected = loss(*inputs), formula(*inputs)
    assert_close(value, expected, rtol=1e-12, atol=1e-14)
    found, wanted = (torch.autograd.grad(5 * one, inputs, allow_unused=True) for one in (value, expected))
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one - other).abs().max() <= 1e-12 * other.abs().max()


@pytest.mark.parametrize("name", CASES)
def test_single_precision(name):
    """Three blocks of a batch of 600: within 1e-6 of the exact loss, relative to the largest of each gradient."""
    loss, _, inputs = case(name, km=1.0, size=600, dtype=torch.float32, dim=64, temperature=0.1)
    _, formula, exact = case(name, km=1.0, size=600, dim=64, temperature=0.1)
    for one, other in zip(exact, inputs, strict=True):
        one.data.copy_(other.data)
    value, expected = loss(*inputs), formula(*exact)
    assert abs(value - expected) <= 1e-6 * abs(expected)
    found, wanted = (
        torch.autograd.grad(one, given, allow_unused=True) for one, given in ((value, inputs), (expected, exact))
    )
    for one, other in zip(found, wanted, strict=True):
        if one is not None:
            assert (one - other).abs().max() <= 1e-6 * other.abs().max()


@pytest.mark.parametrize("km", [None, 1.0])
@pytest.mark.parametrize("name", ["MC", "NCE", "CLIP", "SIGLIP", "GEOCLIP"])
def test_gradients_of_gradients(small_blocks, name, km):
    loss, _, inputs = case(name, km=km, size=8, dim=2)
    used = inputs if name == "SIGLIP" else inputs[:3]
    assert torch.autograd.gradcheck(lambda *given: loss(*given, *inputs[len(given) :]), used)
    assert torch.autograd.gradgradcheck(lambda *given: loss(*given, *inputs[len(given) :]), used)


class Largest(torch.utils._python_dispatch.TorchDispatchMode):
    """Remembers how many numbers the largest tensor has that is made."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple) else (result,):
            if isinstance(part, torch.Tensor):
                self.numbers = max(self.numbers, part.numel())
        return result


@pytest.mark.parametrize("name", CASES)
def test_no_matrix_of_all_scores(monkeypatch, name):
    monkeypatch.setattr(pairwise, "BLOCK", 2**12)
    monkeypatch.setattr(pairwise, "FEWEST_ROWS", 8)
    loss, _, inputs = case(name, km=1.0, size=1024, dim=4)
    with Largest() as largest:
        loss(*inputs).backward()
    assert 1024 * 4 <= largest.numbers <= 8 * (1024 + QUEUE)


@pytest.mark.parametrize("name", CASES)
def test_only_what_is_wanted_gets_a_gradient(name):
    loss, formula, inputs = case(name, km=1.0)
    for wanted in (0, 1, 2):
        given = [one.detach().requires_grad_(i == wanted) for i, one in enumerate(inputs)]
        loss(*given).backward()
        expected = torch.autograd.grad(formula(*given), given[wanted])[0]
        assert_close(given[wanted].grad, expected)
        assert all(one.grad is None for i, one in enumerate(given) if i != wanted)
    with torch.no_grad():
        assert not loss(*inputs).requires_grad


@pytest.mark.parametrize("name", ["NCE", "SIGLIP"])
def test_autocast_rounds_products_alone(name):
    loss, formula, inputs = case(name, size=64, dtype=torch.float32, dim=16)
    expected = formula(*inputs)
    slopes = torch.autograd.grad(expected, inputs[0])[0]
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(*inputs)
    value.backward()
    assert value.dtype == inputs[0].grad.dtype == torch.float32
    assert abs(value - expected) < 0.02 * abs(expected)
    assert (inputs[0].grad - slopes).abs().max() < 0.02 * slopes.abs().max()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch, of itself
@pytest.mark.parametrize("name", ["MC", "SIGLIP"])
def test_compiles_without_a_break(name):
    loss, formula, inputs = case(name, km=1.0)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    value = compiled(*inputs)
    assert_close(value, formula(*inputs))
    value.backward()
    assert_close(inputs[0].grad, torch.autograd.grad(formula(*inputs), inputs[0])[0])
