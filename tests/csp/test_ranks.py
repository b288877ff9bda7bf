"""Pre-training on several processes: the losses and weights of one, the same files, a kill changes no bit, errors."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from rank_runs import CASES, recipe, results, several, write_images
from torch import Tensor

from locenc_csp.criterion import Criterion
from locenc_csp.joining import is_first, joined
from locenc_csp.pretraining import pretrain
from locenc_csp.processes import ALONE, Ranks, at_work, sharing_losses

CLI = "import sys\nfrom locenc_csp.cli import main\nsys.exit(main(sys.argv[1:]))"


def losses(out: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{name: line[name] for name in line if name[:4] == "loss"} for line in lines if "loss" in line]


def weights(out: Path) -> dict[str, Tensor]:
    state = torch.load(out / "checkpoint.pt", weights_only=True)["model"]
    return {name: value for name, value in state.items() if isinstance(value, Tensor) and value.is_floating_point()}


def check_equal(out: Path, expected: Path) -> None:
    """Losses, and weights beside the largest of their tensor, to a millionth."""
    found, wanted = losses(out), losses(expected)
    assert len(found) == len(wanted) == 12
    for mine, theirs in zip(found, wanted, strict=True):
        assert mine == {name: pytest.approx(value, rel=1e-6) for name, value in theirs.items()}
    found, wanted = weights(out), weights(expected)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (found[name] - value).abs().max() <= 1e-6 * value.abs().max(), name


def interrupted(job: object, at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Train until a step, in one process."""
    forward, count = Criterion.forward, 0

    def stop(*given: object, **options: object) -> object:
        nonlocal count
        count += 1
        if count == at:
            raise KeyboardInterrupt
        return forward(*given, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Criterion, "forward", stop)
        with pytest.raises(KeyboardInterrupt):
            pretrain(job, progress=False)


def test_two_processes_are_one(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """All objectives, learned temperatures, masks, a queue, a trained image network; a run that one process began."""
    write_images(small.folder)
    interrupted(recipe(small.folder, "NCE-BLD", "continued"), 8, monkeypatch)
    names = [*(f"{name}:{name}-2" for name in CASES), "NCE-BLD:continued"]
    processes = several("rank_runs.run_all(*rank_runs.sys.argv[1:])", small.folder, " ".join(names))
    for name in CASES:
        pretrain(recipe(small.folder, name, name), progress=False)
    for code, _, error in results(processes):
        assert code == 0, error
    for name in CASES:
        check_equal(small.folder / f"{name}-2", small.folder / name)
    check_equal(small.folder / "continued", small.folder / "NCE-BLD")
    # what two processes began, one goes on with: they have finished, so it finds nothing to do
    before = (small.folder / "MC-BLD-2" / "encoder" / "model.safetensors").read_bytes()
    after = pretrain(recipe(small.folder, "MC-BLD", "MC-BLD-2"), progress=False)
    assert (after / "model.safetensors").read_bytes() == before


def command(small: object, out: str, **changes: object) -> list[str]:
    options = {"table": small.table_path, "features": small.features, "out": small.folder / out, "split": "split"}
    options |= {"objective": "MC-BLD", "image-components": 8, "device": "cpu", "encoder.dim": 16}
    options |= {
        "encoder.network": "residual",
        "schedule.steps": 120,
        "schedule.log-every": 2,
        "schedule.batch-size": 33,
    }
    options |= {"schedule.save-every": 7, **changes}
    return ["pretrain", *(str(part) for name, value in options.items() for part in (f"--{name}", value))]


def torchrun(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return subprocess.run([*start, "-m", "locenc_csp.cli", *arguments], capture_output=True, text=True, check=False)


def test_a_killed_rank_changes_no_bit(small: object) -> None:
    """The one that writes is killed, the other ends; torchrun finishes what they began."""
    assert [code for code, *_ in results(several(CLI, *command(small, "whole")))] == [0, 0]
    checkpoint = small.folder / "killed" / "checkpoint.pt"
    processes = several(CLI, *command(small, "killed"))
    while not checkpoint.exists():
        assert processes[0].poll() is None, processes[0].communicate()[1]
        time.sleep(0.001)
    processes[0].send_signal(signal.SIGKILL)
    killed, left = results(processes)
    assert killed[0] == -signal.SIGKILL
    assert left[0] == 1
    assert "\nerror: another process of this run has ended" in left[2]  # below what the library that lost it says
    assert torch.load(checkpoint, weights_only=True)["step"] < 120
    again = torchrun(command(small, "killed"))
    assert again.returncode == 0, again.stderr
    assert again.stdout == f"encoder: {small.folder / 'killed' / 'encoder'}\n"  # one speaks for all
    files = [small.folder / out / "encoder" / "model.safetensors" for out in ("whole", "killed")]
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = (small.folder / "killed" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "loss" in line] == list(range(2, 121, 2))


def test_a_process_that_fails_ends_the_others_with_its_error(small: object) -> None:
    code = "import os, sys\nsys.argv[5] += '' if os.environ['RANK'] == '0' else '-nowhere'\n" + CLI
    first, second = results(several(code, *command(small, "run")))
    assert (first[0], second[0]) == (1, 1)
    assert "no finished features in" in second[2]
    assert first[2].startswith("error: process 1 of 2 failed: no finished features in")
    assert first[1] == second[1] == ""


def test_parts_cover_the_rows() -> None:
    for size in (1, 2, 3, 7):
        for count in (0, 1, 6, 33):
            parts = [Ranks(rank, size).part(count) for rank in range(size)]
            assert [row for part in parts for row in range(part.start, part.stop)] == list(range(count))
            assert max(part.stop - part.start for part in parts) <= -(-count // size)


def test_one_process_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.ones(3, 2)
    assert ALONE.gather(rows, 3) is rows
    assert ALONE.from_first("this") == "this"
    ALONE.add(rows)
    assert rows.sum() == 6
    with joined("cpu") as ranks:
        assert ranks == ALONE
    assert is_first()
    with sharing_losses(Ranks(1, 2)):
        assert at_work() == Ranks(1, 2)
    assert at_work() == ALONE
    said = {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1, "LOCAL_WORLD_SIZE": 2, "MASTER_ADDR": "x", "MASTER_PORT": 1}
    for name, value in said.items():
        monkeypatch.setenv(name, str(value))
    assert not is_first()
    with pytest.raises(ValueError, match="device 'cuda:1' would be that of all 2 processes"), joined("cuda:1"):
        pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for device in ("cuda", "auto"):
        with pytest.raises(ValueError, match=r"2 processes were started.* finds 1 CUDA devices"), joined(device):
            pass
