"""The bodies of numba's kernels as plain Python, on vectors of NumPy: they give the same numbers."""

import subprocess
import sys
from pathlib import Path

import catalogue
import pytest

from locenc.kernels.choice import missing

if missing("numba"):
    pytest.skip(str(missing("numba")), allow_module_level=True)

PROGRAM = Path(__file__).resolve().parents[1] / "plain_kernels.py"


def test_kernels_run_without_the_compiler() -> None:
    run = subprocess.run([sys.executable, PROGRAM], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert {line.split()[0] for line in run.stdout.splitlines()} == set(catalogue.NAMES)
