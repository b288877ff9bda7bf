"""The study's methods, cells and folders, and how cells run side by side."""

import dataclasses
import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from cell_runs import note_threads

from locenc_csp.study import methods, parts
from locenc_csp.study.cells import Cell, Workplace, baseline_cells, run_cell
from locenc_csp.study.methods import WRAP, Method
from locenc_csp.study.side_by_side import run_cells

HERE = Workplace(Path("data/t.parquet"), Path("out"), (("country", Path("out/c.parquet")),))
NCE, MC = methods.few()[1:]


def named(key: str, seed: int) -> Cell:
    return Cell(Method(key, key, WRAP), None, seed)


def test_folders() -> None:
    cell = Cell(MC, "block_1", 7, ("land_cover", "country"), (0.01, 0.2))
    assert HERE.folder(cell) == Path("out/block_1/mc-bld")
    assert HERE.features(cell) == Path("data/features")
    tasks = HERE.tasks(cell)
    assert [(task.label, task.label_ratio) for task in tasks] == [
        ("land_cover", 0.01),
        ("land_cover", 0.2),
        ("country", 0.01),
        ("country", 0.2),
    ]
    assert (tasks[0].table, tasks[-1].table) == (Path("data/t.parquet"), Path("out/c.parquet"))
    last = tasks[-1]
    assert (last.out, last.split, last.seed) == (Path("out/block_1/mc-bld/country-0.2"), "block_1", 7)
    assert HERE.image_probabilities(cell, last) == Path("out/block_1/baselines/country-0.2/image.npy")
    other = dataclasses.replace(cell, method=dataclasses.replace(MC, features="features-both"))
    assert HERE.features(other) == Path("data/features-both")
    assert HERE.image_probabilities(other, last) == Path("out/block_1/baselines-both/country-0.2/image.npy")


def test_the_map_has_a_pretraining_and_no_task() -> None:
    cell = parts.map_cell(3)
    assert HERE.tasks(cell) == []
    assert (HERE.folder(cell), cell.seed) == (Path("out/all/nce-b"), 3)


def test_seeds_change_with_the_split() -> None:
    made = parts.cells([NCE, MC], 5, range(3), ratios=(0.05,))
    assert [(cell.split, cell.method.key, cell.seed) for cell in made] == [
        ("block_0", "nce-b", 5),
        ("block_0", "mc-bld", 5),
        ("block_1", "nce-b", 6),
        ("block_1", "mc-bld", 6),
        ("block_2", "nce-b", 7),
        ("block_2", "mc-bld", 7),
    ]
    assert {cell.ratios for cell in made} == {(0.05,)}


def test_one_baseline_cell_for_each_split_and_kind_of_features() -> None:
    other = dataclasses.replace(MC, key="mc-bld-both", features="features-both")
    made = [
        Cell(NCE, "block_0", 5, ratios=(0.2,)),
        Cell(MC, "block_0", 5, ratios=(0.05,)),
        Cell(MC, "block_0", 5, labels=("koppen",), ratios=(0.05,)),
        Cell(other, "block_0", 5, ratios=(0.05,)),
        parts.map_cell(9),
    ]
    assert baseline_cells(made) == [
        Cell(NCE, "block_0", 5, labels=("land_cover", "koppen"), ratios=(0.05, 0.2)),
        Cell(other, "block_0", 5, ratios=(0.05,)),
    ]
    assert baseline_cells([parts.map_cell(0)]) == []


@pytest.mark.parametrize("encoder", methods.ENCODERS)
def test_a_key_stands_for_one_method(encoder: str) -> None:
    """Cells of several parts share folders, so what has the same key must be the same."""
    found: dict[str, Method] = {}
    for part in (methods.compared, methods.terms, methods.sizes, methods.images, methods.search, methods.few):
        own = part(encoder)
        assert len({method.key for method in own}) == len(own) == len({method.title for method in own})
        for method in own:
            untitled = dataclasses.replace(method, title="")
            assert found.setdefault(method.key, untitled) == untitled


def test_a_folder_with_another_cell_is_refused(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "t.parquet", tmp_path)
    run_cell(place, named("own", 1))  # no split and no pre-training: nothing to do
    assert json.loads((tmp_path / "all" / "own" / "cell.json").read_text())["seconds"] == 0
    run_cell(place, named("own", 1))
    with pytest.raises(ValueError, match=r"all/own holds another cell: seed was 1, now 2\. Delete it"):
        run_cell(place, named("own", 2))
    other = Cell(Method("own", "own", methods.ENCODERS["grid"][1]), None, 1)
    with pytest.raises(ValueError, match=r"holds another cell: encoder\.name was 'wrap', now 'space2vec-grid'"):
        run_cell(place, other)


# Side by side


def test_workers_have_one_thread_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    place = Workplace(tmp_path / "t.parquet", tmp_path)
    run_cells(note_threads, place, [named("slow", i) for i in range(3)], label="test", workers=2)
    seen = [json.loads((tmp_path / f"slow-{i}.json").read_text()) for i in range(3)]
    assert [(one["threads"], one["omp"], one["blas"]) for one in seen] == [(1, "1", 1)] * 3
    assert os.getpid() not in {one["process"] for one in seen}
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_the_first_error_is_passed_on(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "t.parquet", tmp_path)
    work = [named("quick", 0), named("broken", 1), *(named("slow", i) for i in range(2, 10))]
    with pytest.raises(ValueError, match="broken on purpose, seed 1"):
        run_cells(note_threads, place, work, label="test", workers=1)
    for worker in multiprocessing.active_children():
        worker.join(30)
    assert (tmp_path / "quick-0.json").is_file()
    assert not (tmp_path / "slow-9.json").exists()


def test_an_interrupt_ends_the_workers(tmp_path: Path) -> None:
    """Of this process alone, as `kill -INT` sends it: a terminal's reaches the workers too."""

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    other = threading.Thread(target=interrupt)
    place, work = Workplace(tmp_path / "t.parquet", tmp_path), [named("endless", 0), named("quick", 1)]
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_cells(note_threads, place, work, label="test", workers=1)
    finally:
        signal.signal(signal.SIGINT, usual)
    other.join()
    assert not [worker for worker in multiprocessing.active_children() if worker.is_alive()]
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


def test_no_cells(tmp_path: Path) -> None:
    run_cells(note_threads, Workplace(tmp_path / "t.parquet", tmp_path), [], label="test")
