"""The contrastive loss in blocks of rows, against the plain formula."""

import math

import mpmath
import pytest
import torch
from torch.nn import functional
from torch.testing import assert_close

from locenc_csp import pairwise
from locenc_csp.contrastive import contrastive_loss


def rows(count, dim=5, seed=0, dtype=torch.float64):
    return 2 * torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def plain(a, b, temperature):
    """The whole matrix of scores."""
    scores = functional.normalize(a) @ functional.normalize(b).T / temperature
    return functional.cross_entropy(scores, torch.arange(len(a)))


@pytest.fixture
def small_blocks(monkeypatch):
    """Three rows at a time."""
    monkeypatch.setattr(pairwise, "BLOCK", 1)
    monkeypatch.setattr(pairwise, "FEWEST_ROWS", 3)


def test_value_with_forty_digits():
    a, b = rows(3), rows(4, seed=1)
    with mpmath.workdps(40):
        units = [[mpmath.matrix(row) / mpmath.norm(mpmath.matrix(row)) for row in m.tolist()] for m in (a, b)]
        scores = [[mpmath.fdot(u, v) / mpmath.mpf(0.07) for v in units[1]] for u in units[0]]
        expected = mpmath.fsum(mpmath.log(mpmath.fsum(map(mpmath.exp, row))) - row[i] for i, row in enumerate(scores))
    assert contrastive_loss(a, b).item() == pytest.approx(float(expected / 3), rel=1e-14)


@pytest.mark.parametrize(("count", "others"), [(1, 1), (3, 3), (7, 7), (8, 20)])
@pytest.mark.parametrize("temperature", [0.07, 20.0])
def test_blocks_agree_with_the_whole_matrix(small_blocks, count, others, temperature):
    inputs = [rows(count).requires_grad_(), rows(others, seed=1).requires_grad_()]
    divisor = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
    loss, expected = contrastive_loss(*inputs, divisor), plain(*inputs, divisor)
    assert_close(loss, expected, rtol=1e-13, atol=1e-13)
    found, wanted = (torch.autograd.grad(3 * value, [*inputs, divisor]) for value in (loss, expected))
    for one, other in zip(found, wanted, strict=True):
        assert_close(one, other, rtol=1e-11, atol=1e-13)


def test_symmetric_is_the_mean_of_both_directions():
    a, b = rows(6), rows(9, seed=1)
    expected = (plain(a, b, 0.5) + plain(b[:6], a, 0.5)) / 2
    assert_close(contrastive_loss(a, b, 0.5, symmetric=True), expected)


def test_gradients_and_gradients_of_them(small_blocks):
    inputs = [rows(4).requires_grad_(), rows(5, seed=1).requires_grad_()]
    divisor = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(contrastive_loss, (*inputs, divisor))
    assert torch.autograd.gradgradcheck(contrastive_loss, (*inputs, divisor))
    assert torch.autograd.gradgradcheck(lambda b: contrastive_loss(inputs[0].detach(), b), inputs[1:])


def test_only_one_side_is_trained():
    a, b = rows(4).requires_grad_(), rows(4, seed=1)
    contrastive_loss(a, b).backward()
    expected = torch.autograd.grad(plain(a, b, 0.07), a)[0]
    assert_close(a.grad, expected)
    assert b.grad is None
    assert not contrastive_loss(a.detach(), b).requires_grad
    with torch.no_grad():
        assert not contrastive_loss(a, b).requires_grad


def test_sharp_temperatures_stay_finite():
    a = torch.eye(4, requires_grad=True)
    loss = contrastive_loss(a, -torch.eye(4), 1e-4)
    loss.backward()
    assert loss.item() == pytest.approx(1e4 + math.log(3))
    assert a.grad.isfinite().all()
    assert contrastive_loss(torch.zeros(2, 3), torch.ones(2, 3)).item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_rows(dtype):
    a, b = rows(5).to(dtype), rows(5, seed=1).to(dtype)
    loss = contrastive_loss(a, b)
    assert loss.dtype == torch.float32
    assert_close(loss, plain(a.float(), b.float(), 0.07))


def test_autocast_rounds_products_alone():
    a, b = rows(64, 16, dtype=torch.float32).requires_grad_(), rows(64, 16, seed=1, dtype=torch.float32)
    exact = plain(a, b, 0.1)
    expected = torch.autograd.grad(exact, a)[0]
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive_loss(a, b, 0.1)
    loss.backward()
    assert loss.dtype == a.grad.dtype == torch.float32
    assert abs(loss - exact) < 0.02
    assert (a.grad - expected).abs().max() < 0.02 * expected.abs().max()


def test_no_matrix_of_all_scores(monkeypatch):
    """Every tensor that is made is smaller than the matrix of scores by far."""
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            for part in result if isinstance(result, tuple) else (result,):
                if isinstance(part, torch.Tensor):
                    largest = max(largest, part.numel())
            return result

    monkeypatch.setattr(pairwise, "BLOCK", 2**12)
    monkeypatch.setattr(pairwise, "FEWEST_ROWS", 8)
    a, b = rows(1024, 4).requires_grad_(), rows(1024, 4, seed=1).requires_grad_()
    with Watch():
        contrastive_loss(a, b).backward()
    assert 0 < largest <= 8 * 1024


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch, of itself
def test_compiles_without_a_break():
    a, b = rows(5).requires_grad_(), rows(5, seed=1)
    compiled = torch.compile(contrastive_loss, fullgraph=True, backend="aot_eager")
    loss = compiled(a, b, 0.1)
    assert_close(loss, plain(a, b, 0.1))
    loss.backward()
    assert_close(a.grad, torch.autograd.grad(plain(a, b, 0.1), a)[0])


@pytest.mark.parametrize(
    ("a", "b", "temperature", "message"),
    [
        (torch.ones(0, 3), torch.ones(2, 3), 0.1, r"with 0 < n <= m, .* got \(0, 3\) and \(2, 3\)"),
        (torch.ones(3, 3), torch.ones(2, 3), 0.1, r"got \(3, 3\) and \(2, 3\)"),
        (torch.ones(2, 3), torch.ones(2, 4), 0.1, r"got \(2, 3\) and \(2, 4\)"),
        (torch.ones(3), torch.ones(2, 3), 0.1, r"got \(3,\) and \(2, 3\)"),
        (torch.ones(2, 3), torch.ones(2, 3), 0.0, r"temperature must be positive, got 0\.0"),
        (torch.ones(2, 3), torch.ones(2, 3), math.nan, r"temperature must be positive, got nan"),
    ],
)
def test_bad_input(a, b, temperature, message):
    with pytest.raises(ValueError, match=message):
        contrastive_loss(a, b, temperature)
