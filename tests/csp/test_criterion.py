"""Objectives in the training loop: what is learned and what is queued is trained, saved, continued and logged."""

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from locenc_csp.coordinate_queue import CoordinateQueue
from locenc_csp.criterion import Criterion
from locenc_csp.dual_encoder import DualEncoder
from locenc_csp.learned_temperature import LearnedTemperature
from locenc_csp.objectives import Objective
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Pretrain, Schedule

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.2})
SCHEDULE = Schedule(epochs=4, batch_size=32, lr=5e-3, save_every=3, log_every=1)


def recipe(small, out="run", **changes):
    settings = {"split": "split", "encoder": ENCODER, "schedule": SCHEDULE, "image_components": 8, **changes}
    return Pretrain(small.table_path, small.features, out=small.folder / out, **settings)


def metrics(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


class Places(nn.Module):
    """Embeds a place by four numbers of it, and remembers what it was asked."""

    def __init__(self):
        super().__init__()
        self.scale, self.asked = nn.Parameter(torch.ones(4)), []

    def forward(self, lonlat):
        self.asked.append(lonlat)
        waves = lonlat.float().deg2rad()
        return torch.cat([waves.sin(), waves.cos()], 1) * self.scale


def batch(first, count):
    lonlat = torch.stack([torch.arange(first, first + count), torch.arange(count)], 1).double()
    return lonlat, lonlat.float().cos() @ torch.ones(2, 4) + torch.arange(4)


def test_a_queue_brings_the_places_of_earlier_batches():
    objective = Objective("GEOCLIP-B", same_place_km=0)
    model, criterion = DualEncoder(Places(), nn.Identity()), Criterion(objective, queue=CoordinateQueue(5))
    first, second = batch(0, 3), batch(0, 4)
    alone, _ = criterion(model, *first)
    assert alone.item() == pytest.approx(objective(*model(*first), places=first[0])[0].item())
    model.location.asked.clear()
    found, terms = criterion(model, *second)
    assert [len(asked) for asked in model.location.asked] == [4, 3]
    location, image, *_ = model(*second)
    waiting = first[0]
    wanted, _ = objective(location, image, queue=model.embed_location(waiting), places=torch.cat([second[0], waiting]))
    assert found.item() == pytest.approx(wanted.item())
    unmasked, _ = Objective("GEOCLIP-B")(location, image, queue=model.embed_location(waiting))
    assert found < unmasked  # the three places of the first batch are those of the second
    assert set(terms) == {"B"}
    assert len(criterion.queue) == 5
    criterion.eval()(model, *first)
    assert torch.equal(criterion.queue()[-4:], second[0])  # evaluation appends nothing


def test_without_anything_to_keep_it_is_the_objective():
    objective = Objective("MC-BLD")
    model, criterion = DualEncoder(Places(), nn.Identity()), Criterion(objective)
    lonlat, features = batch(0, 3)
    random = lonlat + 7
    found, _ = criterion(model, lonlat, features, random)
    assert found == objective(*model(lonlat, features, negatives=random, twin=True))[0]
    assert not criterion.keeps_something
    assert not criterion.state_dict()
    assert criterion.values() == {}
    with pytest.raises(ValueError, match="MC-BLD compares with its batch alone"):
        Criterion(objective, queue=CoordinateQueue(2))


def test_learned_numbers_get_gradients():
    objective = Objective("SIGLIP-BL")
    model = DualEncoder(Places(), nn.Identity())
    criterion = Criterion(objective, learned=LearnedTemperature(objective, "B"))
    lonlat, features = batch(0, 3)
    criterion(model, lonlat, features, lonlat + 7)[0].backward()
    assert all(parameter.grad != 0 for parameter in criterion.parameters())
    assert criterion.values() == {"temperature_B": pytest.approx(0.1), "bias_B": -10}


CASES = {
    "CLIP-BD": {},
    "SIGLIP-BLD": {"learn": "BLD", "same_place_km": 1.0, "bias": {"B": -3, "L": -3, "D": -3}},
    "GEOCLIP-B": {"learn": "B", "queue_size": 50},
    "MC-BL": {"learn": "L", "same_place_km": 0.0, "temperature": {"L": 0.5}},
}


@pytest.mark.parametrize("objective", CASES)
def test_pretraining_goes_on_where_it_stopped(small, monkeypatch, objective):
    """The same bits, and the same lines of numbers, whether or not it was interrupted."""
    job = recipe(small, objective=objective, **CASES[objective])
    whole = pretrain(job, progress=False)
    step, count = Criterion.forward, 0

    def stop(*given, **options):
        nonlocal count
        count += 1
        if count == 11:
            raise KeyboardInterrupt
        return step(*given, **options)

    other = replace(job, out=small.folder / "other")
    monkeypatch.setattr(Criterion, "forward", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(other, progress=False)
    again = pretrain(other, progress=False)
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    lines = [
        [{k: v for k, v in line.items() if "samples" not in k} for line in metrics(one.out)] for one in (job, other)
    ]
    assert lines[0] == lines[1]
    learned = [line for line in lines[0] if any("temperature" in name for name in line)]
    assert len(learned) == (4 if "learn" in CASES[objective] else 0)  # once an epoch
    if learned:
        name = f"temperature_{CASES[objective]['learn'][0]}"
        assert learned[0][name] != learned[-1][name]


def test_the_loss_falls(small):
    for objective in ("CLIP-B", "SIGLIP-B", "GEOCLIP-B"):
        job = recipe(small, objective, objective=objective, learn="B", schedule=replace(SCHEDULE, epochs=15))
        pretrain(job, progress=False)
        found = [line["validation_median_km"] for line in metrics(job.out) if "validation_median_km" in line]
        assert min(found[-5:]) < 0.7 * found[0]
