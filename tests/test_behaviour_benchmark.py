"""The table of unusual places: what is said of ours is so, and of a project that is not installed nothing is said."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

from benchmarks import behaviour, peers


def test_ours(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(peers, "asked", {})
    monkeypatch.setattr(behaviour.peer_encoders, "torchspatial_file", lambda: None)
    monkeypatch.setattr(behaviour.peer_encoders, "geoclip", lambda size: None)
    monkeypatch.setattr(behaviour.peer_harmonics, "peers", lambda degrees: [])
    threads = torch.get_num_threads()
    (table,) = behaviour.main([]).tables
    torch.set_num_threads(threads)
    assert table.columns == ("asked", "locenc, sphereC", "locenc, harmonics")
    answers = {asked: answer for asked, *answer in table.rows}
    for asked in ("latitude NaN", "latitude 95", "columns swapped (Tokyo)"):
        assert answers[asked] == ["refused", "refused"]
    assert answers["180 against -180"] == ["1.85", "0"]
    assert answers["190 against -170, one place"] == ["0", "0"]
    assert answers["gradient of the coordinates"] == ["yes", "yes"]
    assert "python -m benchmarks.behaviour" in capsys.readouterr().out


def test_an_encoder_that_looks_at_nothing() -> None:
    def encode(lonlat: torch.Tensor) -> torch.Tensor:
        return torch.sin(lonlat.detach())

    assert behaviour.refused_or(encode, 2.0, float("nan")) == "NaN"
    assert behaviour.refused_or(encode, 2.0, 95.0) == "a vector"
    assert behaviour.gradient(encode) == "no"
    assert float(behaviour.difference(encode, (180.0, 45.0), (-180.0, 45.0))) == pytest.approx(1.6, rel=0.01)
