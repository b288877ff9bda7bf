"""Losses of presence-only labels: the formulas in mpmath, results of the CSP and SINR codes, what must always hold."""

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from locenc_csp.logistic import entropy
from locenc_csp.presence import full_loss, other_classes, slds_loss, ssdl_loss, user_loss

BATCH, CLASSES = 4, 5


def logits(seed, batch=BATCH, classes=CLASSES, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    values = spread * torch.randn(batch, classes, generator=generator, dtype=torch.float64)
    return values, torch.randint(classes, (batch,), generator=generator)


class Exact:
    """The formulas with 40 digits; ``e`` is what is added inside logarithms."""

    def __init__(self, e=0, undecided=False):
        self.e, self.undecided = mpmath.mpf(e), undecided

    def p(self, x):
        return 1 / (1 + mpmath.exp(-mpmath.mpf(x)))

    def seen(self, x):
        return -mpmath.log(self.p(x) + self.e)

    def absent(self, x):
        p = self.p(x)
        if self.undecided:
            return p * mpmath.log(p + self.e) + (1 - p) * mpmath.log(1 - p + self.e)
        return -mpmath.log(1 - p + self.e)

    def full(self, here, labels, elsewhere, positive, weight):
        total = mpmath.mpf(0)
        for row, label in zip(here.tolist(), labels.tolist(), strict=True):
            total += mpmath.fsum(positive * self.seen(x) if k == label else self.absent(x) for k, x in enumerate(row))
        loss = total / here.numel()
        if elsewhere is not None:
            loss += weight * mpmath.fsum(self.absent(x) for row in elsewhere.tolist() for x in row) / elsewhere.numel()
        return loss

    def one_of_each(self, here, labels, there, absent, weight=1):
        rows = list(zip(here.tolist(), labels.tolist(), strict=True))
        others = list(zip(there.tolist(), absent.tolist(), strict=True))
        loss = mpmath.fsum(self.seen(row[k]) for row, k in rows) / len(rows)
        return loss + weight * mpmath.fsum(self.absent(row[k]) for row, k in others) / len(others)


@pytest.mark.parametrize("undecided", [False, True])
@pytest.mark.parametrize(("csp_compat", "e"), [(False, "0"), (True, "1e-5")])
@pytest.mark.parametrize("spread", [1.0, 20.0])
def test_losses_agree_with_the_formulas(csp_compat, e, undecided, spread):
    here, labels = logits(0, spread=spread)
    elsewhere, absent = logits(1, spread=spread)
    more, _ = logits(2, batch=2 * BATCH, spread=spread)
    options = {"entropy": undecided, "csp_compat": csp_compat}
    found = [
        full_loss(here, labels, more, positive_weight=16, background_weight=0.3, **options),
        full_loss(here, labels, **options),
        ssdl_loss(here, labels, elsewhere, **options),
        ssdl_loss(here, labels, more, background_weight=0.3, **options),
        slds_loss(here, labels, absent, **options),
    ]
    with mpmath.workdps(40):
        exact = Exact(e, undecided)
        wanted = [
            exact.full(here, labels, more, 16, mpmath.mpf(0.3)),
            exact.full(here, labels, None, CLASSES, 1),
            exact.one_of_each(here, labels, elsewhere, labels),
            exact.one_of_each(here, labels, more, labels.repeat(2), mpmath.mpf(0.3)),
            exact.one_of_each(here, labels, here, absent),
        ]
    # in the codes' form 1 - p is rounded to 1e-16 and stands beside 1e-5; entropies far from 0 cancel
    for one, other in zip(found, wanted, strict=True):
        assert one.item() == pytest.approx(float(other), rel=1e-10 if csp_compat else 1e-13, abs=1e-15)


def test_entropy_of_extreme_logits():
    values = torch.tensor([-800.0, -40.0, 0.0, 40.0, 800.0], dtype=torch.float64, requires_grad=True)
    found = entropy(values)
    with mpmath.workdps(40):
        wanted = [float(-Exact(undecided=True).absent(x)) for x in (-40.0, 0.0)]
    assert found.tolist() == [0.0, pytest.approx(wanted[0]), pytest.approx(wanted[1]), pytest.approx(wanted[0]), 0.0]
    found.sum().backward()
    assert values.grad.isfinite().all()


def test_gradients():
    here, labels = logits(2)
    elsewhere, absent = logits(3)
    given = (here.requires_grad_(), elsewhere.requires_grad_())
    for undecided in (False, True):
        options = {"entropy": undecided}
        for loss in (
            lambda a, b, options=options: full_loss(a, labels, b, positive_weight=7, **options),
            lambda a, b, options=options: ssdl_loss(a, labels, b, **options),
            lambda a, b, options=options: slds_loss(a, labels, absent, **options) + 0 * b.sum(),
        ):
            assert torch.autograd.gradcheck(loss, given)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), undecided=st.booleans())
def test_order_of_rows_and_classes_does_not_matter(seed, undecided):
    here, labels = logits(seed)
    elsewhere, absent = logits(seed + 1)
    generator = torch.Generator().manual_seed(seed)
    rows, classes = torch.randperm(BATCH, generator=generator), torch.randperm(CLASSES, generator=generator)
    renamed = classes.argsort()
    moved = here[rows][:, classes], renamed[labels[rows]]
    one = ssdl_loss(*moved, elsewhere[rows][:, classes], entropy=undecided)
    assert_close(one, ssdl_loss(here, labels, elsewhere, entropy=undecided), rtol=1e-12, atol=1e-13)
    one = slds_loss(*moved, renamed[absent[rows]], entropy=undecided)
    assert_close(one, slds_loss(here, labels, absent, entropy=undecided), rtol=1e-12, atol=1e-13)


@settings(max_examples=20, deadline=None)
@given(classes=st.integers(2, 6), seed=st.integers(0, 10**6))
def test_other_classes(classes, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (400 * classes,), generator=generator)
    drawn = other_classes(labels, classes, generator)
    assert drawn.dtype == torch.int64
    assert not (drawn == labels).any()
    counts = torch.bincount(labels * classes + drawn, minlength=classes**2).view(classes, classes).double()
    share = counts / counts.sum(1, keepdim=True)
    off = ~torch.eye(classes, dtype=torch.bool)
    assert ((share[off] - 1 / (classes - 1)).abs() < 0.2).all()


# Results of the CSP and SINR codes


def leaves(arrays):
    names = {"grad_loc": "loc", "grad_bg": "bg", "grad_class_weight": "class_weight"}
    return {grad: torch.tensor(arrays[name], requires_grad=True) for grad, name in names.items()}


def check_against(arrays, prefix, loss, given):
    """Value and gradients, all that there are, within 1e-12 of the largest."""
    loss.backward()
    keys = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    assert "value" in keys
    for key in keys:
        found, wanted = loss.detach() if key == "value" else given[key].grad, torch.tensor(arrays[prefix + key])
        assert found.shape == wanted.shape
        assert (found - wanted).abs().max() <= 1e-12 * wanted.abs().max()


@pytest.mark.parametrize("kind", ["an_full", "an_full_me", "an_ssdl", "an_ssdl_me", "an_slds", "an_slds_me"])
@pytest.mark.parametrize("weight", [2048, 16])
def test_sinr_code(golden, kind, weight):
    arrays = golden("csp_losses.npz")
    given, labels = leaves(arrays), torch.tensor(arrays["labels"])
    here, elsewhere = (given[name] @ given["grad_class_weight"].T for name in ("grad_loc", "grad_bg"))
    options = {"entropy": kind.endswith("_me"), "csp_compat": True}
    prefix = f"sinr/{kind}/"
    if "full" in kind:
        loss, prefix = full_loss(here, labels, elsewhere, positive_weight=weight, **options), f"{prefix}lambda{weight}/"
    elif "ssdl" in kind:
        loss = ssdl_loss(here, labels, elsewhere, **options)
    else:
        loss = slds_loss(here, labels, torch.tensor(arrays["sinr/slds_background_class"]), **options)
    check_against(arrays, prefix, loss, given)


@pytest.mark.parametrize("weight", ["w1.0", "w0.3"])
def test_csp_code_with_users(golden, weight):
    """The code gives the background weight 1 here, whatever it is asked for."""
    arrays = golden("csp_losses.npz")
    given, labels = leaves(arrays), torch.tensor(arrays["labels"])
    location, background, classes = given.values()
    user = torch.tensor(arrays["user_weight"])[torch.tensor(arrays["users"])]
    loss = full_loss(location @ classes.T, labels, background @ classes.T, csp_compat=True)
    loss = loss + user_loss(user, location, background, classes, labels, csp_compat=True)
    check_against(arrays, f"supervised/full_loss_user/{weight}/", loss, given)


def test_users_by_the_formula():
    (user, labels), (location, _), (background, _) = (logits(seed, spread=1.0) for seed in (0, 1, 2))
    classes, _ = logits(3, batch=CLASSES, spread=1.0)
    found = user_loss(user, location, background, classes, labels)
    with mpmath.workdps(40):
        exact = Exact()
        dots = [(user * one).sum(1).tolist() for one in (location, background)]
        wanted = mpmath.fsum(exact.seen(x) for x in dots[0]) / BATCH + mpmath.fsum(map(exact.absent, dots[1])) / BATCH
        wanted += exact.full(user @ classes.T, labels, None, CLASSES, 1)
    assert found.item() == pytest.approx(float(wanted), rel=1e-13)
    with pytest.raises(
        ValueError, match=r"must be matrices of one shape \(B, d\), got \(4, 5\), \(4, 5\) and \(3, 5\)"
    ):
        user_loss(user, location, background[:3], classes, labels)


def test_bad_input():
    here, labels = logits(0)
    with pytest.raises(ValueError, match=r"labels must lie in 0 \.\. 4, but row 2 has 5"):
        slds_loss(here, labels, torch.tensor([0, 1, 5, 2]))
    with pytest.raises(ValueError, match=r"background must be C whole batches .* but 6 rows are no multiple of 4"):
        ssdl_loss(here, labels, here.repeat(2, 1)[:6])
    with pytest.raises(ValueError, match=r"background logits must have shape \(M, 5\), got \(0, 5\)"):
        ssdl_loss(here, labels, here[:0])
    with pytest.raises(ValueError, match="num_classes must be at least 2, got 1"):
        other_classes(labels, 1)
