"""Early stop in fine-tuning: the best weights, own rates for the encoder, and a kill at any moment."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from locenc_csp.early_stop import EarlyStop
from locenc_csp.finetuned import load_finetuned
from locenc_csp.finetuning import finetune
from locenc_csp.recipes import Encoder, Finetune

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.2})


def recipe(small: object, out: str = "tuned", **changes: object) -> Finetune:
    settings = {"modes": ("full",), "lrs": (1e-2,), "batch_size": 16, "encoder": ENCODER, "save_every": 3, **changes}
    return Finetune(small.table_path, small.folder / out, "label", **settings)


def evaluations(job: Finetune) -> list[float]:
    (metrics,) = job.out.glob("candidates/*/metrics.jsonl")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return [line["val_top1"] for line in lines if "val_top1" in line]


def test_it_keeps_the_first_of_the_best() -> None:
    model = torch.nn.Linear(1, 1, bias=False)
    stop = EarlyStop(model, "top1", 3)
    for number, value in enumerate([0.1, 0.5, 0.4, 0.5, 0.2, 0.3]):
        assert not stop.is_over or number == 5
        model.weight.data.fill_(number)
        stop.look({"top1": value, "other": -value})
    assert stop.is_over
    again = EarlyStop(torch.nn.Linear(1, 1, bias=False), "top1", 3)
    again.load_state_dict(stop.state_dict())
    assert again.is_over
    again.restore()
    assert again.model.weight.item() == 1


def test_training_ends_and_the_best_weights_are_saved(small: object) -> None:
    job = recipe(small, epochs=200, patience=4)
    result = finetune(job, progress=False)
    values = evaluations(job)
    assert len(values) < 200
    best = values.index(max(values))
    assert len(values) == best + 5
    assert result["chosen"]["val_top1"] == values[best]
    assert not list(job.out.rglob("checkpoint.pt"))


def test_the_end_is_evaluated_too(small: object) -> None:
    job = recipe(small, steps=10, patience=100, validate_every=4)
    finetune(job, progress=False)
    assert len(evaluations(job)) == 3  # after 4, 8 and 10


def test_no_rows_to_stop_by(small: object) -> None:
    job = recipe(small, patience=3, split="role")
    table = small.table
    from locenc_csp.datasets.table import PlaceTable
    from locenc_csp.datasets.table_files import write_table

    roles = ["train" if role == "train" else "test" for role in table.columns["split"]]
    write_table(PlaceTable(table.ids, table.lonlat, {**table.columns, "role": roles}), small.table_path)
    with pytest.raises(ValueError, match="no row to stop by: none has role 'val' in 'role'"):
        finetune(job, progress=False)


def test_own_rates(small: object) -> None:
    """With a rate near 0 the encoder stays what it was, and the head alone is trained."""
    slow = recipe(small, steps=30, encoder_lr_factor=1e-12, encoder_weight_decay=0.0)
    finetune(slow, progress=False)
    still = recipe(small, "still", steps=1, lrs=(1e-12,), weight_decay=0.0)
    finetune(still, progress=False)
    first, second = (load_finetuned(job.out)[:2] for job in (slow, still))
    for moved, fixed in zip(first[0].parameters(), second[0].parameters(), strict=True):
        assert torch.allclose(moved, fixed, rtol=0, atol=1e-7)
    assert not torch.allclose(first[1].weight, second[1].weight, rtol=0, atol=1e-2)


def test_the_published_settings_run(small: object) -> None:
    job = recipe(
        small, head="presence-csp", epochs=200, lr_decay=0.98, weight_decay=0.0, max_grad_norm=None,
        negatives="official-ellipse", max_per_class=10,
    )  # fmt: skip
    assert finetune(job, progress=False)["chosen"]["val_top1"] > 0.5


def test_a_run_that_stopped_is_continued_by_no_other(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    job = recipe(small, steps=20)
    whole = finetune(replace(job, out=small.folder / "whole"), progress=False)
    with monkeypatch.context() as patched:
        patched.setattr("locenc_csp.finetuning.save_head", None)
        with pytest.raises(TypeError):
            finetune(job, progress=False)
    with pytest.raises(
        ValueError, match=r"belongs to another run: recipe\.steps was 20, now 21\. .* delete .*full-0\.01"
    ):
        finetune(replace(job, steps=21), progress=False)
    assert finetune(replace(job, save_every=7), progress=False) == whole


def test_a_result_of_before_an_option_existed_is_finished(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    job = recipe(small, steps=5)
    finetune(job, progress=False)
    result = json.loads((job.out / "result.json").read_text())
    assert result["recipe"].pop("penalties") == [1.0, 0.1, 0.01, 0.001, 0.0001]
    assert result["recipe"].pop("patience") is None
    (job.out / "result.json").write_text(json.dumps(result))
    monkeypatch.setattr("locenc_csp.candidates.fit", None)
    assert finetune(job, progress=False) == result
    with pytest.raises(ValueError, match=r"holds another fine-tuning run: recipe\.patience was None, now 3"):
        finetune(replace(job, patience=3), progress=False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"patience": 0}, "patience must be a whole number of at least 1, got 0"),
        ({"validate_every": 3}, "validate_every is for early stop: give patience too"),
        ({"steps": 3, "epochs": 4}, "steps and epochs both say how long: give one, got 3 and 4"),
        ({"encoder_lr_factor": -1.0}, "encoder_lr_factor must be positive and finite"),
        ({"encoder_weight_decay": -1.0}, "encoder_weight_decay must be 0 or more and finite"),
        ({"penalties": (1.0, 0.0)}, r"penalties must be positive and finite, got 0\.0"),
        ({"neighbours": (3, 0)}, "neighbours must be a whole number of at least 1, got 0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Finetune(Path(), Path(), "label", **settings)


def long_run(folder: Path, out: str) -> Finetune:
    return Finetune(
        folder / "table.parquet", folder / out, "label", encoder=ENCODER, batch_size=16, save_every=3, epochs=40,
        patience=12, head="presence", lrs=(1e-2, 2e-3), encoder_lr_factor=0.5,
    )  # fmt: skip


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from test_early_stop import finetune, long_run
print("begin", flush=True)
finetune(long_run(Path(sys.argv[2]), "killed"), progress=False)
"""


def start(small: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(small.folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    return process


@pytest.fixture
def one_thread() -> Iterator[None]:
    count = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(count)


def saves(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait for so many new checkpoints, of whatever candidate, or for the end of the process."""
    seen: set[tuple[str, int]] = set()
    while process.poll() is None and len(seen) <= count:
        for path in folder.glob("candidates/*/checkpoint.pt"):
            seen.add((path.parent.name, path.stat().st_mtime_ns))
        time.sleep(0.002)


@pytest.mark.usefixtures("one_thread")
def test_killed_at_any_moment_it_ends_in_the_same_bits(small: object) -> None:
    whole, killed = small.folder / "whole", small.folder / "killed"
    result = finetune(long_run(small.folder, "whole"), progress=False)
    for count, wait in ((2, 0.01), (12, 0.02)):
        with start(small) as process:
            saves(killed, count, process)
            time.sleep(wait)
            assert process.poll() is None, "the run ended before it was killed"
            process.send_signal(signal.SIGKILL)
    assert not (killed / "result.json").exists()
    assert finetune(long_run(small.folder, "killed"), progress=False) == result
    for name in ("encoder/model.safetensors", "head.safetensors", "result.json"):
        assert (killed / name).read_bytes() == (whole / name).read_bytes()
    for path in whole.glob("candidates/*/metrics.jsonl"):
        steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
        same = (killed / path.relative_to(whole)).read_text().splitlines()
        assert [json.loads(line)["step"] for line in same] == steps  # nothing is logged twice, nothing is lost
