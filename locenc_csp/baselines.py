"""What a location encoder must beat: the image alone, and the nearest labelled place."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from locenc._files import atomic_write, read_json, write_text
from locenc_csp._matrices import blocks
from locenc_csp.datasets.table_files import read_table
from locenc_csp.features import open_features
from locenc_csp.finetuned import SCORES
from locenc_csp.finetuning import make_task
from locenc_csp.image_classifier import train_image_classifier
from locenc_csp.pretraining_data import unlabelled_rows
from locenc_csp.ranking import ranks, scores_of_ranks
from locenc_csp.recipes import Finetune
from locenc_csp.search import nearest_neighbour


def baselines(task_recipe: Finetune, features_folder: Path, *, image_out: Path) -> dict[str, Any]:
    """Score the image classifier and 1-nearest-neighbour on a task; a finished task is returned at once.

    Parameters
    ----------
    task_recipe : Finetune
        Table, label, split, label share and seed; the same labelled rows as a fine-tuning run with these.
    features_folder : Path
        Image features.
    image_out : Path
        Where P(y | image) of every row of the table goes, as .npy (N, K) float32.

    Returns
    -------
    dict
        ``image`` and ``nearest_neighbour``: top-1, 3, 5, mean reciprocal rank and number of test rows (for
        1-nearest-neighbour top-1 and the number alone); written beside ``image_out`` as JSON.
    """
    path = image_out.parent / SCORES
    if path.is_file() and image_out.is_file():
        return read_json(path, remedy="delete it and run again")
    table = read_table(task_recipe.table, columns=(task_recipe.label, task_recipe.split))
    features = open_features(features_folder)
    features.check_ids(table)
    task = make_task(
        table,
        label=task_recipe.label,
        split=task_recipe.split,
        label_ratio=task_recipe.label_ratio,
        seed=task_recipe.seed,
    )
    codes = task.labels.codes
    predict = train_image_classifier(
        features,
        codes,
        train=task.train,
        val=task.val,
        unlabelled=unlabelled_rows(table, task_recipe.split),
        num_classes=len(task.labels.classes),
    )
    shape = (len(table), len(task.labels.classes))

    def write(temporary: Path) -> None:
        image = np.lib.format.open_memmap(temporary, "w+", np.float32, shape)
        for rows in blocks(*shape):
            image[rows] = predict(np.arange(rows.start, rows.stop))
        image.flush()

    atomic_write(image_out, write)
    image = np.load(image_out, mmap_mode="r")
    rank = [ranks(image[rows], codes[rows]) for rows in (task.test[part] for part in blocks(len(task.test), shape[1]))]
    placed = task.test[table.has_location[task.test]]
    nearest = nearest_neighbour(table.lonlat[task.train], codes[task.train], table.lonlat[placed])
    result = {
        "image": dataclasses.asdict(scores_of_ranks(np.concatenate(rank))),
        "nearest_neighbour": {"top1": float((nearest == codes[placed]).mean()), "count": len(placed)},
        "num_labels": len(task.train),
    }
    write_text(path, json.dumps(result, indent=2) + "\n")
    return result
