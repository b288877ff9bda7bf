"""Score a fine-tuned encoder on the test rows: image, location, and both."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._files import write_text
from locenc._names import and_more
from locenc_csp.datasets.probabilities import open_probabilities
from locenc_csp.datasets.table import PlaceTable, read_table
from locenc_csp.evaluation import choose_weights, multiply_prior
from locenc_csp.features import open_features
from locenc_csp.finetuned import SCORES, load_finetuned, location_probabilities, versions
from locenc_csp.finetuning import Task, make_task, table_hash
from locenc_csp.image_classifier import image_probabilities
from locenc_csp.pretraining import unlabelled_rows
from locenc_csp.ranking import scores
from locenc_csp.recipes import Evaluate

Probabilities = NDArray[np.floating[Any]]


def evaluate(recipe: Evaluate) -> dict[str, Any]:
    """Score a fine-tuned encoder on its table's test rows.

    Parameters
    ----------
    recipe : Evaluate
        The run, the table, and where P(y | image) comes from.

    Returns
    -------
    dict
        ``scores``: for ``location`` (test rows that have one), ``image``, ``product`` = P(y | image)·P(y | location)
        and ``weighted`` (exponents chosen on the val rows) the top-1, 3, 5 accuracy, the mean reciprocal rank and the
        number of rows; ``weights``; the run's seed, the table's hash, versions. Also written as JSON.

    Raises
    ------
    FileNotFoundError, ValueError
        For a run, table or features that are missing or do not fit together.
    """
    encoder, head, result = load_finetuned(recipe.run)
    table = read_table(recipe.table)
    if table_hash(recipe.table) != result["table"]:
        raise ValueError(
            f"{recipe.table} is not the table that {recipe.run} was fine-tuned on (hash {table_hash(recipe.table)}, "
            f"was {result['table']}): its test rows may be training rows there"
        )
    task = make_task(table, **task_settings(result))
    if len(task.test) == 0:
        raise ValueError(f"no row to score: none has role 'test' in {result['recipe']['split']!r} and a label")
    rows = np.concatenate([task.val, task.test])
    location = np.full((len(rows), len(task.labels.classes)), np.nan, np.float32)
    placed = table.has_location[rows]
    location[placed] = location_probabilities(encoder, head, table.lonlat[rows[placed]])
    image = _image_probabilities(recipe, table, task, rows, result)
    report = {
        "run": str(recipe.run),
        **compare(location, image, task, table),
        **task_settings(result),
        "num_labels": result["num_labels"],
        "table": result["table"],
        "versions": versions(),
    }
    write_text(recipe.out or recipe.run / SCORES, json.dumps(report, indent=2) + "\n")
    return report


def compare(location: Probabilities, image: Probabilities | None, task: Task, table: PlaceTable) -> dict[str, Any]:
    """Scores of the branches and of their products.

    Parameters
    ----------
    location, image : array (val rows + test rows, K)
        Probabilities, val rows first; rows without a location are not looked at. Val rows of ``image`` that hold NaN
        are left out where weights are chosen.
    task : Task
        Labels and rows.
    table : PlaceTable
        Says which rows have a location.

    Returns
    -------
    dict
        ``scores`` by branch, and ``weights`` of the weighted product where there is an image branch.
    """
    codes, num_val = task.labels.codes, len(task.val)
    test, placed = codes[task.test], table.has_location[task.test]
    result: dict[str, Any] = {"scores": {}}
    if placed.any():
        result["scores"]["location"] = _scores(location[num_val:][placed], test[placed])
    if image is not None and len(test):
        product = multiply_prior(image[num_val:], location[num_val:], has_location=placed)
        result["scores"]["image"] = _scores(image[num_val:], test)
        result["scores"]["product"] = _scores(product, test)
        seen = np.flatnonzero(~np.isnan(image[:num_val]).any(axis=1))  # others' classifiers may lack val rows
        if len(seen):
            weights = choose_weights(image[seen], location[seen], codes[task.val[seen]])
            weighted = multiply_prior(image[num_val:], location[num_val:], has_location=placed, **weights._asdict())
            result["scores"]["weighted"] = _scores(weighted, test)
            result["weights"] = weights._asdict()
    return result


def task_settings(result: dict[str, Any]) -> dict[str, Any]:
    """Settings of a saved run that decide its rows, as `make_task` takes them."""
    return {name: result["recipe"][name] for name in ("label", "split", "label_ratio", "seed")}


def _image_probabilities(
    recipe: Evaluate, table: PlaceTable, task: Task, rows: NDArray[np.int64], result: dict[str, Any]
) -> Probabilities | None:
    num_classes = len(task.labels.classes)
    if recipe.image_probabilities is not None and recipe.image_probabilities.is_dir():
        return _imported_probabilities(recipe.image_probabilities, table, task, rows)
    if recipe.image_probabilities is not None:
        return _read_probabilities(recipe.image_probabilities, len(table), num_classes)[rows]
    if recipe.features is None:
        return None
    features = open_features(recipe.features)
    features.check_ids(table)
    return image_probabilities(
        features,
        task.labels.codes,
        train=task.train,
        val=task.val,
        unlabelled=unlabelled_rows(table, result["recipe"]["split"]),
        rows=rows,
        num_classes=num_classes,
    )


def _imported_probabilities(folder: Path, table: PlaceTable, task: Task, rows: NDArray[np.int64]) -> Probabilities:
    """P(y | image) that `locenc-csp import` has stored; NaN in val rows that the classifier was not run on."""
    probabilities = open_probabilities(folder).of(table.ids[rows], task.labels.classes)
    lacking = np.flatnonzero(np.isnan(probabilities[len(task.val) :]).any(axis=1))
    if len(lacking):
        row = task.test[lacking[0]]
        raise ValueError(
            f"{folder} has no P(y | image) for test row {row} ({table.ids[row]}){and_more(len(lacking))}: were "
            "they imported with this table, and is the split the published one (--split official)?"
        )
    return probabilities


def _read_probabilities(path: Path, num_rows: int, num_classes: int) -> Probabilities:
    expected = f"P(y | image) as .npy, a row for each of the table's {num_rows} places, {num_classes} classes by name"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected {expected}")
    try:
        given: Probabilities = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged or no array; expected {expected}") from error
    if given.shape != (num_rows, num_classes):
        raise ValueError(f"{path} has shape {given.shape}; expected {expected}")
    return given


def _scores(probabilities: Probabilities, codes: NDArray[np.int64]) -> dict[str, float]:
    return dataclasses.asdict(scores(probabilities, codes))
