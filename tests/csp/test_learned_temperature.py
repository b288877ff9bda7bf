"""Temperatures that are trained: where they start, their cap, what a checkpoint holds."""

import io
import math

import pytest
import torch

from locenc_csp.learned_temperature import LearnedTemperature
from locenc_csp.objectives import Objective


def batch(seed=0):
    generator = torch.Generator().manual_seed(seed)
    location = torch.randn(6, 4, generator=generator)
    return location, location + 0.1 * torch.randn(6, 4, generator=generator), -location, location


@pytest.mark.parametrize("name", ["MC-BLD", "NCE-B", "CLIP-BD", "SIGLIP-BLD", "GEOCLIP-B", "csp-inat2018"])
def test_starts_from_the_objective(name):
    objective = Objective(name)
    learned = LearnedTemperature(objective)
    inputs = batch()
    loss, _ = objective(*inputs, **learned())
    assert loss.item() == pytest.approx(objective(*inputs)[0].item(), rel=1e-5)
    loss.backward()
    assert len(list(learned.parameters())) == len(objective.terms) * (2 if "SIGLIP" in name else 1)
    assert all(parameter.grad.isfinite() for parameter in learned.parameters())
    assert all(parameter.grad != 0 for parameter in learned.parameters())


def test_gradient_by_the_log_scale():
    objective = Objective("SIGLIP-B")
    learned = LearnedTemperature(objective).double()
    inputs = [rows.double() for rows in batch()[:2]]

    def loss(log_scale, bias):
        return objective(*inputs, temperature={"B": torch.exp(-log_scale)}, bias={"B": bias})[0]

    given = (learned.log_scale["B"], learned.bias["B"])
    wanted = torch.autograd.grad(loss(*given), given)
    objective(*inputs, **learned())[0].backward()
    for parameter, gradient in zip(given, wanted, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


def test_chosen_terms():
    objective = Objective("MC-BLD", weight={"D": 0}, temperature={"B": 0.5})
    assert set(LearnedTemperature(objective)()["temperature"]) == {"B", "L"}
    learned = LearnedTemperature(objective, "B")
    assert learned().keys() == {"temperature", "bias"}
    assert list(learned.state_dict()) == ["log_scale.B"]
    assert learned.log_scale["B"].item() == pytest.approx(math.log(2))
    assert list(LearnedTemperature(Objective("SIGLIP-BL"), "L").state_dict()) == ["log_scale.L", "bias.L"]
    assert learned.values().keys() == {"temperature_B"}
    assert not learned.values()["temperature_B"].requires_grad
    assert repr(learned).splitlines()[1].strip() == "B, max_scale=100"


def test_training_stays_at_the_cap_and_comes_back():
    """Pairs that match pull the scale up to the cap; when they no longer do, it falls at once."""
    objective = Objective("CLIP-B", temperature=0.012)
    learned = LearnedTemperature(objective)
    optimiser = torch.optim.Adam(learned.parameters(), lr=0.05)
    location, image, *_ = batch()
    image = location.roll(1, 0) * 0.01 + image  # some loss is left, so that the gradient does not vanish
    for _ in range(20):
        optimiser.zero_grad()
        objective(location, image, **learned())[0].backward()
        optimiser.step()
    assert 1 / learned()["temperature"]["B"].item() == pytest.approx(100, rel=1e-5)
    assert learned.log_scale["B"].item() <= math.log(100) + 1e-6
    for _ in range(20):
        optimiser.zero_grad()
        objective(location, -image, **learned())[0].backward()
        optimiser.step()
    assert 1 / learned()["temperature"]["B"].item() < 95


def test_no_gradient_beyond_the_cap():
    learned = LearnedTemperature(Objective("CLIP-B"), max_scale=20).eval()
    with torch.no_grad():
        learned.log_scale["B"].fill_(5.0)
    temperature = learned()["temperature"]["B"]
    assert temperature.item() == pytest.approx(1 / 20)
    temperature.backward()
    assert learned.log_scale["B"].grad == 0
    assert learned.log_scale["B"] == 5  # evaluation changes nothing
    learned.train()()
    assert learned.log_scale["B"].item() == pytest.approx(math.log(20))


def test_a_checkpoint_continues_to_the_same_bits():
    objective = Objective("SIGLIP-BLD")

    def train(learned, optimiser, steps):
        for step in steps:
            optimiser.zero_grad()
            objective(*batch(step), **learned())[0].backward()
            optimiser.step()

    def fresh():
        learned = LearnedTemperature(objective)
        return learned, torch.optim.AdamW(learned.parameters(), lr=0.01)

    whole, part = fresh(), fresh()
    train(*whole, range(6))
    train(*part, range(3))
    file = io.BytesIO()
    torch.save([one.state_dict() for one in part], file)
    file.seek(0)
    again = fresh()
    for one, state in zip(again, torch.load(file, weights_only=True), strict=True):
        one.load_state_dict(state)
    train(*again, range(3, 6))
    for name, value in whole[0].state_dict().items():
        assert torch.equal(value, again[0].state_dict()[name])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("MC-B", {"terms": "BL"}, r"MC-B computes terms with a temperature: B; asked to learn 'L'"),
        ("MC-B", {"terms": ""}, r"asked to learn none"),
        ("MSE", {}, r"MSE computes terms with a temperature: none; asked to learn none"),
        ("MC-B", {"max_scale": 0}, r"max_scale must be positive and finite, got 0"),
        ("MC-B", {"max_scale": 5}, r"the temperature of B starts at 0\.1, below 1/5: start higher, or raise"),
    ],
)
def test_bad_settings(name, options, message):
    with pytest.raises(ValueError, match=message):
        LearnedTemperature(Objective(name), **options)
