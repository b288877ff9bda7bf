"""Pre-training on a small set: the loss falls, a kill at any moment changes no bit, no label is read, errors."""

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import locenc
from locenc._files import only_one
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from locenc_csp.pretraining import pretrain
from locenc_csp.recipes import Encoder, Pretrain, Schedule

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.2})
SCHEDULE = Schedule(epochs=4, batch_size=32, lr=5e-3, save_every=3, log_every=1)


def recipe(small: object, out: str = "run", **changes: object) -> Pretrain:
    settings = {"split": "split", "encoder": ENCODER, "schedule": SCHEDULE, "image_components": 8, **changes}
    return Pretrain(small.table_path, small.features, out=small.folder / out, **settings)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("objective", ["NCE-B", "NCE-BLD", "MC-BL", "MC-BLD", "csp-inat2018", "MSE"])
def test_the_loss_falls(small: object, objective: str) -> None:
    job = recipe(small, objective=objective, schedule=replace(SCHEDULE, epochs=40))
    encoder = locenc.from_pretrained(pretrain(job, progress=False))
    assert encoder(torch.tensor([[10.0, 20.0]])).shape == (1, 16)
    lines = [line for line in metrics(job.out) if "loss" in line]
    first, last = (np.mean([line["loss"] for line in part]) for part in (lines[:10], lines[-10:]))
    assert last < first - (0.02 if objective == "csp-inat2018" else 0.1)  # τ = 20 leaves B nearly constant


def test_every_number_is_logged(small: object) -> None:
    job = recipe(small, objective="MC-BLD", negatives="land")
    pretrain(job, progress=False)
    lines = metrics(job.out)
    assert {"step", "epoch", "lr", "loss", "loss_B", "loss_L", "loss_D", "samples_per_second"} == set(lines[0])
    validation = [line for line in lines if "validation_recall_at_10" in line]
    assert len(validation) == 4
    assert {"validation_recall_at_1", "validation_median_km"} <= set(validation[0])
    assert json.loads((job.out / "recipe.json").read_text())["objective"] == "MC-BLD"


def test_a_known_loss(small: object) -> None:
    job = recipe(small)
    pretrain(job, progress=False)
    losses = [line["loss"] for line in metrics(job.out) if "loss" in line]
    assert len(losses) == 4 * (179 // 32)  # 40 test rows and 20 held-out pairs are left out
    assert losses[0] == pytest.approx(2.7284, abs=1e-3)  # recorded; another processor rounds otherwise
    assert losses[-1] == pytest.approx(2.0304, abs=1e-2)


def test_pretraining_reads_no_label(small: object) -> None:
    first = weights(pretrain(recipe(small), progress=False))
    table = small.table
    columns = {"split": table.columns["split"], "label": table.columns["label"][::-1].copy()}
    write_table(PlaceTable(table.ids, table.lonlat, columns), small.table_path)
    assert weights(pretrain(recipe(small, "other"), progress=False)) == first


def test_test_rows_are_never_seen(small: object) -> None:
    first = weights(pretrain(recipe(small), progress=False))
    values = np.load(small.features / "features.npy")
    values[small.table.columns["split"] == "test"] = 1e6
    small.write_features(small.features, values, small.table.ids)
    assert weights(pretrain(recipe(small, "other"), progress=False)) == first


def test_shuffled_pairs_learn_nothing_that_holds(small: object) -> None:
    schedule = replace(SCHEDULE, epochs=60)
    found = []
    for shuffle in (False, True):
        job = recipe(small, f"run-{shuffle}", shuffle_pairs=shuffle, schedule=schedule)
        pretrain(job, progress=False)
        found.append([line["validation_median_km"] for line in metrics(job.out) if "validation_median_km" in line][-1])
    assert found[0] < 0.6 * found[1]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(1)
from test_pretraining import ENCODER, SCHEDULE, Pretrain, pretrain, replace
folder = Path(sys.argv[2])
job = Pretrain(folder / "table.parquet", folder / "features", out=folder / sys.argv[3], split="split",
               encoder=ENCODER, objective="MC-BLD", image_components=8, schedule=replace(SCHEDULE, epochs=30))
print("begin", flush=True)
pretrain(job, progress=False)
"""


def start(small: object, out: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(small.folder), out]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begin\n"
    return process


def changes(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Wait until a file was replaced so many times, or the process has ended."""
    seen = path.stat().st_mtime_ns if path.exists() else 0
    while count and process.poll() is None:
        now = path.stat().st_mtime_ns if path.exists() else 0
        count, seen = count - (now != seen), now
        time.sleep(0.001)


def test_killed_at_any_moment_it_ends_in_the_same_bits(small: object) -> None:
    with start(small, "whole") as process:
        assert process.wait() == 0
    moments, killed = random.Random(0), small.folder / "killed"
    for saves in (0, 2, 5, 9):
        with start(small, "killed") as process:
            changes(killed / "checkpoint.pt", saves, process)
            time.sleep(moments.uniform(0, 0.05))
            assert process.poll() is None, "the run ended before it was killed"
            process.send_signal(signal.SIGKILL)
    with start(small, "killed") as process:
        assert process.wait() == 0
    assert weights(killed / "encoder") == weights(small.folder / "whole" / "encoder")
    steps = [line["step"] for line in metrics(killed) if "loss" in line]
    assert steps == list(range(1, 151))  # nothing is logged twice, nothing is lost


def test_features_of_another_table(small: object) -> None:
    ids = small.table.ids.copy()
    ids[7] = "elsewhere"
    small.write_features(small.features, np.load(small.features / "features.npy"), ids)
    with pytest.raises(ValueError, match=r"row 7 is 'elsewhere' in the features and 'place-007' in the table"):
        pretrain(recipe(small), progress=False)


def test_missing_files_and_columns(small: object) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.parquet"):
        pretrain(replace(recipe(small), table=small.folder / "nowhere.parquet"), progress=False)
    with pytest.raises(FileNotFoundError, match=r"no finished features in .*nowhere"):
        pretrain(replace(recipe(small), features=small.folder / "nowhere"), progress=False)
    with pytest.raises(ValueError, match=r"'blocks'.*split"):
        pretrain(recipe(small, split="blocks"), progress=False)
    with pytest.raises(ValueError, match=r"unknown encoder 'warp'\. Did you mean 'wrap'"):
        pretrain(recipe(small, encoder=Encoder("warp")), progress=False)
    with pytest.raises(ValueError, match="MC-BLX"):
        pretrain(recipe(small, objective="MC-BLX"), progress=False)


def test_a_changed_recipe_does_not_continue_a_run(small: object) -> None:
    pretrain(recipe(small), progress=False)
    with pytest.raises(ValueError, match=r"belongs to another run: objective was 'NCE-B', now 'MC-B'"):
        pretrain(recipe(small, objective="MC-B"), progress=False)


def test_an_unwritable_folder(small: object) -> None:
    (small.folder / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        pretrain(recipe(small, "file/run"), progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Schedule(batch_size=0), "batch_size must be a whole number of at least 1, got 0"),
        (lambda: Schedule(epochs=0), "epochs must be a whole number of at least 1, got 0"),
        (lambda: Schedule(log_every=0), "log_every must be"),
        (lambda: Schedule(save_every=0), "save_every must be"),
        (lambda: Schedule(seed=-1), "seed must be a whole number of at least 0, got -1"),
        (lambda: Schedule(lr=float("nan")), "lr must be positive and finite, got nan"),
        (lambda: Pretrain(Path(), Path(), out=Path(), image_components=0), "image_components must be"),
        (lambda: Pretrain(Path(), Path(), out=Path(), validation_pairs=-1), "validation_pairs must be"),
        (lambda: Encoder(dim=0), "dim must be a whole number of at least 1, got 0"),
    ],
)
def test_settings_out_of_range(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_two_processes_in_one_folder(small: object) -> None:
    message = r"another process is pre-training in .*run; wait for it"
    with only_one(small.folder / "run", "pre-training"), pytest.raises(BlockingIOError, match=message):
        pretrain(recipe(small), progress=False)


def test_no_row_to_train_on(small: object) -> None:
    table = small.table
    write_table(PlaceTable(table.ids, np.full_like(table.lonlat, np.nan), table.columns), small.table_path)
    with pytest.raises(ValueError, match="0 rows to train on: every other row has no location or has role 'test'"):
        pretrain(recipe(small), progress=False)
