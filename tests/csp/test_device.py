"""Training on a device: what the host waits for, where things are, what is asked of a device; on CUDA where it is."""

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

sys.path.append(str(Path(__file__).resolve().parents[2]))  # benchmarks is not installed

import locenc
from benchmarks import gpu_step, peers
from locenc_csp import device_rows
from locenc_csp.cli import main
from locenc_csp.device_rows import image_rows
from locenc_csp.evaluating import evaluate
from locenc_csp.features import open_features
from locenc_csp.finetuning import finetune
from locenc_csp.loop import fit
from locenc_csp.losses import Losses, numbers
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Evaluate, Finetune, Pretrain, Schedule

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.2})
SCHEDULE = Schedule(epochs=2, batch_size=32, lr=5e-3, save_every=3, log_every=2)
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")


def recipe(small: object, out: str = "run", **changes: object) -> Pretrain:
    settings = {"split": "split", "encoder": ENCODER, "schedule": SCHEDULE, "image_components": 8, **changes}
    return Pretrain(small.table_path, small.features, out=small.folder / out, **settings)


def losses(out: Path) -> list[float]:
    lines = map(json.loads, (out / "metrics.jsonl").read_text().splitlines())
    return [line["loss"] for line in lines if "loss" in line]


# Trips to the host


def test_between_lines_of_the_log_the_host_reads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "asked", {})
    report = gpu_step.main(["--quick"])
    assert len(report.targets) == 6
    assert all(target.met for target in report.targets)


def test_a_trip_is_counted() -> None:
    model = nn.Linear(2, 1)

    def step(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        loss = model(rows[:, None].float().expand(-1, 2)).square().mean()
        return loss * (1 if loss.item() > 0 else 2), {}

    assert gpu_step.trips(step, model, size=4)[gpu_step.READS] == gpu_step.STEPS


# Losses


def test_losses_are_looked_at_together() -> None:
    kept = Losses(3)
    kept.look(0)
    for value in (1.0, 2.0, 3.0):
        kept.keep(torch.tensor(value, requires_grad=True))
    kept.look(2)
    kept.keep(torch.tensor(0.5))
    kept.keep(torch.tensor(torch.inf))
    kept.keep(torch.tensor(torch.nan))
    with pytest.raises(FloatingPointError, match="the loss is inf at step 11: lower the learning rate"):
        kept.look(12)


def test_nothing_is_saved_after_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    model, calls = nn.Linear(2, 1), []

    def step(rows: Tensor, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        calls.append(1)
        return model(rows[:, None].float().expand(-1, 2)).mean() * (torch.nan if len(calls) == 8 else 1), {}

    schedule = Schedule(steps=40, batch_size=4, save_every=3, log_every=20)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 7"):
        fit(step, model, torch.arange(40), schedule, folder=tmp_path, progress=False)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert content["step"] == 6
    assert all(value.isfinite().all() for value in content["model"].values())


def test_numbers_keep_their_digits() -> None:
    found = numbers({"a": torch.tensor(0.1), "b": torch.tensor(0.1, dtype=torch.float64, requires_grad=True)})
    assert found == {"a": float(torch.tensor(0.1)), "b": 0.1}


# What a step reads


def test_image_features_on_a_device_and_from_their_file(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    features, image_of = open_features(small.features), np.random.default_rng(0).permutation(240)
    rows = torch.tensor([3, 200, 3])
    expected = torch.from_numpy(np.array(features.values))[torch.from_numpy(image_of)[rows]]
    assert torch.equal(image_rows(features, torch.device("cpu"), image_of=image_of)(rows), expected)
    monkeypatch.setattr(device_rows, "ROWS_PER_COPY", 100)
    assert torch.equal(device_rows._copied(features.values, torch.device("cpu")), torch.from_numpy(+features.values))
    assert image_rows(features, torch.device("meta"), image_of=image_of)(rows.to("meta")).shape == (3, 12)


def test_features_that_do_not_fit(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10_000, 20_000))
    with pytest.raises(ValueError, match=r"take 0\.0 GB, but cuda has 0\.0 GB free: train on the CPU"):
        image_rows(open_features(small.features), torch.device("cuda"))


# Recipes


def test_bfloat16(small: object) -> None:
    plain, rough = recipe(small), recipe(small, "rough", bfloat16=True)
    for job in (plain, rough):
        encoder = locenc.from_pretrained(pretrain(job, progress=False))
        assert next(encoder.parameters()).dtype == torch.float32
    assert losses(plain.out) != losses(rough.out)
    np.testing.assert_allclose(losses(plain.out), losses(rough.out), rtol=0.05)
    with pytest.raises(ValueError, match="bfloat16 was True, now False"):
        pretrain(replace(rough, bfloat16=False), progress=False)


def test_the_device_is_no_part_of_a_run(small: object) -> None:
    first = pretrain(recipe(small, device="cpu"), progress=False)
    before = (first / "model.safetensors").read_bytes()
    assert (pretrain(recipe(small), progress=False) / "model.safetensors").read_bytes() == before
    job = Finetune(small.table_path, small.folder / "tuned", "label", pretrained=first.parent, steps=3, device="cpu")
    assert finetune(job, progress=False) == finetune(replace(job, device="auto"), progress=False)
    scores = [
        evaluate(Evaluate(job.out, small.table_path, features=small.features, device=name))["scores"]
        for name in ("cpu", "auto")
    ]
    assert torch.cuda.is_available() or scores[0] == scores[1]


def test_devices_that_are_not_here(small: object, capsys: pytest.CaptureFixture[str]) -> None:
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device 'cuda' was asked for, but torch finds no CUDA device"):
            pretrain(recipe(small, device="cuda"), progress=False)
    where = ["--table", str(small.table_path), "--out", str(small.folder / "other")]
    assert main(["pretrain", *where, "--features", str(small.features), "--device", "gpu"]) == 1
    assert "device must be 'auto', 'cpu', 'cuda' or 'cuda:0', got 'gpu'" in capsys.readouterr().err
    assert main(["finetune", *where, "--label", "label", "--device", "mps"]) == 1
    assert "mps has no float64" in capsys.readouterr().err


# On a card


@pytest.mark.cuda
@needs_cuda
@pytest.mark.parametrize("bfloat16", [False, True])
def test_on_cuda(small: object, bfloat16: bool) -> None:
    job = recipe(small, device="cuda", objective="MC-BLD", bfloat16=bfloat16, schedule=replace(SCHEDULE, epochs=40))
    encoder = locenc.from_pretrained(pretrain(job, progress=False))
    assert next(encoder.parameters()).is_cpu
    found = losses(job.out)
    assert np.mean(found[-10:]) < np.mean(found[:10]) - 0.1
    tuned = finetune(
        Finetune(small.table_path, small.folder / "tuned", "label", pretrained=job.out, device="cuda"), progress=False
    )
    assert tuned["chosen"]["val_top1"] > 0.6


@pytest.mark.cuda
@needs_cuda
def test_a_run_on_cuda_is_continued(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, cut = (recipe(small, out, device="cuda", objective="MC-BLD") for out in ("whole", "cut"))
    pretrain(whole, progress=False)
    look = Losses.look

    def interrupted(self: Losses, last: int) -> None:
        if last == 7:
            raise KeyboardInterrupt
        look(self, last)

    with monkeypatch.context() as patch:
        patch.setattr(Losses, "look", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pretrain(cut, progress=False)
    assert torch.load(cut.out / "checkpoint.pt", weights_only=True)["step"] == 6
    pretrain(cut, progress=False)
    np.testing.assert_allclose(losses(cut.out), losses(whole.out), rtol=1e-5)
