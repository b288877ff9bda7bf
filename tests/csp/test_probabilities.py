"""P(class | image) of others: rows by id, columns by class, and evaluation with them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from published_files import probabilities_of, write_inat2018
from scipy import sparse

from locenc_csp.cli import main
from locenc_csp.datasets import matrices, probabilities
from locenc_csp.datasets.matrices import Sparse, dense, first_fault, read_sparse
from locenc_csp.datasets.probabilities import ImageProbabilities, open_probabilities, write_probabilities
from locenc_csp.evaluating import evaluate
from locenc_csp.finetuning import finetune
from locenc_csp.recipes import Encoder, Evaluate, Finetune

CLASSES = ("owl", "tit", "wren", "crow")
IDS = np.array([f"image-{row}" for row in range(6)])
VALUES = probabilities_of("here", 6, 4)


def as_sparse(values: np.ndarray) -> Sparse:
    matrix = sparse.csr_matrix(values)
    return Sparse(matrix.data, matrix.indices, matrix.indptr.astype(np.int64), matrix.shape[1])


def written(folder: Path, *parts) -> ImageProbabilities:
    write_probabilities(folder, parts, ids=IDS, classes=CLASSES, meta={"classifier": "made"})
    return open_probabilities(folder)


@pytest.mark.parametrize("form", ["dense", "sparse", "one of each"])
@pytest.mark.parametrize("block", [1, 8, 1000])
def test_rows_by_id_and_columns_by_class(tmp_path, monkeypatch, form, block):
    for module in (matrices, probabilities):
        monkeypatch.setattr(module, "VALUES_PER_BLOCK", block)
    first = VALUES[:4] if form == "dense" else as_sparse(VALUES[:4])
    second = as_sparse(VALUES[4:]) if form == "sparse" else VALUES[4:]
    found = written(tmp_path, first, second)
    assert found.meta["form"] == ("sparse" if form == "sparse" else "dense")
    assert found.meta["classifier"] == "made"
    wanted = np.array(["image-5", "nowhere", "image-0", "image-4", "a"])
    values = found.of(wanted, ["wren", "owl", "crow"])
    assert values.dtype == np.float32
    assert np.array_equal(values[[0, 2, 3]], VALUES[[5, 0, 4]][:, [2, 0, 3]])
    assert np.isnan(values[[1, 4]]).all()
    assert found.of(wanted[:0], CLASSES).shape == (0, 4)


def test_a_row_that_says_nothing_is_uniform(tmp_path):
    values = VALUES.copy()
    values[2] = [0, 0, 0, 1]
    for part in (values, as_sparse(values)):
        found = written(tmp_path, part)
        assert found.of(IDS[2:3], ["owl", "tit"]).tolist() == [[0.5, 0.5]]
        assert found.of(IDS[2:3], CLASSES).tolist() == [[0, 0, 0, 1]]


def test_a_class_without_a_column_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"no column for 2 classes, 'dodo' the first of them: .* made for 4 classes, owl"
    ):
        written(tmp_path, VALUES).of(IDS, ["owl", "dodo", "moa"])


def test_no_rows(tmp_path):
    write_probabilities(tmp_path, [VALUES[:0]], ids=IDS[:0], classes=CLASSES, meta={})
    assert np.isnan(open_probabilities(tmp_path).of(IDS, CLASSES)).all()


def test_ids_and_rows_must_be_as_many(tmp_path):
    with pytest.raises(ValueError, match="5 rows of probabilities, but 6 ids"):
        written(tmp_path, VALUES[:5])


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
def test_every_sparse_format_of_scipy(tmp_path, form):
    sparse.save_npz(tmp_path / "a.npz", sparse.csr_matrix(VALUES).asformat(form))
    matrix = read_sparse(tmp_path / "a.npz")
    assert (matrix.shape, len(matrix)) == ((6, 4), 6)
    assert [values.dtype for values in matrix[:3]] == [np.float32, np.int32, np.int64]
    assert np.array_equal(dense(matrix, np.arange(6)), VALUES)


def test_what_is_no_sparse_matrix_is_refused(tmp_path):
    np.savez(tmp_path / "a.npz", values=VALUES)
    np.savez(tmp_path / "b.npz", format=b"csr", data=VALUES[0], indices=[0, 9, 1, 2], indptr=[0, 4], shape=(1, 4))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(ValueError, match=rf"{name} is no sparse matrix of SciPy, or damaged"):
            read_sparse(tmp_path / name)


@given(st.integers(0, 5), st.integers(0, 3), st.sampled_from([np.nan, -0.1, 1.01, np.inf]))
def test_the_first_value_that_is_no_probability(row, column, bad):
    values = probabilities_of("fine", 6, 4) + np.float32(1e-4)
    assert first_fault(values) is None
    values[row, column] = bad
    values[5, 3] = bad
    where = f"{bad:g} in row {row}, column {column}"
    assert first_fault(values) == where
    assert first_fault(as_sparse(values)) == where


@pytest.mark.parametrize("form", ["dense", "sparse"])
def test_a_damaged_folder_is_named(tmp_path, form):
    with pytest.raises(FileNotFoundError, match=r"no image probabilities in .*import the data set again"):
        open_probabilities(tmp_path)
    written(tmp_path, VALUES if form == "dense" else as_sparse(VALUES))
    content = json.loads((tmp_path / "meta.json").read_text())
    (tmp_path / "meta.json").write_text(json.dumps({**content, "classes": ["owl"]}))
    with pytest.raises(ValueError, match=r"do not fit together: \(6, \d\) values, 6 ids, 1 classes"):
        open_probabilities(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps(content))
    name = "probabilities.npy" if form == "dense" else "indices.npy"
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-4])
    with pytest.raises(ValueError, match=rf"{name} is damaged or cut short .*import the data set again"):
        open_probabilities(tmp_path)


def test_evaluation_with_a_classifier_that_saw_no_validation_rows(small, tmp_path):
    tuned = tmp_path / "tuned"
    encoder = Encoder(dim=8, network_options={"depth": 1})
    finetune(Finetune(small.table_path, tuned, "label", modes=("frozen",), steps=2, encoder=encoder), progress=False)
    test = np.flatnonzero(small.table.columns["split"] == "test")
    codes = small.table.labels("label").codes
    values = np.full((len(test), 3), 0.25, np.float32)
    values[np.arange(len(test)), codes[test]] = 0.5
    classes = small.table.labels("label").classes
    meta = {"classifier": "perfect"}
    folder = tmp_path / "probabilities"
    write_probabilities(folder, [values[:, ::-1]], ids=small.table.ids[test], classes=classes[::-1], meta=meta)
    report = evaluate(Evaluate(tuned, small.table_path, image_probabilities=folder))
    assert report["scores"]["image"]["top1"] == 1
    assert report["scores"]["image"]["count"] == len(test)
    assert "weighted" not in report["scores"]
    write_probabilities(folder, [values[1:]], ids=small.table.ids[test[1:]], classes=classes, meta=meta)
    with pytest.raises(
        ValueError, match=rf"no P\(y \| image\) for test row {test[0]} \(place-{test[0]:03d}\): were they"
    ):
        evaluate(Evaluate(tuned, small.table_path, image_probabilities=folder))


def test_the_command_line_from_published_files_to_scores(tmp_path, capsys):
    folder, out = write_inat2018(tmp_path / "inat_2018"), tmp_path / "out"

    def run(*arguments: object) -> int:
        return main([str(one) for one in arguments])

    assert run("import", "--dataset", "inat2018", "--folder", folder, "--out", out, "--val-share", 0.25) == 0
    printed = capsys.readouterr().out
    assert "iNat2018: 17 rows (9 train, 3 val, 5 test)" in printed
    assert "3 classes; 2 rows without a location, kept" in printed
    assert "terms: iNaturalist" in printed
    table, encoder = out / "table.parquet", ["--encoder.dim", 8, "--encoder.network-options", "depth", 1]
    common = ["--table", table, "--split", "split"]
    schedule = ["--schedule.epochs", 1, "--schedule.batch-size", 4, "--image-components", 4]
    assert run("pretrain", *common, "--features", out / "features", "--out", out / "run", *encoder, *schedule) == 0
    tuned = ["--label", "label", "--pretrained", out / "run", "--steps", 3]
    assert run("finetune", *common, "--out", out / "tuned", *tuned) == 0
    images = out / "probabilities" / "features_inception"
    assert run("evaluate", "--table", table, "--run", out / "tuned", "--image-probabilities", images) == 0
    assert "product" in capsys.readouterr().out
    (folder / "val2018.json").unlink()
    assert run("import", "--dataset", "inat2018", "--folder", folder, "--out", out) == 1
    assert "missing: val2018.json" in capsys.readouterr().err


def test_the_command_line_for_a_table(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("lon,lat,species\n1,2,wren\n,,tit\n")
    arguments = ["--file", str(tmp_path / "a.csv"), "--out", str(tmp_path / "out"), "--label", "species"]
    assert main(["import-table", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "a.csv: 2 rows\n  2 classes; 1 rows without a location, kept\ntable: " in printed
    assert main(["import-table", *arguments[:-1], "specie"]) == 1
    assert "Did you mean 'species'?" in capsys.readouterr().err
