"""The benchmark of several processes runs, and their results are those of one."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

from benchmarks import processes


def test_processes(capsys: pytest.CaptureFixture[str]) -> None:
    made = processes.main(["--quick"])
    assert [row[0] for row in made.tables[0].rows] == ["MC-BLD", "CLIP-B"]
    assert all(target.met for target in made.targets)
    assert "| MC-BLD, losses | ≤ 1.0e-06 |" in capsys.readouterr().out
