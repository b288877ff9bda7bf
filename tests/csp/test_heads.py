"""Fine-tuning heads: their losses against the formula in mpmath and the CSP code, and one interface for both."""

import math
from typing import get_args

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from locenc_csp.heads import HEADS, Head, PresenceHead, SLDSHead, SSDLHead, full_loss
from locenc_csp.presence import other_classes, slds_loss, ssdl_loss
from locenc_csp.recipes import HeadName


def logits(seed, batch=4, classes=5, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    values = spread * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    return values, torch.randint(classes, (batch,), generator=generator)


def reference(scores, labels, background, weight, epsilon):
    """The full loss as the paper writes it, with 40 digits."""
    with mpmath.workdps(40):

        def nl(p):
            return -mpmath.log(p + epsilon)

        def p(x):
            return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))

        size, classes = scores.shape
        total = mpmath.mpf(0)
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
            for k, x in enumerate(row):
                total += classes * nl(p(x)) if k == label else nl(1 - p(x))
        elsewhere = mpmath.fsum(nl(1 - p(x)) for row in background.tolist() for x in row)
        return float(total / (size * classes) + weight * elsewhere / background.numel())


@pytest.mark.parametrize(("csp_compat", "epsilon"), [(False, "0"), (True, "1e-5")])
@pytest.mark.parametrize("weight", [1.0, 0.3])
@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_full_loss_agrees_with_the_formula(csp_compat, epsilon, weight, spread):
    scores, labels = logits(0, spread=spread)
    background, _ = logits(1, batch=7, spread=spread)
    value = full_loss(scores, labels, background, background_weight=weight, csp_compat=csp_compat)
    expected = reference(scores, labels, background, weight, mpmath.mpf(epsilon))
    # in the CSP code's form 1 - p is rounded to 1e-16 and stands beside 1e-5
    assert value.item() == pytest.approx(expected, rel=1e-10 if csp_compat else 1e-13)


def test_full_loss_by_hand():
    scores = torch.tensor([[0.0, 0.0]])
    value = full_loss(scores, torch.tensor([1]), torch.tensor([[0.0, 0.0]]), background_weight=0.5)
    assert value.item() == pytest.approx((2 + 1) * math.log(2) / 2 + 0.5 * math.log(2))


@pytest.mark.parametrize("weight", [1.0, 0.3])
def test_csp_code(golden, weight):
    arrays = golden("csp_losses.npz")
    location, background = (torch.tensor(arrays[key], requires_grad=True) for key in ("loc", "bg"))
    head = PresenceHead(16, 11, background_weight=weight, csp_compat=True).double()
    head.load_state_dict({"weight": torch.tensor(arrays["class_weight"])})
    loss = head.loss(location, torch.tensor(arrays["labels"]), background)
    loss.backward()
    results = {"value": loss.detach(), "grad_loc": location.grad, "grad_bg": background.grad}
    results["grad_class_weight"] = head.weight.grad
    prefix = f"supervised/full_loss/w{weight}/"
    assert {key.removeprefix(prefix) for key in arrays if key.startswith(prefix)} == set(results)
    for key, value in results.items():
        expected = torch.tensor(arrays[prefix + key])
        assert (value - expected).abs().max() <= 1e-12 * expected.abs().max()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_order_of_rows_and_classes_does_not_matter(seed):
    scores, labels = logits(seed)
    generator = torch.Generator().manual_seed(seed)
    rows, classes = torch.randperm(4, generator=generator), torch.randperm(5, generator=generator)
    moved = full_loss(scores[rows][:, classes], classes.argsort()[labels[rows]], scores[:, classes])
    assert_close(moved, full_loss(scores, labels, scores), rtol=1e-12, atol=0)


def test_gradcheck_and_confident_errors():
    scores, labels = logits(2)
    background, _ = logits(3)
    scores.requires_grad_()
    background.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: full_loss(a, labels, b), (scores, background))
    wrong = torch.tensor([[-1000.0, 1000.0]], requires_grad=True)
    loss = full_loss(wrong, torch.tensor([0]))
    loss.backward()
    assert loss.item() == pytest.approx((2 * 1000 + 1000) / 2)
    assert wrong.grad.tolist() == [[-1.0, 0.5]]


@pytest.mark.parametrize("name", HEADS)
def test_one_interface(name):
    head = HEADS[name](3, 4)
    embedding = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
    background = -embedding if head.needs_background else None
    loss = head.loss(embedding, torch.tensor([0, 1, 2, 3, 0, 1]), background)
    assert loss.shape == ()
    assert loss.isfinite()
    probabilities = head.probabilities(embedding.view(2, 3, 3))
    assert probabilities.shape == (2, 3, 4)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    with pytest.raises(ValueError, match=r"labels must lie in 0 \.\. 3, but row 1 has 4, and 1 more row; -1 means"):
        head.loss(embedding[:3], torch.tensor([0, 4, -1]), background)
    with pytest.raises(ValueError, match=r"labels \(B,\), got \(6, 4\) and \(2,\)"):
        head.loss(embedding, torch.tensor([0, 1]), background)
    with pytest.raises(TypeError, match=r"labels must be integer class numbers, got torch\.float32"):
        head.loss(embedding[:2], torch.tensor([0.0, 1.0]), background)
    with pytest.raises(ValueError, match="the batch is empty"):
        head.loss(embedding[:0], torch.tensor([], dtype=torch.int64), background)


def test_softmax_head():
    head = HEADS["softmax"](2, 3)
    embedding, labels = torch.tensor([[1.0, -2.0], [0.5, 0.0]]), torch.tensor([2, 0], dtype=torch.int32)
    probabilities = head.probabilities(embedding)
    assert_close(probabilities.sum(-1), torch.ones(2))
    assert_close(head.loss(embedding, labels), -(probabilities[0, 2] * probabilities[1, 0]).log() / 2)
    assert set(head.state_dict()) == {"weight", "bias"}


def test_presence_head():
    head = PresenceHead(2, 3)
    assert set(head.state_dict()) == {"weight"}
    embedding = torch.tensor([[1.0, -2.0]])
    assert_close(head.probabilities(embedding), torch.sigmoid(embedding @ head.weight.T))
    label = torch.tensor([1])
    with pytest.raises(ValueError, match=r"background_weight > 0 needs background="):
        head.loss(embedding, label)
    without = PresenceHead(2, 3, background_weight=0.0)
    without.load_state_dict(head.state_dict())
    assert not without.needs_background
    assert_close(without.loss(embedding, label), full_loss(head(embedding), label))
    with pytest.raises(ValueError, match=r"background_weight must be finite and >= 0, got -1"):
        PresenceHead(2, 3, background_weight=-1)
    with pytest.raises(ValueError, match=r"background logits must have shape \(M, 3\), got \(2, 4\)"):
        full_loss(torch.zeros(1, 3), label, torch.zeros(2, 4))
    with pytest.raises(TypeError, match="abstract"):
        Head(2, 3)


def test_recipes_name_every_head():
    assert tuple(HEADS) == get_args(HeadName)


def test_heads_of_sinr():
    embedding, background = torch.tensor([[1.0, -2.0], [0.5, 0.3]]), torch.tensor([[0.2, 0.1], [-1.0, 2.0]])
    labels = torch.tensor([2, 0])

    def fresh(name):
        head = HEADS[name](2, 3)
        head.load_state_dict({"weight": torch.tensor([[1.0, 2.0], [-1.0, 0.5], [0.3, 0.0]])})
        return head, head(embedding), head(background)

    for suffix, entropy in (("", False), ("-me", True)):
        head, here, elsewhere = fresh(f"an-full{suffix}")
        wanted = full_loss(here, labels, elsewhere, positive_weight=2048, entropy=entropy)
        assert_close(head.loss(embedding, labels, background), wanted)
        head, here, elsewhere = fresh(f"an-ssdl{suffix}")
        assert_close(head.loss(embedding, labels, background), ssdl_loss(here, labels, elsewhere, entropy=entropy))
        head, here, _ = fresh(f"an-slds{suffix}")
        assert not head.needs_background
        torch.manual_seed(5)
        absent = other_classes(labels, 3)
        torch.manual_seed(5)
        assert_close(head.loss(embedding, labels), slds_loss(here, labels, absent, entropy=entropy))
    for weight in (0, -1):
        with pytest.raises(ValueError, match="background_weight must be"):
            SSDLHead(2, 3, background_weight=weight)
    with pytest.raises(ValueError, match="SSDLHead with background_weight > 0 needs background="):
        SSDLHead(2, 3).loss(embedding, labels)
    with pytest.raises(ValueError, match="positive_weight must be finite and > 0, got 0"):
        PresenceHead(2, 3, positive_weight=0)
    assert SLDSHead(2, 3).csp_compat is False
