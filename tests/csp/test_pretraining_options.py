"""Options of pre-training that are off unless asked for: jitter, balanced epochs, rates that decay."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import locenc
from locenc_csp.pretraining import load_dual_encoder, pretrain
from locenc_csp.recipes import Encoder, Pretrain, Schedule

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.2})
SCHEDULE = Schedule(epochs=2, batch_size=16, lr=5e-3, log_every=1)


def recipe(small: object, out: str = "run", **changes: object) -> Pretrain:
    settings = {"split": "split", "encoder": ENCODER, "schedule": SCHEDULE, "image_components": 8, **changes}
    return Pretrain(small.table_path, small.features, out=small.folder / out, **settings)


def lines(job: Pretrain) -> list[dict[str, float]]:
    pretrain(job, progress=False)
    read = [json.loads(line) for line in (job.out / "metrics.jsonl").read_text().splitlines()]
    return [line for line in read if "loss" in line]


def test_jitter_moves_what_is_embedded_a_little(small: object) -> None:
    first = [line["loss"] for line in lines(recipe(small))]
    near = [line["loss"] for line in lines(recipe(small, "near", jitter_m=1e-3))]
    far = [line["loss"] for line in lines(recipe(small, "far", jitter_m=1e6))]
    assert near[0] == pytest.approx(first[0], rel=1e-5)
    assert abs(far[0] - first[0]) > 1e-3


def test_a_balanced_epoch(small: object) -> None:
    limited = lines(recipe(small, max_per_class=8, label="label"))
    assert [line["step"] for line in limited] == [1, 2]  # 3 classes, 24 rows, one batch of 16
    with pytest.raises(ValueError, match=r"'lable'.*label"):
        pretrain(recipe(small, "typo", max_per_class=8, label="lable"), progress=False)


@pytest.mark.parametrize("lr_decay", [1.0, 0.5])
def test_a_rate_that_decays(small: object, lr_decay: float) -> None:
    schedule = replace(SCHEDULE, epochs=3, lr_decay=lr_decay, weight_decay=0.0, vector_decay=0.1, max_grad_norm=None)
    found = lines(recipe(small, schedule=schedule))
    assert [line["lr"] for line in found] == [5e-3 * lr_decay ** line["epoch"] for line in found]


def test_one_step_of_adam_by_hand() -> None:
    from locenc_csp.loop import fit
    from locenc_csp.optimisers import Group

    model = torch.nn.ModuleList([torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)])
    before = [parameter.detach().clone() for parameter in model.parameters()]

    def step(batch: torch.Tensor, generator: torch.Generator) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        return sum(3 * parameter.sum() for parameter in model.parameters()), {}

    schedule = Schedule(steps=1, batch_size=1, lr=0.1, lr_decay=1.0, weight_decay=0.5, vector_decay=0.25,
                        max_grad_norm=None)  # fmt: skip
    fit(step, model, torch.arange(1), schedule, groups=[Group(model[1], 0.1, 0.2)], progress=False)
    for parameter, old, lr, decay in zip(
        model.parameters(), before, (0.1, 0.1, 0.01, 0.01), (0.5, 0.25, 0.2, 0.25), strict=True
    ):
        expected = old * (1 - lr * decay) - lr  # Adam's first step is lr times the gradient's sign
        assert torch.allclose(parameter, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schedule(lr_decay=0.0), r"lr_decay must be positive and finite, got 0\.0"),
        (lambda: Schedule(vector_decay=-1.0), r"vector_decay must be 0 or more and finite, got -1\.0"),
        (lambda: Schedule(max_grad_norm=0.0), "max_grad_norm must be positive and finite"),
        (lambda: Pretrain(Path(), Path(), out=Path(), jitter_m=0.0), "jitter_m must be positive and finite"),
        (lambda: Pretrain(Path(), Path(), out=Path(), max_per_class=5), "max_per_class and label belong together"),
        (
            lambda: Pretrain(Path(), Path(), out=Path(), jitter_m=600.0, same_place_km=1.0),
            r"up to 1200 m apart, but same_place_km is 1: give at least 1\.2",
        ),
    ],
)
def test_settings_out_of_range(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_run_of_before_an_option_existed_goes_on(small: object) -> None:
    job = recipe(small)
    pretrain(job, progress=False)
    saved = torch.load(job.out / "checkpoint.pt", weights_only=True)
    old = json.loads(saved["fingerprint"])
    assert old.pop("jitter_m", 1) is None
    torch.save({**saved, "fingerprint": json.dumps(old)}, job.out / "checkpoint.pt")
    weights = (job.out / "encoder" / "model.safetensors").read_bytes()
    pretrain(job, progress=False)
    assert (job.out / "encoder" / "model.safetensors").read_bytes() == weights
    with pytest.raises(ValueError, match=r"jitter_m was None, now 5\.0"):
        pretrain(replace(job, jitter_m=5.0), progress=False)


@pytest.mark.parametrize("objective", ["MC-B", "GEOCLIP-B", "MSE"])
def test_a_runs_image_branch_is_loaded_too(small: object, objective: str) -> None:
    job = recipe(small, objective=objective)
    encoder = locenc.from_pretrained(pretrain(job, progress=False))
    model = load_dual_encoder(job)
    assert not model.training
    lonlat = torch.tensor(small.table.lonlat[:4])
    assert torch.equal(model.embed_location(lonlat), encoder(lonlat))
    saved = list(torch.load(job.out / "checkpoint.pt", weights_only=True)["model"].values())
    loaded = list(model.state_dict().values())
    assert len(loaded) == 11
    assert all(torch.equal(one, other) for one, other in zip(loaded, saved, strict=False))
    with pytest.raises(ValueError, match=r"checkpoint\.pt is not of this recipe"):
        load_dual_encoder(replace(job, encoder=replace(ENCODER, dim=8)))
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_dual_encoder(replace(job, out=small.folder / "nowhere"))
