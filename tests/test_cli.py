"""The command line ``locenc``: what each command writes is what the library gives, and errors are one line."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray
from catalogue import globe

import locenc
from locenc.cli import main
from locenc.commands.values import count, setting

SMALL = ["--encoder", "sphere2vec-sphereM", "--set", "num_scales=4", "--dim", "8", "--network-set", "hidden_dim=16"]


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def build() -> locenc.LocationEncoder:
    torch.manual_seed(0)
    return locenc.create("sphere2vec-sphereM", dim=8, num_scales=4, network={"name": "ffn", "hidden_dim": 16}).eval()


def test_list_and_versions(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert capsys.readouterr().out.split() == locenc.list_encoders()
    assert run("versions") == 0
    assert capsys.readouterr().out.startswith(f"locenc {locenc.__version__}")


def test_info_of_an_id_a_folder_and_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", *SMALL[1:]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{locenc.describe(build())}\n"
    assert printed.err == "the weights are untrained, drawn with seed 0\n"
    build().save_pretrained(tmp_path / "run" / "encoder")
    for folder in (tmp_path / "run", tmp_path / "run" / "encoder"):
        assert run("info", folder) == 0
        assert capsys.readouterr() == (printed.out, "")
    assert run("info", tmp_path / "run", "--dim", 8) == 1
    assert "is a saved encoder and has its own options: leave --dim out" in capsys.readouterr().err


def test_embed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lonlat = globe(50).numpy()
    pd.DataFrame({"x": lonlat[:, 0], "y": lonlat[:, 1]}).to_parquet(tmp_path / "in.parquet")
    command = ["embed", tmp_path / "in.parquet", tmp_path / "out.parquet", *SMALL]
    assert run(*command, "--lon", "x", "--lat", "y", "--batch", "1M", "--column", "where") == 0
    printed = capsys.readouterr()
    assert "50 rows" in printed.out
    assert "untrained" in printed.err
    written = np.stack(pd.read_parquet(tmp_path / "out.parquet")["where"].to_numpy())
    assert written.tobytes() == locenc.embed(lonlat, build()).tobytes()


def test_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--bounds", 0, 0, 20, 10, "--resolution", 5]
    assert run("grid", tmp_path / "grid.nc", *SMALL, *where) == 0
    with xarray.open_dataset(tmp_path / "grid.nc", engine="h5netcdf") as read:
        expected = locenc.embed_grid(build(), bounds=(0, 0, 20, 10), resolution=5)
        np.testing.assert_array_equal(read["embedding"], expected)
    assert run("grid", tmp_path / "grid.csv", *SMALL) == 1
    assert "ends in .nc or .tif" in capsys.readouterr().err


@pytest.mark.parametrize("target", ["map.png", "map.html"])
def test_map(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("map", tmp_path / target, *SMALL, "--resolution", 10) == 0
    start = {"map.png": b"\x89PNG", "map.html": b"<!"}[target]
    assert (tmp_path / target).read_bytes().lower().startswith(start.lower())
    assert run("map", tmp_path / target, *SMALL, "--kind", "similarity") == 1
    assert capsys.readouterr().err.count("\n") >= 1


def test_errors_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    for command, text in [
        (["info", "sphere2vec-sphreM"], "Did you mean 'sphere2vec-sphereM'"),
        (["info", "./nowhere"], "there is no such folder"),
        (["info", "nowhere"], "`locenc list` lists them, and there is no folder 'nowhere'"),
        (["map", "x.foo", "--encoder", "wrap"], "x.foo must end in .png"),
        (["map", "x.png", "--encoder", "wrap", "--kind", "scales", "--resolution", "2"], "leave --resolution out"),
        (["info", "wrap", "--set", "num_scales=3"], "unknown option of 'wrap'"),
        (["info", "wrap", "--features", "--dim", "3"], "leave --dim"),
    ]:
        assert run(*command) == 1
        message = capsys.readouterr().err
        assert message.startswith("error: ")
        assert message.count("\n") == 1
        assert text in message
    for command in ([], ["unknown"], ["embed", "in", "out"], ["info", "wrap", "--set", "three"]):
        with pytest.raises(SystemExit) as leaving:
            main(command)
        assert leaving.value.code == 2


def test_interrupted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(locenc, "show_versions", interrupted)
    assert run("versions") == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_reader_that_has_enough() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "locenc.cli", "list"], stdout=write, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


def test_values() -> None:
    assert [count(text) for text in ("1M", "250k", "1_000", "1e6", "1.5k")] == [10**6, 250_000, 1000, 10**6, 1500]
    for text in ("", "M", "0", "-1", "1.5", "inf", "nan", "1T"):
        with pytest.raises(argparse.ArgumentTypeError, match="whole number"):
            count(text)
    pairs = ["a=3", "b=1e-3", "c=true", "d=False", "e=[1, 2]", "f=satclip", "g=a=b", "h=none"]
    assert dict(map(setting, pairs)) == {
        **{"a": 3, "b": 1e-3, "c": True, "d": False, "e": [1, 2], "f": "satclip", "g": "a=b", "h": None}
    }
