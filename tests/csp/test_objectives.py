"""The objectives, against the formulas written out again in mpmath and against the CSP code's own results."""

import dataclasses
import math
import pickle

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from locenc_csp.forms import FORMS, NAMES
from locenc_csp.logistic import surprise
from locenc_csp.objectives import PRESETS, Objective
from locenc_csp.terms import (
    mc_batch,
    mc_dropout,
    mc_location,
    mse,
    nce_batch,
    nce_dropout,
    nce_location,
)

EXACT = {"rtol": 1e-12, "atol": 0.0}


def embeddings(seed, batch=5, dim=4, count=2, dtype=torch.float64):
    """Location, image, negatives, twin: random raw embeddings of various lengths."""
    generator = torch.Generator().manual_seed(seed)
    rows = [batch, batch, count * batch, batch]
    return [3 * torch.randn(n, dim, generator=generator, dtype=dtype) for n in rows]


# The formulas again, with 40 digits, from the paper (nothing here is shared with the code)


def reference(form, location, image, negatives, twin, t, epsilon=0.0, symmetric=None):
    """The unweighted terms B, L, D as floats."""
    with mpmath.workdps(40):
        rows = [[[mpmath.mpf(v) for v in row] for row in m.tolist()] for m in (location, image, negatives, twin)]
        e, f, n, w = rows
        size, count = len(e), len(n) // len(e)

        def s(a, b):
            dot = mpmath.fsum(x * y for x, y in zip(a, b, strict=True))
            return dot / mpmath.sqrt(mpmath.fsum(x * x for x in a) * mpmath.fsum(x * x for x in b))

        def softmax(a, b, temperature):
            scores = [[mpmath.exp(s(x, y) / temperature) for y in b] for x in a]
            return mpmath.fsum(-mpmath.log(scores[i][i] / mpmath.fsum(scores[i])) for i in range(size)) / size

        def nl(p):
            return -mpmath.log(p + epsilon)

        def sigmoid(x):
            return 1 / (1 + mpmath.exp(-x))

        def noise(a, b, temperature):
            total = mpmath.mpf(0)
            for i in range(size):
                total += nl(sigmoid(s(a[i], b[i]) / temperature))
                others = [nl(1 - sigmoid(s(a[i], b[j]) / temperature)) for j in range(len(b)) if j != i]
                total += mpmath.fsum(others) / (size - 1)
            return total / size

        couples = [(c, i) for c in range(count) for i in range(size)]
        if form == "MC":
            batch = softmax(e, f, t["B"])
            if symmetric is not None:
                batch = (batch + softmax(f, e, t["B"])) / (2 if symmetric == "mean" else 1)
            own = [mpmath.exp(s(e[i], f[i]) / t["L"]) for i in range(size)]
            away = {(c, i): mpmath.exp(s(n[c * size + i], f[i]) / t["L"]) for c, i in couples}
            random = mpmath.fsum(
                -mpmath.log(own[i] / (own[i] + mpmath.fsum(away[c, i] for c in range(count)))) for i in range(size)
            )
            values = batch, random / size, softmax(e, w, t["D"])
        else:
            random = [nl(1 - sigmoid(s(n[c * size + i], f[i]) / t["L"])) for c, i in couples]
            values = noise(e, f, t["B"]), mpmath.fsum(random) / len(random), noise(e, w, t["D"])
        return {k: float(v) for k, v in zip("BLD", values, strict=True)}


@pytest.mark.parametrize("csp_compat", [False, True])
@pytest.mark.parametrize(("form", "symmetric"), [("MC", None), ("MC", "mean"), ("MC", "sum"), ("NCE", None)])
def test_terms_agree_with_the_formulas(form, symmetric, csp_compat):
    t = {"B": 0.07, "L": 0.5, "D": 2.0}
    inputs = embeddings(0)
    objective = Objective(f"{form}-BLD", temperature=t, symmetric=symmetric, csp_compat=csp_compat)
    loss, values = objective(*inputs)
    epsilon = mpmath.mpf("1e-5") if csp_compat else 0
    expected = reference(form, *inputs, t, epsilon, symmetric)
    for letter, value in expected.items():
        assert_close(values[letter].item(), value, **EXACT)
    assert_close(loss.item(), sum(expected.values()), **EXACT)


def test_terms_stand_alone_with_six_numbers():
    location, image = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    assert mc_batch(location, image, 1.0).item() == pytest.approx(math.log(1 + math.exp(-1)))
    assert mc_dropout(location, image, 1.0).item() == pytest.approx(math.log(1 + math.exp(-1)))
    away = torch.tensor([[0.0, 1.0], [0.0, 3.0]])  # at right angles to image 0, along image 1
    expected = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert mc_location(location, image, away, 1.0).item() == pytest.approx(expected)
    expected = math.log(1 + math.exp(-1)) + math.log(2)
    assert nce_batch(location, image).item() == pytest.approx(expected)
    assert nce_dropout(location, image).item() == pytest.approx(expected)
    expected = (math.log(2) + math.log(1 + math.exp(1))) / 2
    assert nce_location(image, away).item() == pytest.approx(expected)
    assert mse(location, image).item() == pytest.approx((1 + 16) / 4)


# The CSP code's results, values and gradients

SETTINGS = {
    "inat2018": ((20.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "fmow": ((1.0, 1.0, 1.0), (1.0, 1.0, 0.1)),
    "sharp": ((0.07, 0.5, 0.2), (1.0, 0.5, 2.0)),
    "unit": ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0)),
    "mixed": ((1.0, 1.0, 1.0), (1.0, 0.5, 2.0)),
}
RUNS = [
    *((form, setting, c) for form in ("mc", "mcsym") for setting in ("inat2018", "fmow", "sharp") for c in (1, 3)),
    *(("nce", setting, c) for setting in ("unit", "mixed") for c in (1, 3)),
]


def same(actual, expected):
    """Largest difference relative to the largest value: at most 1e-12."""
    expected = torch.as_tensor(expected)
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= 1e-12 * expected.abs().max()


@pytest.mark.parametrize(("form", "setting", "count"), RUNS)
def test_csp_code(golden, form, setting, count):
    arrays = golden("csp_losses.npz")
    prefix = f"{form}/{setting}/C{count}/"
    names = {key.removeprefix(prefix) for key in arrays if key.startswith(prefix)}
    seen = set()
    temperature, weight = (dict(zip("BLD", numbers, strict=True)) for numbers in SETTINGS[setting])

    def tensor(name):
        return torch.tensor(arrays[name], requires_grad=True)

    location, twin, proj = tensor("loc"), tensor("loc_twin"), tensor("proj_weight")
    image = torch.tensor(arrays["img_features"]) @ proj.T + torch.tensor(arrays["proj_bias"])
    image.retain_grad()
    negatives = torch.tensor(arrays["neg"][: count * len(location)], requires_grad=True)
    for letters in ("B", "BL", "BD", "BLD"):
        objective = Objective(
            f"{'NCE' if form == 'nce' else 'MC'}-{letters}",
            temperature={letter: temperature[letter] for letter in letters},
            weight={letter: weight[letter] for letter in letters},
            symmetric="sum" if form == "mcsym" else None,
            csp_compat=True,
        )
        loss, values = objective(location, image, negatives, twin)
        same(loss.detach(), arrays[prefix + letters])
        seen.add(letters)
    for letter, value in values.items():
        same(value, arrays[f"{prefix}term_{letter}"])
        seen.add(f"term_{letter}")
    loss.backward()
    leaves = {"loc": location, "loc_twin": twin, "neg": negatives, "img": image, "proj_weight": proj}
    for name in names - seen:
        same(leaves[name.removeprefix("grad_")].grad, arrays[prefix + name])
        seen.add(name)
    assert seen == names


@pytest.mark.parametrize("name", ["csp-inat2018", "csp-fmow"])
def test_presets_are_the_published_settings(golden, name):
    arrays = golden("csp_losses.npz")
    inputs = [torch.tensor(arrays[key]) for key in ("loc", "img", "neg", "loc_twin")]
    loss, _ = Objective(name, csp_compat=True)(*inputs)
    same(loss, arrays[f"mc/{name.removeprefix('csp-')}/C3/BLD"])


def test_csp_code_mse_and_positive_only(golden):
    arrays = golden("csp_losses.npz")
    location = torch.tensor(arrays["loc"], requires_grad=True)
    decoded = location @ torch.tensor(arrays["decoder_weight"]).T + torch.tensor(arrays["decoder_bias"])
    loss, values = Objective("MSE")(decoded, torch.tensor(arrays["img_features"]))
    loss.backward()
    same(loss.detach(), arrays["mse/value"])
    same(location.grad, arrays["mse/grad_loc"])
    assert values["MSE"] == loss.detach()
    cosine = torch.cosine_similarity(location.detach(), torch.tensor(arrays["img"]))
    same(surprise(cosine, csp_compat=True).mean(), arrays["nce/eval_positive_only"])


# What must hold everywhere

EVERY_TERM = ["MC-BLD", "NCE-BLD", "CLIP-BLD", "SIGLIP-BLD"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(EVERY_TERM), count=st.integers(1, 3))
def test_order_of_pairs_does_not_matter(seed, name, count):
    location, image, negatives, twin = embeddings(seed, count=count)
    order = torch.randperm(len(location), generator=torch.Generator().manual_seed(seed))
    blocks = negatives.view(count, len(location), -1)[:, order].reshape_as(negatives)
    loss, _ = Objective(name)(location, image, negatives, twin)
    moved, _ = Objective(name)(location[order], image[order], blocks, twin[order])
    assert_close(loss, moved, rtol=1e-12, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(EVERY_TERM), scale=st.floats(1e-3, 1e3))
def test_length_of_embeddings_does_not_matter(seed, name, scale):
    inputs = embeddings(seed)
    loss, _ = Objective(name)(*inputs)
    scaled, _ = Objective(name)(*(scale * rows for rows in inputs))
    assert_close(loss, scaled, rtol=1e-11, atol=1e-13)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), temperature=st.floats(0.02, 20), size=st.integers(1, 6))
def test_softmax_lies_within_its_bounds(seed, temperature, size):
    location, image, _, _ = embeddings(seed, batch=size)
    forward = mc_batch(location, image, temperature).item()
    # every cosine lies in [-1, 1], so a score may exceed the pair's own by 2 / temperature at most
    lowest = math.log1p((size - 1) * math.exp(-2 / temperature))
    highest = 2 / temperature + math.log(size - 1 + math.exp(-2 / temperature)) if size > 1 else 0.0
    assert lowest - 1e-12 <= forward <= highest + 1e-12
    both = mc_batch(location, image, temperature, symmetric="sum").item()
    assert both == pytest.approx(forward + mc_batch(image, location, temperature).item(), rel=1e-12, abs=1e-13)
    assert mc_batch(image, location, temperature, symmetric="mean").item() == pytest.approx(
        both / 2, rel=1e-12, abs=1e-13
    )


@pytest.mark.parametrize("name", EVERY_TERM)
@pytest.mark.parametrize("which", range(4))
def test_zero_vector_has_a_finite_value_and_gradient(name, which):
    inputs = embeddings(1)
    inputs[which][2] = 0
    for rows in inputs:
        rows.requires_grad_()
    loss, _ = Objective(name)(*inputs)
    loss.backward()
    assert loss.isfinite()
    assert all(rows.grad.isfinite().all() for rows in inputs)
    if name in ("MC-BLD", "NCE-BLD"):
        official, _ = Objective(name, csp_compat=True)(*inputs)
        assert official.isnan()  # the CSP code divides by zero


@pytest.mark.parametrize("name", EVERY_TERM)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_extreme_temperature_stays_finite(name, sign):
    location = torch.eye(3, requires_grad=True)
    image = (sign * torch.eye(3)).requires_grad_()
    objective = Objective(name, temperature=1e-3)
    loss, _ = objective(location, image, -location, location * 2)
    loss.backward()
    assert loss.isfinite()
    assert image.grad.isfinite().all()
    assert location.grad.isfinite().all()
    scores = location.detach() @ image.detach().T / 1e-3
    plain = scores.exp().diagonal() / scores.exp().sum(1)
    assert sign < 0 or plain.isnan().all()  # the formula as it stands, in float32


def test_stable_sigmoid_corrects_confident_errors():
    logits = torch.tensor([-60.0, -25.0, 0.0, 25.0], dtype=torch.float64, requires_grad=True)
    value = surprise(logits)
    value.sum().backward()
    expected = [float(mpmath.log1p(mpmath.exp(-mpmath.mpf(x)))) for x in logits.tolist()]
    assert_close(value.detach(), torch.tensor(expected, dtype=torch.float64), **EXACT)
    assert logits.grad[0].item() == pytest.approx(-1.0)
    assert surprise(logits.detach(), csp_compat=True)[0].item() == pytest.approx(-math.log(1e-5))


@pytest.mark.parametrize(
    ("name", "csp_compat"), [*((name, False) for name in EVERY_TERM), ("MC-BLD", True), ("NCE-BLD", True)]
)
def test_gradcheck(name, csp_compat):
    inputs = [rows.requires_grad_() for rows in embeddings(2, batch=3, dim=2)]
    objective = Objective(name, temperature=0.5, csp_compat=csp_compat)
    assert torch.autograd.gradcheck(lambda *rows: objective(*rows)[0], inputs)
    assert torch.autograd.gradgradcheck(lambda *rows: objective(*rows)[0], inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_taken_to_float32(dtype):
    inputs = embeddings(3, dtype=dtype)
    for name in (*EVERY_TERM, "GEOCLIP-B", "MSE"):
        loss, _ = Objective(name)(*inputs)
        expected, _ = Objective(name)(*(rows.float() for rows in inputs))
        assert loss.dtype == torch.float32
        assert_close(loss, expected)


# Terms that are switched off


@pytest.mark.parametrize("form", ["MC", "NCE", "CLIP", "SIGLIP"])
def test_weight_zero_is_not_computed(form, monkeypatch):
    def never(*_, **__):
        raise AssertionError("computed")

    for letter in "LD":
        monkeypatch.setitem(FORMS[form].terms, letter, never)
    objective = Objective(f"{form}-BLD", weight={"L": 0, "D": 0.0})
    assert not objective.needs_negatives
    assert not objective.needs_twin
    location, image, _, _ = embeddings(4)
    loss, values = objective(location, image)
    assert set(values) == {"B"}
    alone, _ = Objective(f"{form}-B")(location, image)
    assert loss == alone


def test_needs():
    needs = {name: (o.needs_negatives, o.needs_twin) for name in NAMES for o in [Objective(name)]}
    assert needs["MC-BLD"] == needs["NCE-LD"] == (True, True)
    assert needs["MC-B"] == needs["MSE"] == (False, False)
    assert needs["NCE-BL"] == (True, False)
    assert needs["MC-BD"] == (False, True)
    assert [name for name in NAMES if Objective(name).needs_decoder] == ["MSE"]
    assert [name for name in NAMES if Objective(name).takes_queue] == ["GEOCLIP-B"]
    assert len(NAMES) == 4 * 7 + 2
    assert Objective("CLIP-B", same_place_km=0).needs_places
    assert not Objective("CLIP-B").needs_places


def test_terms_are_detached_and_unweighted():
    inputs = [rows.requires_grad_() for rows in embeddings(5)]
    loss, values = Objective("MC-BLD", weight={"B": 2.0, "L": 3.0, "D": 0.5})(*inputs)
    assert loss.requires_grad
    assert not any(value.requires_grad for value in values.values())
    assert_close(loss.detach(), 2 * values["B"] + 3 * values["L"] + 0.5 * values["D"], **EXACT)


# The object


def test_objective_is_frozen_equal_and_shown():
    objective = Objective("csp-fmow")
    with pytest.raises(dataclasses.FrozenInstanceError):
        objective.form = "NCE"
    assert repr(objective) == (
        "Objective('MC-BLD', temperature={'B': 1.0, 'L': 1.0, 'D': 1.0}, weight={'B': 1.0, 'L': 1.0, 'D': 0.1})"
    )
    everything = [Objective(name) for name in (*NAMES, *PRESETS)]
    everything.append(Objective("MC-BD", temperature=3, weight=2, symmetric="sum", csp_compat=True))
    everything.append(Objective("SIGLIP-BL", bias={"L": -3}, same_place_km=2))
    assert len(set(everything)) == len(NAMES) + 4
    for one in everything:
        assert eval(repr(one)) == one
        assert pickle.loads(pickle.dumps(one)) == one
        assert hash(one) == hash(eval(repr(one)))


def test_defaults_and_overrides():
    assert {t.temperature for t in Objective("MC-BLD").terms} == {0.1}
    assert {t.temperature for t in Objective("NCE-BLD").terms} == {1.0}
    assert {t.temperature for t in Objective("CLIP-BLD").terms} == {0.07}
    assert {(t.temperature, t.bias) for t in Objective("SIGLIP-BLD").terms} == {(0.1, -10.0)}
    assert [t.bias for t in Objective("SIGLIP-BL", bias={"L": 2}).terms] == [-10.0, 2.0]
    sharp = Objective("MC-BLD", temperature={"D": 2})
    assert [t.temperature for t in sharp.terms] == [0.1, 0.1, 2.0]
    inat = Objective("csp-inat2018", weight={"D": 0})
    assert [t.temperature for t in inat.terms] == [20.0, 1.0, 1.0]
    assert [t.weight for t in inat.terms] == [1.0, 1.0, 0.0]


# Bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mc-bld"}, r"unknown objective 'mc-bld'\. Did you mean 'MC-BLD'\?"),
        ({"name": "csp-inat"}, r"Did you mean 'csp-inat2018'\?"),
        (
            {"name": "CLIP"},
            r"'CLIP'\. Did .* There are MC, NCE, CLIP and SIGLIP, each .* 'MSE', and the presets 'csp-i",
        ),
        ({"name": "GEOCLIP-BL"}, r"unknown objective 'GEOCLIP-BL'\. Did you mean 'GEOCLIP-B'\?"),
        ({"name": "MC-BB"}, r"unknown objective 'MC-BB'"),
        ({"name": "MC-B", "temperature": 0}, r"temperature of B must be finite and > 0, got 0"),
        ({"name": "MC-B", "temperature": math.nan}, r"temperature of B must be finite and > 0, got nan"),
        ({"name": "MC-BL", "temperature": {"D": 1}}, r"temperature names the term 'D', but 'MC-BL' has B, L"),
        ({"name": "MC-BL", "weight": {"L": -1}}, r"weight of L must be finite and >= 0, got -1"),
        ({"name": "NCE-BD", "weight": 0}, r"every weight of 'NCE-BD' is 0"),
        ({"name": "MSE", "temperature": 1}, r"MSE compares features, not cosines: it has no temperature, got 1"),
        ({"name": "MC-B", "symmetric": True}, r"symmetric must be None, 'mean' or 'sum', got True"),
        ({"name": "NCE-B", "symmetric": "sum"}, r"symmetric='sum' adds .* term B of MC: 'NCE-B' has none"),
        ({"name": "MC-LD", "symmetric": "mean"}, r"'MC-LD' has none"),
        ({"name": "CLIP-B", "symmetric": "mean"}, r"symmetric='mean' adds .* 'CLIP-B' has none"),
        ({"name": "CLIP-B", "csp_compat": True}, r"csp_compat repeats .* MC, NCE, MSE: 'CLIP-B' is not there"),
        ({"name": "CLIP-B", "bias": 1}, r"SIGLIP alone adds a bias to its scores: 'CLIP-B' has none, got 1"),
        ({"name": "SIGLIP-B", "bias": math.inf}, r"bias of B must be finite and a number, got inf"),
        ({"name": "SIGLIP-B", "bias": {"L": 1}}, r"bias names the term 'L', but 'SIGLIP-B' has B"),
        ({"name": "MC-B", "same_place_km": -1}, r"same_place_km must be finite and >= 0, got -1"),
        ({"name": "MC-L", "same_place_km": 0}, r"same_place_km takes pairs out of .* B and D: 'MC-L' has neither"),
        ({"name": "MSE", "same_place_km": 0}, r"'MSE' has neither"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ValueError, match=message):
        Objective(**arguments)


@pytest.mark.parametrize("name", EVERY_TERM)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": torch.ones(4, 3)}, r"row i of location and image must be one pair, .* 5 and 4 rows"),
        ({"image": torch.ones(5, 2)}, r"location has 3 columns and image 2"),
        ({"location": torch.ones(5)}, r"location must be a floating-point matrix.* got shape \(5,\)"),
        ({"image": torch.ones(5, 3, dtype=torch.int64)}, r"image must be a floating-point .*torch\.int64"),
        ({"location": torch.ones(0, 3), "image": torch.ones(0, 3)}, r"the batch is empty: location .*\(0, 3\)"),
        ({"negatives": torch.ones(7, 3)}, r"7 rows are no multiple of 5"),
        ({"negatives": torch.ones(0, 3)}, r"the batch is empty: negatives has shape \(0, 3\)"),
        ({"negatives": torch.ones(10, 4)}, r"negatives have 4 columns, the image embeddings 3"),
        ({"negatives": None}, r"has the term L: pass negatives="),
        ({"twin": None}, r"has the term D: pass twin="),
        ({"twin": torch.ones(6, 3)}, r"row i of location and twin must be one pair, .* 5 and 6 rows"),
    ],
)
def test_bad_batches(name, change, message):
    inputs = {"location": torch.ones(5, 3), "image": torch.ones(5, 3)}
    inputs |= {"negatives": torch.ones(10, 3), "twin": torch.ones(5, 3)} | change
    with pytest.raises(ValueError, match=message):
        Objective(name)(**inputs)


def test_bad_batches_of_the_other_forms():
    with pytest.raises(ValueError, match=r"NCE compares each pair with the others .* has one row: use at least 2"):
        Objective("NCE-B")(torch.ones(1, 3), torch.ones(1, 3))
    batch = torch.ones(2, 3)
    with pytest.raises(ValueError, match="MC-B compares with its batch alone: GEOCLIP-B is the form that takes queue="):
        Objective("MC-B")(batch, batch, queue=batch)
    with pytest.raises(ValueError, match="location has 3 columns and queue 4"):
        Objective("GEOCLIP-B")(batch, batch, queue=torch.ones(2, 4))
    with pytest.raises(ValueError, match="same_place_km is set: pass places="):
        Objective("MC-B", same_place_km=0)(batch, batch)
    with pytest.raises(ValueError, match="the mask was made of 2 places, but there are 4 candidates"):
        Objective("GEOCLIP-B", same_place_km=0)(batch, batch, queue=batch, places=torch.zeros(2, 2))
    with pytest.raises(ValueError, match=r"temperature names the term 'L', but those of 'MC-B' that have it: B"):
        Objective("MC-B")(batch, batch, temperature={"L": torch.tensor(1.0)})
    with pytest.raises(ValueError, match=r"bias names the term 'B', but those of 'MC-B' that have it: none"):
        Objective("MC-B")(batch, batch, bias={"B": torch.tensor(1.0)})
    with pytest.raises(ValueError, match="location has 3 columns and image 4"):
        Objective("MSE")(torch.ones(2, 3), torch.ones(2, 4))
    with pytest.raises(ValueError, match="the batch is empty"):
        Objective("MSE")(torch.ones(0, 3), torch.ones(0, 3))
