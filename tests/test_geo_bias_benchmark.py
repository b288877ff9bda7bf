"""The benchmark of geo-bias scores runs, and says what is to be reached."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

from benchmarks import geo_bias


def test_geo_bias(capsys: pytest.CaptureFixture[str]) -> None:
    made = geo_bias.main(["--quick"])
    assert [row[0] for row in made.tables[0].rows] == ["even"] * 5 + ["clustered"] * 5
    assert "| clustered places, SSI marked | ≤ 60 s |" in capsys.readouterr().out
