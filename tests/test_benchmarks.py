"""The benchmarks run, refuse to time what is wrong, and say who is missing; no test looks at a time."""

import json
import mmap
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import formulas
import numpy as np
import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

from benchmarks import csp_step, encoders, errors, latency, memory, official_csp, peers, report, rows, timing
from benchmarks.cases import Cases
from benchmarks.correct import WrongResultError, check
from benchmarks.exact import EXACT
from benchmarks.naive import FORMS
from benchmarks.peer_encoders import torchspatial_order


@pytest.fixture(autouse=True)
def one_thread_and_no_peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """As many threads as before, and a fresh list of peers."""
    monkeypatch.setattr(peers, "asked", {})
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


# Timing


def test_cases_are_run_in_turn() -> None:
    calls: list[str] = []
    cases: dict[str, timing.Call] = {name: lambda name=name: calls.append(name) for name in "ab"}  # type: ignore[misc]
    timings = timing.interleave(cases, rounds=3, sample=0.0)
    assert "".join(calls[-6:]) == "ababab"
    assert {name: len(rounds) for name, rounds in timings.seconds.items()} == {"a": 3, "b": 3}


def test_ratios_are_those_of_each_round() -> None:
    timings = timing.Timings({"ours": [1.0, 2.0, 1.0], "other": [3.0, 8.0, 5.0]})
    assert timings.times_faster("ours", than="other").median == 4.0
    assert timings.time("other") == (5.0, 4.0, 6.5)
    assert timings.rate("ours", 10).median == 10.0
    assert timings.data()["ours"] == {"median": 1.0, "low": 1.0, "high": 1.5, "rounds": 3}


def test_short_calls_are_repeated() -> None:
    calls: list[int] = []
    timing.interleave({"a": lambda: calls.append(1)}, rounds=1, sample=1e-4)
    assert len(calls) > 10


def test_another_clock() -> None:
    ticks = iter(range(1, 100))
    timings = timing.interleave(
        {"a": lambda: None}, rounds=3, sample=4.0, measure=lambda call, calls: next(ticks) / calls
    )
    assert timings.seconds["a"] == [5 / 8, 6 / 8, 7 / 8]  # samples of 1, 2, 4 calls took 1, 2 and 3 seconds


# The gate


def test_wrong_results_are_refused() -> None:
    assert check("case", torch.ones(2), np.full(2, 1.5), tolerance=0.5) == 0.5
    with pytest.raises(WrongResultError, match=r"case: off by 0\.5, at most 0\.1 is allowed; nothing was timed"):
        check("case", torch.ones(2), np.full(2, 1.5), tolerance=0.1)
    with pytest.raises(WrongResultError, match="off by nan"):
        check("case", torch.tensor([torch.nan]), [0.0], tolerance=1.0)
    with pytest.raises(WrongResultError, match=r"shape \(2,\), expected \(3,\)"):
        check("case", torch.ones(2), torch.ones(3), tolerance=1.0)


@pytest.mark.parametrize("name", FORMS)
def test_ours_and_the_naive_forms_agree(name: str) -> None:
    cases = Cases(FORMS[name], FORMS[name].main, 20, compiled=False)
    assert {"memory fill", "ours", "eager float32", "eager float64"} == set(cases.forward(warm=False))
    assert {"ours", "eager float32"} == set(cases.backward())


def test_a_wrong_encoder_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    form = FORMS["grid"]
    wrong = form._replace(features=FORMS["sphereM"].features)
    with pytest.raises(WrongResultError, match=r"grid, ours: result of shape"):
        Cases(wrong, 8, 20, compiled=False).forward(warm=True)
    almost = form._replace(features=lambda *rest: form.features(*rest) + 1e-5)
    with pytest.raises(WrongResultError, match=r"grid, ours: off by 1"):
        Cases(almost, 8, 20, compiled=False).forward(warm=True)
    steeper = form._replace(features=lambda *rest: 1.1 * form.features(*rest))
    with pytest.raises(WrongResultError, match=r"grid, ours, gradient: off by"):
        Cases(steeper, 8, 20, compiled=False).backward()


@pytest.mark.parametrize("name", FORMS)
def test_exact_features_agree_with_the_formulas_of_the_tests(name: str) -> None:
    form = FORMS[name]
    position = form.build(4 if form.size else 1)
    lonlat = errors.points(3).numpy()
    drawn = {key: value.numpy() for key, value in position.state_dict().items()}
    found, _ = EXACT[name](lonlat, position.config, *drawn.values())
    config = {key: value for key, value in position.config.items() if key not in ("name", "date")}  # type: ignore[union-attr]
    expected = formulas.evaluate(form.encoder, lonlat, weights=drawn, **config)
    assert np.abs(found - expected).max() < 2e-15


@pytest.mark.parametrize("name", ["sphereC", "sphereM", "grid", "theory", "dfs"])
def test_columns_of_peers(name: str) -> None:
    form = FORMS[name]
    count = int(form.build(3).out_dim)  # type: ignore[arg-type]
    ours = torch.arange(count)
    theirs = ours[torchspatial_order(name, 3, count)]
    assert np.array_equal(formulas.blocked(theirs[None].numpy(), form.encoder, 3)[0], ours)


def test_the_official_objective(golden: Callable[[str], Any]) -> None:
    arrays = golden("csp_losses.npz")
    rows = [torch.from_numpy(arrays[name]) for name in ("loc", "img", "neg", "loc_twin")]
    rows[2] = rows[2][: len(rows[0])]
    found = official_csp.objective(*rows).item()
    assert found == pytest.approx(arrays["mc/inat2018/C1/BLD"].item(), rel=1e-12)


# Peers


def test_absent_peers_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert peers.peer("nothing_here.at_all", install="pip install nothing-here") is None
    assert peers.peer_file("nothing_here/file.py", install="pip install --no-deps nothing-here") is None
    assert peers.peer("json", install="pip install pytest") is json
    lines = report.Report("name", "Title", {}).markdown().splitlines()
    assert "- peer: nothing_here.at_all is not timed: it is not installed; `pip install nothing-here`" in lines
    assert "- peer: nothing_here.file is not timed: it is not installed; `pip install --no-deps nothing-here`" in lines
    assert f"- peer: json {metadata.version('pytest')}" in lines


def test_a_file_of_a_package_that_does_not_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "broken_package"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError")
    (folder / "paths.py").write_text("here = 1")
    (folder / "other.py").write_text("there = 2")
    (folder / "wanted.py").write_text(
        "from absent_module import tool\nfrom paths import here\nfrom .other import there"
    )

    class Distribution:
        version = "1"

        def locate_file(self, path: str) -> Path:
            return tmp_path / path

    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution())
    before, search = dict(sys.modules), list(sys.path)
    stand_ins = {"absent_module": {"tool": 3}, "json": {}}
    found = peers.peer_file("broken_package/wanted.py", install="pip install pytest", stand_ins=stand_ins)
    assert isinstance(found, ModuleType)
    assert (found.tool, found.here, found.there) == (3, 1, 2)
    assert sys.path == search
    assert set(sys.modules) == set(before)
    text = str(peers.asked["broken_package.wanted"])
    assert "an empty stand-in for absent_module, which it imports and which is not installed" in text
    assert "json" not in text
    assert peers.peer_file("broken_package/wanted.py", install="pip install pytest") is None
    assert "No module named 'absent_module'" in peers.asked["broken_package.wanted"].missing


# Reports


def test_targets_and_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = report.Report("name", "Title", {"threads": 1, "quick": True})
    made.target("fast", 2.0, least=1.5)
    made.target("small", 9.0, most=8, unit="MB", note="since")
    made.table("Numbers", ("a", "b"), [(1_234_567, 0.123456), ("x", None)], note="Below.")
    made.keep("more", {"1": [1, 2]})
    monkeypatch.setattr(report, "FOLDER", tmp_path / "docs")
    made.finish(path=tmp_path / "numbers.json", save=True)
    text = capsys.readouterr().out
    for line in (
        "Sizes are those of `--quick`: no number here says how fast anything is.",
        "| fast | ≥ 1.5 × | 2 × | met |",
        "| small | ≤ 8 MB | 9 MB | **missed**: since |",
        "| a | b |",
        "| 1,234,567 | 0.123 |",
        "| x | – |",
        "Below.",
        f"- torch: {torch.__version__}",
    ):
        assert line in text.splitlines()
    assert (tmp_path / "docs" / "name.md").read_text() == text.removesuffix("\n")
    data = json.loads((tmp_path / "numbers.json").read_text())
    assert data == json.loads((tmp_path / "docs" / "name.json").read_text())
    assert data["numbers"] == {"more": {"1": [1, 2]}}
    assert data["machine"]["python"]


def test_memory_of_a_process() -> None:
    grown, seconds = memory.peak(
        "del kept; new = bytearray(b'1') * 30_000_000", setup="kept = bytearray(b'1') * 9_000_000"
    )
    assert 15e6 < grown < 45e6
    assert seconds > 0


def test_anonymous_memory_is_watched() -> None:
    with memory.Watch() as watch:
        kept = mmap.mmap(-1, 60_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # no memory that was freed before
        np.frombuffer(kept, np.uint8)[:] = 1
        watch.look()
    found = watch.found
    assert 50e6 < found.anonymous - found.before < 120e6
    assert found.resident >= len(kept)
    assert found.seconds > 0


# Commands


def test_encoders(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    monkeypatch.setattr(errors, "ROWS", [errors.Row("xyz", 1, {}), errors.Row("grid", 8, errors.DEGREES)])
    made = encoders.main(["--quick", "--only", "grid", "xyz", "--json", str(tmp_path / "found.json")])
    text = capsys.readouterr().out
    columns = {table.title: table.columns for table in made.tables}
    assert columns["Encoding, warm"][5:8] == ("% of a fill", "× TorchSpatial or GeoCLIP", "× eager float32")
    assert columns["Largest error against exact features"][3:5] == ("float32", "float32, naive")
    assert all(len(row) == len(table.columns) for table in made.tables for row in table.rows)
    assert [row[0] for row in made.tables[0].rows] == ["grid", "xyz"]
    assert "peer: torchspatial.SpatialRelationEncoder" in text
    assert "| error of float32 features, xyz | ≤ 2.5e-07 |" in text
    numbers = json.loads((tmp_path / "found.json").read_text())["numbers"]
    assert {"median", "low", "high", "rounds"} == set(numbers["grid, warm"]["ours"])


def test_latency(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(latency, "_process", lambda folder: [0.001, 0.002, 0.5, 0.1, 0.0001])
    made = latency.main(["--quick"])
    assert {"Position encoders, µs a call", "Whole encoders, µs a call", "First use of sphereC"} == {
        table.title for table in made.tables
    }
    assert "| first call, cached | ≤ 0.5 s | 0.5 s | met |" in capsys.readouterr().out


def test_a_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(csp_step.memory, "peak", lambda code, setup: (60, 1.0) if "official" in code else (10, 1.0))
    made = csp_step.main(["--quick"])
    assert [row[1] for row in made.tables[0].rows] == ["official", "ours", "ours, bfloat16"]
    assert (
        "| memory of the objective at 512, share of the official one | ≤ 0.167 | 0.167 | met |"
        in capsys.readouterr().out
    )


def test_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rows, "_run", lambda stage, folder, threads: memory.Found(1_000_000, 3_000_000, 9_000_000, 2.0))
    made = rows.main(["--quick"])
    assert [row[:5] for row in made.tables[0].rows] == [
        (stage, "2,000", "2", "1,000", "9") for stage in ("import", "pretrain", "finetune", "evaluate")
    ]
    assert "| import | 2,000 | 2 | 1,000 | 9 | 2 |" in capsys.readouterr().out


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in ((["--threads", "0"], "at least 1"), (["--only", "sphere"], "invalid choice: 'sphere'")):
        with pytest.raises(SystemExit):
            encoders.main(arguments)
        assert message in capsys.readouterr().err
