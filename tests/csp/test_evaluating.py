"""The report of an evaluation: scores, calibration, classes, geo-bias, map; and what decided it."""

import json
import re

import numpy as np
import pytest

import locenc
from locenc_csp._hashes import file_hash
from locenc_csp.calibration import expected_calibration_error, fit_temperature, temper
from locenc_csp.cli import main
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from locenc_csp.evaluating import evaluate
from locenc_csp.evaluation import multiply_prior
from locenc_csp.finetuned import load_finetuned, location_probabilities
from locenc_csp.finetuning import finetune, make_task
from locenc_csp.geo_bias_relative import relative_information
from locenc_csp.geo_bias_self import self_information
from locenc_csp.ranking import ranks, scores
from locenc_csp.recipes import Encoder, Evaluate, Finetune

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.1})


@pytest.fixture(params=["softmax", "presence"])
def tuned(small, request):
    """Folder of a fine-tuned run on the small set, and its table's path."""
    job = Finetune(small.table_path, small.folder / "tuned", "label", encoder=ENCODER, modes=("full",), lrs=(1e-2,))
    finetune(Finetune(**{**vars(job), "head": request.param, "steps": 60, "seed": 3}), progress=False)
    return job.out


def parts(small, run):
    """P(class | location) of the val and of the test rows, their labels, and who has a location."""
    encoder, head, _ = load_finetuned(run)
    task = make_task(small.table, label="label", split="split", label_ratio=1.0, seed=3)
    codes, placed = small.table.labels("label").codes, small.table.has_location[task.test]
    location = np.full((len(task.test), 3), np.nan)
    location[placed] = location_probabilities(encoder, head, small.table.lonlat[task.test[placed]])
    return location_probabilities(encoder, head, small.table.lonlat[task.val]), location, codes, placed, task


def image_probabilities(small):
    image = np.random.default_rng(0).dirichlet(np.ones(3), size=len(small.table)).astype(np.float32)
    np.save(small.folder / "image.npy", image)
    return image, small.folder / "image.npy"


def test_scores_and_calibration_again_from_the_saved_model(small, tuned):
    image, path = image_probabilities(small)
    report = evaluate(Evaluate(tuned, small.table_path, image_probabilities=path))
    val, location, codes, placed, task = parts(small, tuned)
    test = codes[task.test]
    temperature = fit_temperature(val, codes[task.val])
    found = report["calibration"]
    assert found["temperature"] == pytest.approx(temperature)
    for when, probs in (("before", location[placed]), ("after", temper(location[placed], temperature))):
        error = expected_calibration_error(probs, test[placed])
        assert found[when]["expected_calibration_error"] == pytest.approx(error, abs=1e-6)
        table = found[when]["reliability"]
        assert sum(table["count"]) == placed.sum()
        assert len(table["count"]) == len(table["above"]) == len(table["accuracy"]) == len(table["confidence"])

    product = multiply_prior(image[task.test], location, has_location=placed)
    calibrated = multiply_prior(image[task.test], location, has_location=placed, location_weight=1 / temperature)
    for branch, probs in (("product", product), ("calibrated", calibrated), ("image", image[task.test])):
        expected = scores(probs, test)
        for name in ("top1", "top3", "top5", "top10", "mrr", "count"):
            assert report["scores"][branch][name] == pytest.approx(getattr(expected, name)), (branch, name)
    hit = ranks(product, test) == 1
    assert report["branch"] == "product"
    for code, name in enumerate(("dry", "green", "icy")):
        rows = test == code
        assert report["classes"][name] == {"count": rows.sum(), "top1": pytest.approx(hit[rows].mean())}
    macro = np.mean([one["top1"] for one in report["classes"].values()])
    assert report["scores"]["product"]["macro_top1"] == pytest.approx(macro)


def test_the_report_says_what_decided_it(small, tuned):
    small.write_features(small.features, np.random.default_rng(0).normal(size=(240, 12)), small.table.ids)
    report = evaluate(Evaluate(tuned, small.table_path, features=small.features))
    assert report["seed"] == 3
    assert report["table"] == file_hash(small.table_path)
    assert report["counts"] == {"train": 120, "val": 40, "test": 40, "test_with_location": 39, "classes": 3}
    assert report["versions"]["locenc"] == locenc.__version__
    assert {"torch", "numpy", "python"} < set(report["versions"])
    assert {"processor", "cores", "threads", "system"} <= set(report["machine"])
    assert re.fullmatch("[0-9a-f]{16}", report["images"])

    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    text = (tuned / "scores.json").read_text()
    assert json.loads(text, parse_constant=refuse) == report
    again = evaluate(Evaluate(tuned, small.table_path, features=small.features))
    assert again == report
    small.write_features(small.features, np.random.default_rng(1).normal(size=(240, 12)), small.table.ids)
    assert evaluate(Evaluate(tuned, small.table_path, features=small.features))["images"] != report["images"]
    (small.features / "meta.json").write_text('{"values_sha256": "abcdefabcdefabcdefabcdef"}')
    noted = evaluate(Evaluate(tuned, small.table_path, features=small.features))
    assert noted["images"] == "abcdefabcdefabcd"
    alone = evaluate(Evaluate(tuned, small.table_path))
    assert "images" not in alone
    assert alone["branch"] == "location"


def test_geo_bias_and_map(small, tuned):
    image, path = image_probabilities(small)
    job = Evaluate(
        tuned,
        small.table_path,
        image_probabilities=path,
        map=small.folder / "maps" / "accuracy.png",
        geo_bias=True,
        geo_bias_radius_km=6000,
    )
    report = evaluate(job)
    _, location, codes, placed, task = parts(small, tuned)
    product = multiply_prior(image[task.test], location, has_location=placed)
    hits = (ranks(product, codes[task.test]) == 1)[placed]
    lonlat = small.table.lonlat[task.test[placed]]
    found = report["geo_bias"]
    assert found["count"] == 39
    assert found["ssi_unmarked"] == pytest.approx(self_information(lonlat, radius_km=6000).score)
    assert found["ssi_marked"] == pytest.approx(self_information(lonlat, 1 + hits, radius_km=6000).score)
    assert found["sri_cells"] is None  # no cell has twenty places
    for name, size in (("sri_rings", {"ring_km": 1500}), ("sri_sectors", {"num_sectors": 8})):
        expected = relative_information(lonlat, hits, radius_km=6000, bins=2, **size).score
        assert found[name] is None if np.isnan(expected) else found[name] == pytest.approx(expected)
    assert job.map.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_validation_or_locations(small, tmp_path):
    roles = np.where(small.table.columns["split"] == "val", "pool", small.table.columns["split"])
    lonlat = small.table.lonlat.copy()
    lonlat[roles == "test"] = np.nan
    for name, points in (("unchecked", small.table.lonlat), ("nowhere", lonlat)):
        path = tmp_path / f"{name}.parquet"
        write_table(PlaceTable(small.table.ids, points, {**small.table.columns, "split": roles}), path)
        run = tmp_path / name
        finetune(Finetune(path, run, "label", encoder=ENCODER, modes=("frozen",), steps=5), progress=False)
        _, image = image_probabilities(small)
        report = evaluate(Evaluate(run, path, image_probabilities=image))
        assert "calibration" not in report
        assert "weights" not in report
        branches = {"location", "image", "product"}
        assert set(report["scores"]) == branches - ({"location"} if name == "nowhere" else set())
    assert report["scores"]["product"] == report["scores"]["image"]
    with pytest.raises(ValueError, match="no test row has a location, and nothing says where P"):
        evaluate(Evaluate(tmp_path / "nowhere", tmp_path / "nowhere.parquet"))


def test_classes_that_are_all_ruled_out(small, monkeypatch):
    job = Finetune(small.table_path, small.folder / "tuned", "label", encoder=ENCODER, modes=("frozen",), steps=5)
    finetune(job, progress=False)
    from locenc_csp import evaluating

    def some_zero(encoder, head, lonlat):
        probs = location_probabilities(encoder, head, lonlat)
        probs[::4] = 0
        return probs

    monkeypatch.setattr(evaluating, "location_probabilities", some_zero)
    report = evaluate(Evaluate(job.out, small.table_path, features=small.features))
    assert sum(report["calibration"]["before"]["reliability"]["count"]) == 39 - 10


def test_the_command_prints_and_draws(small, capsys):
    job = Finetune(small.table_path, small.folder / "tuned", "label", encoder=ENCODER, modes=("frozen",), steps=5)
    finetune(job, progress=False)
    picture = small.folder / "accuracy.svg"
    command = ["evaluate", "--run", job.out, "--table", small.table_path, "--map", picture, "--geo-bias"]
    assert main([str(one) for one in command]) == 0
    printed = capsys.readouterr().out
    for text in ("top10", "temperature", "calibration error", "ssi_marked", "sri_rings none", "within 100 km"):
        assert text in printed
    assert f"map: {picture}" in printed
    assert picture.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--map", "accuracy.txt"], r"must be a file that ends in .png, .svg or .pdf, got 'accuracy.txt'"),
        (["--geo-bias-radius-km", "0"], r"geo_bias_radius_km must be positive and finite, got 0"),
    ],
)
def test_bad_settings(arguments, message, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--run", "r", "--table", "t", *arguments])
    assert re.search(message, re.sub(r"[\s│]+", " ", capsys.readouterr().err))
