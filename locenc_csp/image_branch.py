"""Where P(class | image) of an evaluation comes from: features and a classifier, or what others have computed."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._names import and_more
from locenc_csp._chunks import NO_ARRAY
from locenc_csp.datasets.probabilities import open_probabilities
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.features import open_features
from locenc_csp.finetuning import Task
from locenc_csp.image_classifier import train_image_classifier
from locenc_csp.pretraining_data import unlabelled_rows
from locenc_csp.recipes import Evaluate

Probabilities = NDArray[np.floating[Any]]
Predict = Callable[[NDArray[np.int64]], Probabilities]


def image_branch(
    recipe: Evaluate, table: PlaceTable, task: Task, rows: NDArray[np.int64], split: str
) -> Predict | None:
    """Find P(y | image) where the recipe says; None where it names nothing.

    Parameters
    ----------
    recipe : Evaluate
        Names a folder of features, or stored probabilities.
    table, task
        The places and their labels.
    rows : array of int
        Rows of the table that will be asked for, the val rows first.
    split : str
        Column of roles; rows whose role is not test fit the principal components of the features.

    Returns
    -------
    callable or None
        From places in ``rows``, int64 (B,), to probabilities (B, K). Imported ones are NaN in val rows that the
        classifier was not run on.

    Raises
    ------
    FileNotFoundError, ValueError
        For files that are missing or do not fit the table.
    """
    num_classes = len(task.labels.classes)
    if recipe.image_probabilities is not None and recipe.image_probabilities.is_dir():
        return _imported_probabilities(recipe.image_probabilities, table, task, rows)
    if recipe.image_probabilities is not None:
        given = _read_probabilities(recipe.image_probabilities, len(table), num_classes)
        return lambda places: given[rows[places]]
    if recipe.features is None:
        return None
    features = open_features(recipe.features)
    features.check_ids(table)
    classifier = train_image_classifier(
        features,
        task.labels.codes,
        train=task.train,
        val=task.val,
        unlabelled=unlabelled_rows(table, split),
        num_classes=num_classes,
    )
    return lambda places: classifier(rows[places])


def _imported_probabilities(folder: Path, table: PlaceTable, task: Task, rows: NDArray[np.int64]) -> Predict:
    """P(y | image) that `locenc-csp import` has stored; NaN in val rows that the classifier was not run on."""
    probabilities = open_probabilities(folder)
    found = probabilities.find(table.part("id", rows))
    lacking = np.flatnonzero(found[len(task.val) :] < 0)
    if len(lacking):
        row = task.test[lacking[0]]
        name = table.part("id", np.array([row]))[0]
        raise ValueError(
            f"{folder} has no P(y | image) for test row {row} ({name}){and_more(len(lacking))}: were "
            "they imported with this table, and is the split the published one (--split official)?"
        )
    return lambda places: probabilities.at(found[places], task.labels.classes)


def _read_probabilities(path: Path, num_rows: int, num_classes: int) -> Probabilities:
    expected = f"P(y | image) as .npy, a row for each of the table's {num_rows} places, {num_classes} classes by name"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected {expected}")
    try:
        given: Probabilities = np.load(path, mmap_mode="r", allow_pickle=False)
    except NO_ARRAY as error:
        raise ValueError(f"{path} is damaged or no array; expected {expected}") from error
    if given.shape != (num_rows, num_classes):
        raise ValueError(f"{path} has shape {given.shape}; expected {expected}")
    return given


def image_hash(recipe: Evaluate) -> str | None:
    """Hash of what P(y | image) was made from, as noted with the features, or of the files."""
    if recipe.image_probabilities is None:
        if recipe.features is None:
            return None
        noted = open_features(recipe.features).meta.get("values_sha256")
        return str(noted)[:16] if noted else _files_hash(recipe.features / "features.npy")
    path = recipe.image_probabilities
    return _files_hash(*(sorted(path.glob("*.*")) if path.is_dir() else [path]))


def _files_hash(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
