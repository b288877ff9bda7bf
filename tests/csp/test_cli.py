"""The command line: every command from end to end on a few places, without a network; and its errors."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from locenc_csp.cli import COMMANDS, main

NO_NETWORK = """
import socket
def refuse(*address, **_):
    raise RuntimeError(f"a process tried to reach {address}")
socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
"""

ENCODER = ["--encoder.dim", "16", "--encoder.network-options", "depth", "1"]


def run(*arguments: str) -> int:
    return main([str(argument) for argument in arguments])


def test_every_command_in_turn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    assert run("data", "--out", data, "--num-points", 300) == 0
    printed = capsys.readouterr().out
    assert "300 places, sha256 " in printed
    for source in ("Blue Marble Next Generation", "MODIS land cover", "Köppen-Geiger", "public domain", "BSD-3"):
        assert source in printed
    assert run("features", "--data", data, "--num-filters", 16) == 0
    table = ["--table", data / "table.parquet"]
    features = ["--features", data / "features"]
    schedule = ["--schedule.epochs", 2, "--schedule.batch-size", 64]
    common = ["--split", "block_0"]
    objective = ["--objective", "MC-BLD", "--temperature", "B", "0.1", "L", "1", "D", "0.5", "--negatives", "land"]
    assert run("pretrain", *table, *features, *common, "--out", out / "run", *objective, *schedule, *ENCODER) == 0
    assert (
        run(
            "finetune",
            *table,
            *common,
            "--out",
            out / "tuned",
            "--label",
            "land_cover",
            "--pretrained",
            out / "run",
            "--label-ratio",
            0.5,
            "--steps",
            10,
        )
        == 0
    )
    assert "classes" in capsys.readouterr().out
    assert run("evaluate", *table, *features, "--run", out / "tuned") == 0
    printed = capsys.readouterr().out
    assert all(branch in printed for branch in ("location", "image", "product", "weighted"))
    report = json.loads((out / "tuned" / "scores.json").read_text())
    assert {"seed", "table", "versions", "num_labels", "weights"} <= set(report)


def test_the_demo_killed_and_continued_is_that_of_an_undisturbed_run_without_a_network(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "locenc_csp.cli", "demo", "--quick", "--num-points", "400"]
    command += ["--data", str(tmp_path / "data"), "--out", str(tmp_path / "demo")]

    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        for line in process.stdout:
            if line.startswith("- pre-training"):
                break
        time.sleep(4)  # the workers have begun
        process.kill()
    deadline = time.monotonic() + 20
    while _session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert _session(process.pid) == []

    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for text in (
        "| image only |",
        "| 1-nearest-neighbour |",
        "| best supervised |",
        "| CSP-NCE-B |",
        "Time of this run: ",
    ):
        assert text in run.stdout
    for name in ("results.md", "results.json", "maps.png", "all/nce-b/pretraining/encoder/model.safetensors"):
        path = tmp_path / "demo" / name
        assert path.is_file()
        assert name.split("/")[-1] in run.stdout or str(path.parent) in run.stdout
    undisturbed = [*command[:-1], str(tmp_path / "undisturbed")]
    subprocess.run(undisturbed, env=environment, capture_output=True, check=True)
    records, others = (_records(tmp_path / out / "results.json") for out in ("demo", "undisturbed"))
    assert {record["row"] for record in records} == {
        "image only",
        "1-nearest-neighbour",
        "supervised, wrap",
        "best supervised",
        "CSP-NCE-B",
    }
    assert records == others
    weights = Path("all/nce-b/pretraining/encoder/model.safetensors")
    assert (tmp_path / "demo" / weights).read_bytes() == (tmp_path / "undisturbed" / weights).read_bytes()


def _records(path: Path) -> list[dict[str, object]]:
    """A study's numbers, without how long they took."""
    return [
        {name: value for name, value in record.items() if name != "seconds"}
        for record in json.loads(path.read_text())["records"]
    ]


def _session(leader: int) -> list[int]:
    """Numbers of the processes of a session that are still running."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pretrain", "--table", "no.parquet", "--features", "f", "--out", "o"], r"error: .*no\.parquet"),
        (["evaluate", "--run", "nowhere", "--table", "t"], r"error: no result\.json in nowhere"),
        (["features", "--data", "nowhere"], "error: .*nowhere.*locenc-csp data"),
    ],
)
def test_one_line_says_what_is_wrong(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    printed = capsys.readouterr().err
    assert len(printed.splitlines()) == 1
    assert re.search(message, printed)


def test_an_unwritable_output_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run("data", "--num-points", 10, "--out", tmp_path / "file" / "data") == 1
    assert "file" in capsys.readouterr().err


def test_a_missing_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tyro", None)
    assert main(["data"]) == 1
    assert 'pip install "locenc[csp]"' in capsys.readouterr().err


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == 0
    assert command in capsys.readouterr().out


def test_a_setting_out_of_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["data", "--num-points", "0"])
    assert leaving.value.code == 2
    assert "num_points must be a whole number of at least 1, got 0" in capsys.readouterr().err.replace("\n", " ")


def test_another_study_in_the_folder(tmp_path: Path) -> None:
    from locenc_csp.study.identity import check_study

    table, features, out = tmp_path / "table.parquet", tmp_path / "features", tmp_path / "out"
    features.mkdir()
    (features / "meta.json").write_text("{}")
    table.write_bytes(b"a table")
    check_study(out, seed=0, table=table, features=features)
    check_study(out, seed=0, table=table, features=features)
    with pytest.raises(ValueError, match=r"holds another study: seed was 0, now 1\. Choose another --out, or delete"):
        check_study(out, seed=1, table=table, features=features)
    table.write_bytes(b"another")
    with pytest.raises(ValueError, match="holds another study: table was"):
        check_study(out, seed=0, table=table, features=features)


def test_an_unknown_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["demo", "--quik"])
    assert leaving.value.code == 2
    assert "--quick" in capsys.readouterr().err
