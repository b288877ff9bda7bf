"""Many rows: files are read batch after batch, results are worked out block by block, and memory stays bounded.

Memory is counted, not timed: what NumPy and Python allocate (tracemalloc), and what Arrow does (its pools).
"""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from locenc_csp import _matrices
from locenc_csp.calibration import Outcomes, expected_calibration_error, fit_temperature, negative_log_likelihood
from locenc_csp.calibration import outcomes as outcomes_of
from locenc_csp.comparing import compare
from locenc_csp.datasets import arrow_files, table_files, text
from locenc_csp.datasets.arrow_files import Words
from locenc_csp.datasets.foreign_table import read_foreign_table
from locenc_csp.datasets.importing import import_table
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table
from locenc_csp.datasets.text import Text, write_texts
from locenc_csp.datasets.text import compare as compare_texts
from locenc_csp.evaluation import choose_weights, multiply_prior
from locenc_csp.finetuning import Task
from locenc_csp.ranking import ranks
from locenc_csp.recipes import ImportTable

WORDS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6), min_size=1, max_size=30)


@contextmanager
def few_rows(monkeypatch: pytest.MonkeyPatch, rows: int) -> Iterator[None]:
    """Batches and blocks of so many rows."""
    with monkeypatch.context() as patch:
        for module in (arrow_files, text):
            patch.setattr(module, "ROWS", rows)
        patch.setattr(table_files, "ROWS_PER_GROUP", rows)
        patch.setattr(arrow_files, "MOST_CODES", 200)
        yield


class Peak:
    """Bytes that were allocated at most."""

    value = 0


@contextmanager
def peak() -> Iterator[Peak]:
    found, usual = Peak(), pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        yield found
        found.value = tracemalloc.get_traced_memory()[1] + pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(usual)


# Text


@settings(deadline=None, max_examples=30)  # the first one imports Arrow
@given(WORDS, st.integers(0, 8))
def test_text_is_what_numpy_holds(words: list[str], most: int) -> None:
    taken = Words(len(words), most=most)
    for start in range(0, len(words), 7):
        taken.add(pa.array(words[start : start + 7]))
    found = taken.finish()
    assert (found.codes is not None) == (0 < len(set(words)) <= most)
    expected = np.array(words)
    assert found[:].tolist() == words
    assert found[2:9].tolist() == expected[2:9].tolist()
    rows = np.arange(len(words))[::-2]
    assert found[rows].tolist() == expected[rows].tolist()


@given(WORDS, WORDS)
def test_texts_are_compared_row_by_row(words: list[str], others: list[str]) -> None:
    differing = [row for row, pair in enumerate(zip(words, others, strict=False)) if pair[0] != pair[1]]
    found = compare_texts(np.array(words), np.array(others))
    assert found == ((differing[0], len(differing)) if differing else None)


@given(WORDS)
def test_repeated_ids_are_found(words: list[str]) -> None:
    words = [word for word in words if word]
    places = np.zeros((len(words), 2))
    if len(set(words)) == len(words):
        assert PlaceTable(words, places).ids.tolist() == words
        return
    row = next(row for row, word in enumerate(words) if word in words[:row])
    with pytest.raises(ValueError, match=f"stands in row {words.index(words[row])} and in row {row};"):
        PlaceTable(words, places)


def test_ids_that_nearly_repeat_have_hashes_of_their_own() -> None:
    names = [f"{prefix}{number}" for prefix in ("", "a", "b-", "train-0") for number in range(100_000)]
    assert text.without_repeats(np.array(names))
    assert not text.without_repeats(np.array([*names, names[77]]))


@pytest.mark.parametrize("words", [["a", "ccc", "bb"], ["é", "naïve", "東京"], []])
def test_text_is_written_as_numpy_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    expected = np.array(words, dtype=np.str_)
    np.save(tmp_path / "numpy.npy", expected)
    encoded = np.array([word.encode() for word in words], np.bytes_)
    for texts in (expected, Text(encoded)) if all(map(str.isascii, words)) else (expected,):
        with few_rows(monkeypatch, 2):
            write_texts(tmp_path / "ours.npy", texts)
        assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()


# Files, whatever their batches


def columns() -> dict[str, Any]:
    rows = np.arange(23)
    return {
        "id": [f"é{row}" if row == 20 else f"p{row}" for row in rows],
        "lon": [None if row == 9 else float(row) for row in rows],
        "lat": [None if row in (9, 17) else -float(row) for row in rows],
        "species": pa.array([None if row == 11 else f"s{row % 3}" for row in rows]).dictionary_encode(),
        "count": pa.array([None if row == 21 else int(row) for row in rows]),
        "whole": pa.array(rows),
        "native": pa.array([bool(row % 2) for row in rows]),
        "seen": pa.array([1_000_000_000 * int(row) for row in rows], pa.timestamp("ms")),
        "nothing": pa.nulls(23),
    }


@pytest.mark.parametrize("rows", [1, 4, 22, 23, 24])
def test_a_foreign_file_is_the_same_in_any_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns()), path, row_group_size=6)
    expected = read_foreign_table(path)
    with few_rows(monkeypatch, rows):
        found = read_foreign_table(path)
        write_table(found, tmp_path / "own.parquet")
        again = read_table(tmp_path / "own.parquet")
        some = read_table(tmp_path / "own.parquet", columns=("whole",))
    for one in (found, again):
        assert one.ids.tolist() == expected.ids.tolist() == columns()["id"]
        assert np.array_equal(one.lonlat, expected.lonlat, equal_nan=True)
        assert list(one.columns) == list(expected.columns) == ["species", "count", "whole", "native", "seen"]
        for name, values in expected.columns.items():
            assert one.columns[name].dtype.kind == values.dtype.kind
            assert np.array_equal(one.columns[name], values, equal_nan=values.dtype.kind == "f")
    assert np.isnan(found.lonlat[[9, 17]]).all()
    assert found.columns["count"].dtype == np.float64
    assert found.columns["whole"].dtype == np.int64
    assert found.columns["seen"][1] == "1970-01-12 13:46:40.000"
    assert list(some.columns) == ["whole"]


def test_faults_are_counted_over_all_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    given = columns()

    def refused(message: str, **changed: Any) -> None:
        pq.write_table(pa.table({**given, **changed}), path)
        with few_rows(monkeypatch, 4), pytest.raises(ValueError, match=message):
            read_table(path)

    refused("row 13 has none, and 1 more row", id=[None if row in (13, 22) else str(row) for row in range(23)])
    refused("'p3' stands in row 3 and in row 22; 1 ids occur", id=[*(f"p{row}" for row in range(22)), "p3"])
    zeros = [0.0] * 23
    refused("row 15 has 91 .*and 2 more rows", lon=zeros, lat=[91.0 * (row in (15, 18, 22)) for row in range(23)])
    refused("row 17 has half a location", lon=zeros, lat=[None if row == 17 else 0.0 for row in range(23)])
    pq.write_table(pa.table(given), path)
    with pytest.raises(ValueError, match=r"unknown column 'specie'\. Did you mean 'species'\?"):
        read_table(path, columns=("specie",))


# Memory

COUNT = 30_000


def made(folder: Path) -> Path:
    rows = np.arange(COUNT)
    rng = np.random.default_rng(0)
    given = {
        "id": [f"place-{row:08d}" for row in rows],
        "lon": rng.uniform(-180, 180, COUNT),
        "lat": rng.uniform(-90, 90, COUNT),
        "species": [f"a species with number {row % 100}" for row in rows],
        "role": np.array(["train", "val", "test", "pool"])[rows % 4],
        "file": [f"images/{row:020d}.jpg" for row in rows],
    }
    path = folder / "given.parquet"
    pq.write_table(pa.table(given), path, row_group_size=10_000)
    np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, (COUNT, 64))[:] = 1
    return path


def test_import_and_reading_take_few_bytes_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = made(tmp_path)
    recipe = ImportTable(path, tmp_path / "out", label="species", split="role", features=tmp_path / "features.npy")
    with few_rows(monkeypatch, 1_000), peak() as importing:
        import_table(recipe)
    with few_rows(monkeypatch, 1_000), peak() as reading:
        found = read_table(tmp_path / "out" / "table.parquet", columns=("species", "split"))
        train = found.has_role("split", "train")
    assert train.sum() == COUNT / 4
    assert importing.value < 240 * COUNT  # NumPy text alone would take 316, and more while it is read
    assert reading.value < 90 * COUNT  # 16 for the place, 14 for the id, 8 for its hash, 4 for two columns


def task(num_val: int, num_test: int, num_classes: int) -> tuple[Task, PlaceTable]:
    count = num_val + num_test
    rng = np.random.default_rng(1)
    lonlat = rng.uniform(-90, 90, (count, 2))
    lonlat[num_val::7] = np.nan
    places = PlaceTable(np.arange(count).astype(str), lonlat, {"label": rng.integers(0, num_classes, count)})
    val, test = np.split(np.arange(count), [num_val])
    return Task(places.labels("label"), np.empty(0, np.int64), val, test), places


def predicted(rows: np.ndarray, num_classes: int, *, salt: int) -> np.ndarray:
    """Probabilities that depend on the row alone."""
    values = 1 + np.sin((rows[:, None] + 1.0) * (np.arange(num_classes) + salt))
    return (values / values.sum(1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("numbers", [20, 100, 2**22])
def test_branches_are_the_same_in_any_blocks(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    num_classes = 9
    job, places = task(31, 50, num_classes)
    location, image = (predicted(np.arange(81), num_classes, salt=salt) for salt in (3, 8))
    codes = job.labels.codes
    image[5] = np.nan  # a val row that a classifier was not run on
    monkeypatch.setattr(_matrices, "BLOCK", numbers)
    found = compare(lambda rows: location[rows], lambda rows: image[rows], job, places)
    monkeypatch.setattr(_matrices, "BLOCK", 2**22)
    seen = np.delete(job.val, 5)
    weights = choose_weights(image[seen], location[seen], codes[seen])
    temperature = fit_temperature(location[job.val], codes[job.val])
    assert found.weights == weights
    assert found.calibration is not None
    assert found.calibration.temperature == pytest.approx(temperature, rel=1e-9)
    placed = places.has_location[job.test]
    test = location[job.test], codes[job.test]
    expected = {"location": np.where(placed, ranks(*test), 0), "image": ranks(image[job.test], test[1])}
    ways = {"product": {}, "weighted": weights._asdict(), "calibrated": {"location_weight": 1 / temperature}}
    for name, way in ways.items():
        expected[name] = ranks(multiply_prior(image[job.test], test[0], has_location=placed, **way), test[1])
    assert {name: rank.tolist() for name, rank in found.ranks.items()} == {
        name: rank.tolist() for name, rank in expected.items()
    }
    before = found.calibration.before
    assert before.negative_log_likelihood == pytest.approx(negative_log_likelihood(test[0][placed], test[1][placed]))
    error = expected_calibration_error(test[0][placed], test[1][placed])
    assert before.reliability().error == pytest.approx(error, rel=1e-12)


def test_outcomes_of_parts_are_those_of_all() -> None:
    probs, labels = predicted(np.arange(40), 5, salt=2), np.arange(40) % 5
    joined = Outcomes.join([outcomes_of(probs[:13], labels[:13]), outcomes_of(probs[13:], labels[13:])])
    for part, whole in zip(joined, outcomes_of(probs, labels), strict=True):
        assert np.array_equal(part, whole)


def test_image_values_that_are_none_are_named_by_the_row_of_the_table() -> None:
    job, places = task(3, 40, 4)
    values = predicted(np.arange(43), 4, salt=1)
    values[20, 2] = 1.5
    with pytest.raises(ValueError, match=r"of row 20 of the table is \[0\.\d+\s+0\.\d+\s+1\.5"):
        compare(lambda rows: predicted(rows, 4, salt=3), lambda rows: values[rows], job, places)


def test_comparing_needs_no_matrix_of_all_rows_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    num_classes = 300
    job, places = task(3_000, 8_000, num_classes)
    monkeypatch.setattr(_matrices, "BLOCK", 2**15)
    with peak() as comparing:
        images, locations = (lambda rows, salt=salt: predicted(rows, num_classes, salt=salt) for salt in (3, 5))
        compare(locations, images, job, places)
    assert comparing.value < 4 * num_classes * len(places) / 3  # a third of one float32 matrix
