"""CLIP, SigLIP and GeoCLIP, masks and learned numbers in objectives: formulas, and results of the published codes."""

import loss_formulas as formulas
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from locenc_csp.clip_terms import geoclip_batch, siglip_batch, siglip_location
from locenc_csp.objectives import Objective

EXACT = {"rtol": 1e-12, "atol": 1e-14}
T = {"B": 0.3, "L": 0.5, "D": 2.0}
BIAS = {"B": -2.0, "L": -1.0, "D": 0.5}


def embeddings(seed=0, batch=5, dim=4, count=2):
    """Location, image, negatives, twin: random raw embeddings."""
    generator = torch.Generator().manual_seed(seed)
    rows = [batch, batch, count * batch, batch]
    return [3 * torch.randn(n, dim, generator=generator, dtype=torch.float64).requires_grad_() for n in rows]


LONLAT = torch.tensor([[10.0, 50.0], [2.0, 48.0], [10.0, 50.0], [10.001, 50.0], [-70.0, -12.0]], dtype=torch.float64)


def expected(form, location, image, negatives, twin, out=None):
    """The terms by the formulas."""
    if form == "SIGLIP":
        values = (
            formulas.siglip(location, image, T["B"], BIAS["B"], out),
            formulas.random_alone(image, negatives, T["L"], BIAS["L"]),
            formulas.siglip(location, twin, T["D"], BIAS["D"], out),
        )
    elif form == "NCE":
        values = (
            formulas.noise(location, image, T["B"], out),
            formulas.random_alone(image, negatives, T["L"]) / 2,
            formulas.noise(location, twin, T["D"], out),
        )
    else:
        pairs = formulas.both_ways if form == "CLIP" else formulas.softmax
        values = (
            pairs(location, image, T["B"], out),
            formulas.own_random(location, image, negatives, T["L"]),
            pairs(location, twin, T["D"], out),
        )
    return dict(zip("BLD", values, strict=True))


def build(name, **options):
    bias = {letter: BIAS[letter] for letter in name.split("-")[1]} if name.startswith("SIGLIP") else None
    temperature = {letter: T[letter] for letter in name.split("-")[1]}
    return Objective(name, temperature=temperature, bias=bias, **options)


@pytest.mark.parametrize("km", [None, 0.0, 1.0])
@pytest.mark.parametrize("form", ["MC", "NCE", "CLIP", "SIGLIP"])
def test_terms_agree_with_the_formulas(form, km):
    inputs = embeddings()
    out = None if km is None else formulas.excluded(LONLAT, km)
    loss, values = build(f"{form}-BLD", same_place_km=km)(*inputs, places=LONLAT)
    wanted = expected(form, *inputs, out)
    for letter, value in wanted.items():
        assert_close(values[letter], value.detach(), **EXACT)
    assert_close(loss, sum(wanted.values()), **EXACT)
    found = torch.autograd.grad(loss, inputs)
    for one, other in zip(found, torch.autograd.grad(sum(wanted.values()), inputs), strict=True):
        assert_close(one, other, **EXACT)


@pytest.mark.parametrize("km", [None, 0.0])
def test_geoclip_compares_with_the_batch_then_the_queue(km):
    location, image, queue, _ = embeddings()
    there = torch.cat([LONLAT, LONLAT.flip(0), LONLAT + 1])
    out = None if km is None else formulas.excluded(there, km)
    objective = build("GEOCLIP-B", same_place_km=km)
    loss, values = objective(location, image, queue=queue, places=there)
    wanted = formulas.softmax(image, torch.cat([location, queue]), T["B"], out)
    assert_close(loss, wanted, **EXACT)
    assert set(values) == {"B"}
    found = torch.autograd.grad(loss, (location, image, queue))
    for one, other in zip(found, torch.autograd.grad(wanted, (location, image, queue)), strict=True):
        assert_close(one, other, **EXACT)
    alone = formulas.softmax(image, location, T["B"])
    assert_close(build("GEOCLIP-B")(location, image)[0], alone, **EXACT)
    assert_close(build("GEOCLIP-B")(location, image, queue=queue[:0])[0], alone, **EXACT)


def test_a_mask_keeps_the_pair_itself():
    """All at one place: nothing is a negative, and each form is left with its pairs."""
    location, image, negatives, twin = embeddings()
    there = LONLAT[:1].repeat(5, 1)
    for form in ("MC", "CLIP"):
        _, values = build(f"{form}-BLD", same_place_km=0)(location, image, negatives, twin, places=there)
        assert values["B"].item() == pytest.approx(0, abs=1e-15)
        assert values["D"].item() == pytest.approx(0, abs=1e-15)
    own = formulas.cosines(location, image).diagonal() / T["B"]
    _, values = build("NCE-B", same_place_km=0)(location, image, places=there)
    assert_close(values["B"], formulas.minus_log_sigmoid(own).mean().detach(), **EXACT)
    _, values = build("SIGLIP-B", same_place_km=0)(location, image, places=there)
    assert_close(values["B"], formulas.minus_log_sigmoid(own + BIAS["B"]).mean().detach(), **EXACT)


def test_no_two_at_one_place_is_no_mask():
    inputs = embeddings()
    for form in ("MC", "NCE", "CLIP", "SIGLIP"):
        free, _ = build(f"{form}-BLD")(*inputs)
        masked, _ = build(f"{form}-BLD", same_place_km=0)(*inputs, places=torch.arange(10.0).view(5, 2))
        assert_close(free, masked, **EXACT)


@pytest.mark.parametrize("form", ["MC", "NCE", "CLIP", "SIGLIP", "GEOCLIP"])
def test_tensors_take_the_place_of_constants(form):
    name = form + ("-B" if form == "GEOCLIP" else "-BLD")
    inputs = embeddings()
    constant = build(name)
    loss, _ = constant(*inputs)
    given = {letter: torch.tensor(value, requires_grad=True) for letter, value in T.items() if letter in name[-3:]}
    bias = {letter: torch.tensor(value, requires_grad=True) for letter, value in BIAS.items()}
    other = Objective(name)
    learned, _ = other(*inputs, temperature=given, bias=bias if form == "SIGLIP" else None)
    assert learned.dtype == torch.float64
    assert_close(learned, loss, rtol=1e-6, atol=0)  # the scalars are in float32
    learned.backward()
    step = 1e-6
    for letter, value in given.items():
        numbers = {one: {**T, letter: T[letter] + one * step} for one in (1, -1)}
        ends = [
            build(name)(*inputs, temperature={letter: torch.tensor(numbers[one][letter], dtype=torch.float64)})[0]
            for one in (1, -1)
        ]
        assert value.grad.item() == pytest.approx((ends[0] - ends[1]).item() / (2 * step), rel=1e-4)
    if form == "SIGLIP":
        for letter, value in bias.items():
            ends = [
                build(name)(*inputs, bias={letter: torch.tensor(BIAS[letter] + one * step, dtype=torch.float64)})[0]
                for one in (1, -1)
            ]
            assert value.grad.item() == pytest.approx((ends[0] - ends[1]).item() / (2 * step), rel=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3))
def test_siglip_is_a_sum_over_couples(seed, count):
    """Two halves of random locations add up, and a batch of one couple has no negative."""
    location, image, negatives, _ = embeddings(seed, count=2 * count)
    halves = [siglip_location(image, part) for part in negatives.split(count * len(image))]
    assert_close(sum(halves), siglip_location(image, negatives), **EXACT)
    alone = siglip_batch(location[:1], image[:1])
    assert_close(alone, formulas.minus_log_sigmoid(formulas.cosines(location, image)[0, 0] / 0.1 - 10), **EXACT)


# Results of the published codes


def same(actual, wanted):
    """Largest difference relative to the largest value: at most 1e-12."""
    wanted = torch.as_tensor(wanted)
    assert actual.shape == wanted.shape
    assert (actual - wanted).abs().max() <= 1e-12 * wanted.abs().max()


def inputs_of(arrays):
    names = {"grad_loc": "loc", "grad_img": "img", "grad_neg": "neg"}
    return {grad: torch.tensor(arrays[name], requires_grad=True) for grad, name in names.items()}


def check_against(arrays, prefix, loss, leaves):
    """Value and gradients, all that there are."""
    loss.backward()
    keys = [key.removeprefix(prefix) for key in arrays if key.startswith(prefix)]
    assert "value" in keys
    for key in keys:
        same(loss.detach() if key == "value" else leaves[key].grad, arrays[prefix + key])


@pytest.mark.parametrize(("key", "scale"), [("s14.2857", 1 / 0.07), ("s100", 100.0)])
def test_satclip_code(golden, key, scale):
    arrays = golden("csp_losses.npz")
    leaves = inputs_of(arrays)
    loss, _ = Objective("CLIP-B", temperature=1 / scale)(leaves["grad_loc"], leaves["grad_img"])
    check_against(arrays, f"clip/{key}/", loss, leaves)


@pytest.mark.parametrize(("key", "scale"), [("s14.2857", 1 / 0.07), ("s100", 100.0)])
def test_geoclip_code(golden, key, scale):
    arrays = golden("csp_losses.npz")
    leaves = inputs_of(arrays)
    loss = geoclip_batch(leaves["grad_loc"], leaves["grad_img"], leaves["grad_neg"], 1 / scale)
    check_against(arrays, f"geoclip_queue/{key}/", loss, leaves)


def test_open_clip_code(golden):
    arrays = golden("csp_losses.npz")
    leaves = inputs_of(arrays)
    loss, _ = Objective("SIGLIP-B")(leaves["grad_loc"], leaves["grad_img"])
    check_against(arrays, "siglip/s10_b-10/", loss, leaves)
