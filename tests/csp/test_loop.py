"""The loop: exact resume, whatever the moment of the kill; metrics; and refusals."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from locenc_csp.checkpoints import CHECKPOINT, read_checkpoint
from locenc_csp.loop import fit
from locenc_csp.metrics_log import METRICS
from locenc_csp.recipes import Schedule

SCHEDULE = Schedule(epochs=3, batch_size=8, lr=1e-2, save_every=5, log_every=2)
ROWS = torch.arange(60)
TARGET = torch.linspace(-1, 1, 60)[:, None] ** 2


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(1, 16), nn.Dropout(0.3), nn.ReLU(), nn.Linear(16, 1))


class StoppedError(Exception):
    pass


def train(
    model: nn.Module,
    folder: Path | None,
    *,
    stop_at: int | None = None,
    schedule: Schedule = SCHEDULE,
    **options: object,
) -> list[list[int]]:
    """Train, noting the batches; raise at a step, after which nothing of the loop may be lost but its last steps."""
    seen: list[list[int]] = []

    def step(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        if stop_at is not None and len(seen) == stop_at:
            raise StoppedError
        seen.append(batch.tolist())
        noise = torch.randn(len(batch), 1, generator=generator) * 0.01
        loss = ((model(TARGET[batch] + noise) - TARGET[batch]) ** 2).mean()
        return loss, {"B": loss.detach()}

    fit(step, model, ROWS, schedule, folder=folder, **options)
    return seen


def weights(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.mark.parametrize("stop_at", [0, 1, 4, 5, 6, 12, 20])
def test_a_run_that_stopped_ends_in_the_same_bits(stop_at: int, tmp_path: Path) -> None:
    whole, model = network(), network()
    train(whole, None)
    with pytest.raises(StoppedError):
        train(model, tmp_path, stop_at=stop_at)
    again = network()
    torch.rand(7)  # the caller's random numbers do not matter
    train(again, tmp_path)
    assert torch.equal(weights(again), weights(whole))


def test_the_callers_generator_is_left_alone() -> None:
    model, state = network(), torch.get_rng_state()
    train(model, None)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_finished_run_trains_no_further(tmp_path: Path) -> None:
    model = network()
    train(model, tmp_path)
    again = network()
    assert train(again, tmp_path) == []
    assert torch.equal(weights(again), weights(model))


def test_every_epoch_sees_each_row_once_in_another_order() -> None:
    batches = train(network(), None)
    epochs = [[row for batch in batches[start : start + 7] for row in batch] for start in (0, 7, 14)]
    assert all(len(set(epoch)) == 56 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_fewer_rows_than_a_batch() -> None:
    assert {len(batch) for batch in train(network(), None, schedule=replace(SCHEDULE, batch_size=100))} == {60}


def test_metrics_have_every_step_once(tmp_path: Path) -> None:
    def validate() -> dict[str, float]:
        assert not torch.is_grad_enabled()
        return {"validation_recall_at_1": 0.5}

    with pytest.raises(StoppedError):
        train(network(), tmp_path, stop_at=9, validate=validate)
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 9, "lo')  # what a kill may leave
    model = network()
    train(model, tmp_path, validate=validate)
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    logged = [line for line in lines if "loss" in line]
    assert [line["step"] for line in logged] == [2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21]
    assert set(logged[0]) == {"step", "epoch", "lr", "loss", "loss_B", "samples_per_second"}
    assert [line["step"] for line in lines if "validation_recall_at_1" in line] == [7, 14, 21]
    assert model.training


def test_the_loss_falls_and_the_rate_rises_then_falls(tmp_path: Path) -> None:
    train(network(), tmp_path, schedule=replace(SCHEDULE, epochs=40))
    lines = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert lines[-1]["loss"] < 0.3 * lines[0]["loss"]
    rates = [line["lr"] for line in lines]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(1e-2, rel=0.05)


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    train(network(), tmp_path, fingerprint={"objective": "NCE-B", "schedule": {"lr": 0.1}})
    with pytest.raises(ValueError, match=r"belongs to another run: schedule\.lr was 0\.1, now 0\.2\. Choose another"):
        train(network(), tmp_path, fingerprint={"objective": "NCE-B", "schedule": {"lr": 0.2}})


@pytest.mark.parametrize("cut", [1, 200, 10_000])
def test_a_truncated_checkpoint(cut: int, tmp_path: Path) -> None:
    train(network(), tmp_path)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged or cut short.*delete it to start over"):
        train(network(), tmp_path)


def test_a_missing_or_foreign_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*checkpoint\.pt"):
        read_checkpoint(tmp_path / CHECKPOINT)
    torch.save({"weights": 1}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match="it lacks fingerprint, model, step"):
        read_checkpoint(tmp_path / CHECKPOINT)


def test_no_code_in_a_checkpoint_runs(tmp_path: Path) -> None:
    class Code:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    torch.save({"step": 1, "fingerprint": "{}", "model": Code()}, tmp_path / CHECKPOINT)
    with pytest.raises(ValueError, match="damaged"):
        read_checkpoint(tmp_path / CHECKPOINT)
    assert not (tmp_path / "ran").exists()


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path, file_size_limit: Callable) -> None:
    with pytest.raises(StoppedError):
        train(network(), tmp_path, stop_at=7)
    size = (tmp_path / CHECKPOINT).stat().st_size
    message = r"cannot write .*checkpoint\.pt: File too large.*is untouched"
    with pytest.raises(OSError, match=message), file_size_limit(size // 2):
        train(network(), tmp_path)
    with pytest.raises(OSError, match=r"cannot write .*metrics\.jsonl: File too large"), file_size_limit(1):
        train(network(), tmp_path)
    assert read_checkpoint(tmp_path / CHECKPOINT)["step"] == 5
    whole, again = network(), network()
    train(whole, None)
    train(again, tmp_path)
    assert torch.equal(weights(again), weights(whole))
    assert not list(tmp_path.glob(".*.tmp"))


def test_no_rows_and_no_finite_loss() -> None:
    def step(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, Mapping[str, Tensor]]:
        return model(TARGET[batch]).mean() * float("nan"), {}

    model = network()
    with pytest.raises(ValueError, match="no rows to train on"):
        fit(step, model, ROWS[:0], SCHEDULE)
    with pytest.raises(FloatingPointError, match="the loss is nan at step 0: lower the learning rate"):
        fit(step, model, ROWS, SCHEDULE)
