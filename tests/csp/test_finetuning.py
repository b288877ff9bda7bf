"""Fine-tuning and evaluation on a small set."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from locenc._files import only_one
from locenc_csp import finetuning
from locenc_csp.baselines import baselines
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from locenc_csp.evaluating import evaluate
from locenc_csp.evaluation import multiply_prior
from locenc_csp.finetuned import HEAD, load_finetuned, location_probabilities
from locenc_csp.finetuning import finetune, make_task
from locenc_csp.pretraining import pretrain
from locenc_csp.ranking import scores
from locenc_csp.recipes import Encoder, Evaluate, Finetune, Pretrain, Schedule

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.1})


def recipe(small: object, out: str = "tuned", **changes: object) -> Finetune:
    return Finetune(small.table_path, small.folder / out, "label", encoder=ENCODER, batch_size=32, **changes)


@pytest.mark.parametrize("head", ["softmax", "presence", "an-full", "an-ssdl", "an-slds"])
def test_it_learns_the_labels(small: object, head: str) -> None:
    job = recipe(small, head=head, modes=("full",), lrs=(1e-2,))
    result = finetune(job, progress=False)
    assert result["chosen"]["val_top1"] > 0.8
    assert result["classes"] == ["dry", "green", "icy"]
    assert result["num_labels"] == 120
    report = evaluate(Evaluate(job.out, small.table_path, features=small.features))
    assert report["scores"]["location"]["count"] == 39  # one test row has no location
    assert report["scores"]["product"]["count"] == report["scores"]["image"]["count"] == 40
    assert report["scores"]["location"]["top1"] > 0.8
    assert json.loads((job.out / "scores.json").read_text()) == report


def test_a_run_that_was_killed_behind_its_result_leaves_no_checkpoint(
    small: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = recipe(small, modes=("full",), steps=4)
    with monkeypatch.context() as patch:
        patch.setattr(finetuning, "forget_checkpoints", lambda folder: None)  # as if killed before
        result = finetune(job, progress=False)
    assert list(job.out.glob("candidates/*/checkpoint.pt"))
    assert finetune(job, progress=False) == result
    assert not list(job.out.glob("candidates/*/checkpoint.pt"))


def test_the_scores_are_those_of_the_saved_model(small: object) -> None:
    job = recipe(small, modes=("full",), lrs=(1e-2,))
    finetune(job, progress=False)
    encoder, head, _ = load_finetuned(job.out)
    table = small.table
    test = np.flatnonzero((table.columns["split"] == "test") & table.has_location)
    expected = scores(location_probabilities(encoder, head, table.lonlat[test]), table.labels("label").codes[test])
    assert evaluate(Evaluate(job.out, small.table_path))["scores"]["location"]["top1"] == expected.top1


def test_a_row_without_a_location_falls_back_to_the_image(small: object) -> None:
    job = recipe(small, modes=("full",))
    finetune(job, progress=False)
    rng = np.random.default_rng(0)
    image = rng.dirichlet(np.ones(3), size=len(small.table))
    np.save(small.folder / "image.npy", image)
    report = evaluate(Evaluate(job.out, small.table_path, image_probabilities=small.folder / "image.npy"))
    encoder, head, _ = load_finetuned(job.out)
    test = np.flatnonzero(small.table.columns["split"] == "test")
    placed = small.table.has_location[test]
    location = np.full((len(test), 3), np.nan)
    location[placed] = location_probabilities(encoder, head, small.table.lonlat[test[placed]])
    product = multiply_prior(image[test], location, has_location=placed)
    assert np.allclose(product[~placed], image[test][~placed])
    assert report["scores"]["product"]["top1"] == scores(product, small.table.labels("label").codes[test]).top1


def test_pretrained_frozen_or_full_is_chosen_on_validation(small: object) -> None:
    run = Pretrain(
        small.table_path,
        small.features,
        out=small.folder / "run",
        split="split",
        encoder=ENCODER,
        image_components=None,
        schedule=Schedule(epochs=20, batch_size=32),
    )
    encoder = pretrain(run, progress=False)
    result = finetune(recipe(small, pretrained=run.out, label_ratio=0.5, steps=40), progress=False)
    assert [candidate["mode"] for candidate in result["candidates"]] == ["frozen", "full"]
    assert result["chosen"]["val_top1"] == max(candidate["val_top1"] for candidate in result["candidates"])
    assert result["num_labels"] in (59, 60, 61)
    again = finetune(recipe(small, "again", pretrained=encoder, label_ratio=0.5, steps=40), progress=False)
    assert again["candidates"] == result["candidates"]


def test_a_finished_run_is_not_done_again(small: object, monkeypatch: pytest.MonkeyPatch) -> None:
    first = finetune(recipe(small, steps=5), progress=False)
    monkeypatch.setattr("locenc_csp.candidates.fit", None)
    assert finetune(recipe(small, steps=5), progress=False) == first
    with pytest.raises(ValueError, match=r"holds another fine-tuning run: recipe\.steps was 5, now 6\. Choose another"):
        finetune(recipe(small, steps=6), progress=False)


@pytest.mark.parametrize("name", ["head.safetensors", "encoder/model.safetensors", "result.json"])
def test_a_damaged_run_is_done_again_and_scored_again(small: object, name: str) -> None:
    job = recipe(small, steps=5)
    first = finetune(job, progress=False)
    evaluate(Evaluate(job.out, small.table_path))
    (job.out / name).write_bytes((job.out / name).read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"damaged|cut short"):
        evaluate(Evaluate(job.out, small.table_path))
    assert finetune(job, progress=False) == first
    assert not (job.out / "scores.json").exists()
    evaluate(Evaluate(job.out, small.table_path))


def test_results_that_are_no_results(small: object) -> None:
    job = recipe(small, steps=5)
    job.out.mkdir()
    for text in ("[]", "{}", '{"recipe": 3}'):
        (job.out / "result.json").write_text(text)
        with pytest.raises((ValueError, FileNotFoundError), match=r"result\.json|model\.safetensors"):
            evaluate(Evaluate(job.out, small.table_path))
    assert finetune(job, progress=False)["num_labels"] == 120


def test_two_processes_in_one_folder(small: object) -> None:
    message = r"another process is fine-tuning in .*tuned; wait for it"
    with only_one(small.folder / "tuned", "fine-tuning"), pytest.raises(BlockingIOError, match=message):
        finetune(recipe(small), progress=False)


def test_another_table_is_not_scored(small: object) -> None:
    job = recipe(small, steps=5)
    finetune(job, progress=False)
    table = small.table
    columns = {**table.columns, "split": table.columns["split"][::-1].copy()}
    write_table(PlaceTable(table.ids, table.lonlat, columns), small.folder / "other.parquet")
    with pytest.raises(ValueError, match=r"other\.parquet is not the table that .*tuned was fine-tuned on"):
        evaluate(Evaluate(job.out, small.folder / "other.parquet"))


def test_no_validation_and_no_test_rows(small: object) -> None:
    table = small.table
    roles = np.where(table.columns["split"] == "train", "train", "pool")
    write_table(PlaceTable(table.ids, table.lonlat, {**table.columns, "split": roles}), small.table_path)
    with pytest.raises(ValueError, match=r"no row to choose among 2 candidates: none has role 'val' in 'split'"):
        finetune(recipe(small), progress=False)
    job = recipe(small, "one", modes=("frozen",), steps=3)
    assert finetune(job, progress=False)["chosen"]["val_top1"] is None
    with pytest.raises(ValueError, match="no row to score: none has role 'test' in 'split'"):
        evaluate(Evaluate(job.out, small.table_path))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "steps must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"label_ratio": 0}, r"label_ratio must lie in \(0, 1\], got 0"),
        ({"label_ratio": 2}, r"label_ratio must lie in \(0, 1\], got 2"),
        ({"seed": -1}, "seed must be a whole number of at least 0, got -1"),
        ({"lrs": (1e-3, 0.0)}, r"lrs must be positive and finite, got 0\.0"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Finetune(Path(), Path(), "label", **{"batch_size": 32, **settings})


def test_seeds_decide_the_labels_and_the_result(small: object) -> None:
    tasks = [make_task(small.table, label="label", split="split", label_ratio=0.2, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(tasks[0].train, tasks[1].train)
    assert not np.array_equal(tasks[0].train, tasks[2].train)
    first, second = (finetune(recipe(small, f"run-{i}", steps=20), progress=False) for i in range(2))
    assert first["candidates"] == second["candidates"]


def test_baselines(small: object) -> None:
    result = baselines(recipe(small), small.features, image_out=small.folder / "base" / "image.npy")
    image = np.load(small.folder / "base" / "image.npy")
    assert image.shape == (240, 3)
    assert np.allclose(image.sum(1), 1, atol=1e-6)
    assert result["image"]["count"] == 40
    assert result["nearest_neighbour"]["count"] == 39
    assert result["nearest_neighbour"]["top1"] > 0.6


def test_bad_input(small: object) -> None:
    with pytest.raises(ValueError, match=r"'lable'.*label"):
        finetune(replace(recipe(small), label="lable"), progress=False)
    with pytest.raises(FileNotFoundError, match="no table at"):
        finetune(replace(recipe(small), table=Path("nowhere.parquet")), progress=False)
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors in .*nowhere"):
        finetune(recipe(small, pretrained=small.folder / "nowhere"), progress=False)
    with pytest.raises(FileNotFoundError, match=r"no result\.json in .*expected the output folder"):
        evaluate(Evaluate(small.folder / "nowhere", small.table_path))
    with pytest.raises(ValueError, match="no candidate to train"):
        finetune(recipe(small, modes=()), progress=False)


def test_no_labelled_row(small: object) -> None:
    table = small.table
    columns = {**table.columns, "split": np.full(len(table), "pool")}
    write_table(PlaceTable(table.ids, table.lonlat, columns), small.table_path)
    with pytest.raises(ValueError, match="no labelled training row: no row has role 'train' in 'split'"):
        finetune(recipe(small), progress=False)


def test_damaged_files_and_other_probabilities(small: object) -> None:
    job = recipe(small, steps=3)
    finetune(job, progress=False)
    np.save(small.folder / "image.npy", np.ones((240, 4)) / 4)
    with pytest.raises(ValueError, match=r"has shape \(240, 4\); expected .*3 classes"):
        evaluate(Evaluate(job.out, small.table_path, image_probabilities=small.folder / "image.npy"))
    path = job.out / HEAD
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"head\.safetensors is damaged or does not fit .*run finetune again"):
        load_finetuned(job.out)
