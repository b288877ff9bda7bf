"""The benchmark for cards: it says where there is none, runs by the interpreter, and parts fail by themselves."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2]))  # benchmarks is not installed

pytest.importorskip("triton", reason="the kernels are Triton's")

from benchmarks import gpu, report
from benchmarks.card import Card
from locenc.kernels.choice import interpreted

CPU = Card(torch.device("cpu"))


def test_sizes_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Card, "free", lambda card: 10**9)
    assert CPU.most(10**4, 8) == 10**4
    assert CPU.most(10**7, 400) == 2_249_728
    assert CPU.most(10**7, 10**9) == 1024


@pytest.mark.skipif(interpreted() or torch.cuda.is_available(), reason="there is something to measure on")
def test_without_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    made = gpu.main([])
    assert gpu.status(made) == 2
    assert capsys.readouterr().out == "nothing was measured: torch finds no CUDA device\n"


@pytest.mark.cuda
@pytest.mark.skipif(not interpreted(), reason="TRITON_INTERPRET=1 is not set")
@pytest.mark.parametrize("part", gpu.PARTS)
def test_each_part(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    made = gpu.main(["--device", "cpu", "--only", part, "--save"])
    assert gpu.status(made) == 0
    assert all(len(row) == len(table.columns) for table in made.tables for row in table.rows)
    assert made.tables
    data = json.loads((tmp_path / "gpu_cpu.json").read_text())
    assert data["settings"]["triton"]
    assert data["numbers"]
    assert capsys.readouterr().out.startswith("# Encoders on the CPU, by an interpreter")


@pytest.mark.cuda
@pytest.mark.skipif(not interpreted(), reason="TRITON_INTERPRET=1 is not set")
def test_a_part_that_is_wrong_is_not_timed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def off(*arguments: Any, **options: Any) -> Any:
        return 1.1 * linear(*arguments, **options)

    linear = gpu.linear
    monkeypatch.setattr(gpu, "linear", off)
    made = gpu.main(["--device", "cpu", "--only", "memory", "layer"])
    assert gpu.status(made) == 1
    assert "nothing was timed" in made.numbers["layer, sphereC, float32, H = 32, 40 failed"]
    assert [len(table.rows) for table in made.tables] == [1, 0]
    assert "- failed: layer, sphereC, float32, H = 32, 40" in capsys.readouterr().out
