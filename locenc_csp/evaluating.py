"""Score a fine-tuned encoder on the test rows: image, location, and both; its calibration, its map, its geo-bias."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._devices import resolve
from locenc._files import atomic_write, write_text
from locenc_csp._hashes import file_hash
from locenc_csp._machine import machine
from locenc_csp.calibration import Outcomes
from locenc_csp.comparing import Calibration, compare
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table
from locenc_csp.finetuned import SCORES, load_finetuned, location_probabilities, versions
from locenc_csp.finetuning import Task, make_task
from locenc_csp.image_branch import image_branch, image_hash
from locenc_csp.ranking import class_scores, scores_of_ranks
from locenc_csp.recipes import Evaluate

Rows = NDArray[np.int64]

SECTORS, RINGS, CELLS = 8, 4, 4  # parts of a neighbourhood: sectors, rings, and square cells along its diameter


def evaluate(recipe: Evaluate) -> dict[str, Any]:
    """Score a fine-tuned encoder on its table's test rows.

    Parameters
    ----------
    recipe : Evaluate
        The run, the table, where P(y | image) comes from, and what else to make.

    Returns
    -------
    dict
        The report, also written as JSON:

        - ``scores``, for each branch: ``location`` (test rows that have one), ``image``, ``product`` =
          P(y | image)·P(y | location), ``weighted`` (exponents chosen on the val rows by top-1: ``weights``) and
          ``calibrated`` (location at the temperature that makes the val rows most likely). Top-1, 3, 5, 10 accuracy,
          mean reciprocal rank, ``macro_top1`` (mean over classes) and the number of rows. In all but ``location`` rows
          without a location are the image's alone.
        - ``classes``: for each class its test rows and their top-1 accuracy in ``branch``.
        - ``calibration`` of the location's probabilities before and after.
        - ``geo_bias`` of ``branch``, if asked for.
        - ``branch``: the product, or the location where there is no image.
        - the run's settings and seed, counts of rows, hashes of table and image data, versions, machine.

    Raises
    ------
    FileNotFoundError, ValueError
        For a run, table or features that are missing or do not fit together.
    """
    device = resolve(recipe.device)
    encoder, head, result = load_finetuned(recipe.run)
    encoder.to(device), head.to(device)
    if file_hash(recipe.table) != result["table"]:
        raise ValueError(
            f"{recipe.table} is not the table that {recipe.run} was fine-tuned on (hash {file_hash(recipe.table)}, "
            f"was {result['table']}): its test rows may be training rows there"
        )
    table = read_table(recipe.table, columns=(result["recipe"]["label"], result["recipe"]["split"]))
    task = make_task(table, **task_settings(result))
    if len(task.test) == 0:
        raise ValueError(f"no row to score: none has role 'test' in {result['recipe']['split']!r} and a label")
    rows = np.concatenate([task.val, task.test])
    image = image_branch(recipe, table, task, rows, result["recipe"]["split"])
    if image is None and not table.has_location[task.test].any():
        raise ValueError("no test row has a location, and nothing says where P(y | image) is: give features")

    def location(places: Rows) -> NDArray[np.float32]:
        return location_probabilities(encoder, head, table.lonlat[places])

    compared = compare(location, image, task, table)
    branch = "location" if image is None else "product"
    report = {
        "run": str(recipe.run),
        "scores": {name: _scores(rank, task) for name, rank in compared.ranks.items()},
        "weights": None if compared.weights is None else compared.weights._asdict(),
        "calibration": _calibration(compared.calibration),
        "branch": branch,
        "classes": _classes(compared.ranks[branch], task),
        "geo_bias": _geo_bias(recipe, compared.ranks[branch], task, table) if recipe.geo_bias else None,
        **task_settings(result),
        "num_labels": result["num_labels"],
        "counts": {
            **{role: len(getattr(task, role)) for role in ("train", "val", "test")},
            "test_with_location": int(table.has_location[task.test].sum()),
            "classes": len(task.labels.classes),
        },
        "table": result["table"],
        "images": image_hash(recipe),
        "versions": versions(),
        "machine": machine(),
    }
    report = {name: value for name, value in report.items() if value is not None}
    if recipe.map is not None:
        _draw_map(recipe.map, compared.ranks[branch], branch, task, table)
    write_text(recipe.out or recipe.run / SCORES, json.dumps(report, indent=2, allow_nan=False) + "\n")
    return report


def task_settings(result: dict[str, Any]) -> dict[str, Any]:
    """Settings of a saved run that decide its rows, as `make_task` takes them."""
    return {name: result["recipe"][name] for name in ("label", "split", "label_ratio", "seed")}


def _scores(rank: Rows, task: Task) -> dict[str, float]:
    known = rank > 0
    by_class = class_scores(rank[known], task.labels.codes[task.test[known]], len(task.labels.classes))
    return {**dataclasses.asdict(scores_of_ranks(rank[known])), "macro_top1": by_class.macro}


def _classes(rank: Rows, task: Task) -> dict[str, dict[str, float]]:
    known = rank > 0
    by_class = class_scores(rank[known], task.labels.codes[task.test[known]], len(task.labels.classes))
    rows = zip(task.labels.classes, by_class.num_rows.tolist(), by_class.accuracy.tolist(), strict=True)
    return {name: {"count": count, "top1": accuracy} for name, count, accuracy in rows if count}


def _calibration(found: Calibration | None) -> dict[str, Any] | None:
    """Likelihood, calibration error and reliability table of the location's probabilities, as they are and tempered."""

    def state(seen: Outcomes) -> dict[str, Any]:
        table = seen.reliability()
        filled = table.num_rows > 0
        return {
            "negative_log_likelihood": seen.negative_log_likelihood,
            "expected_calibration_error": table.error,
            "reliability": {
                "above": table.edges[:-1][filled].tolist(),
                "count": table.num_rows[filled].tolist(),
                "confidence": table.confidence[filled].tolist(),
                "accuracy": table.accuracy[filled].tolist(),
            },
        }

    if found is None:
        return None
    return {"temperature": found.temperature, "before": state(found.before), "after": state(found.after)}


def _geo_bias(recipe: Evaluate, rank: Rows, task: Task, table: PlaceTable) -> dict[str, Any]:
    """Self-information and relative information of hits, for the test rows with a location."""
    from locenc_csp.geo_bias_relative import relative_information
    from locenc_csp.geo_bias_self import self_information

    known = (rank > 0) & table.has_location[task.test]
    lonlat, hits = table.lonlat[task.test[known]], rank[known] == 1
    radius = recipe.geo_bias_radius_km
    near: dict[str, Any] = {"radius_km": radius, "max_neighbours": recipe.geo_bias_neighbours}
    parts: dict[str, dict[str, Any]] = {
        "cells": {"cell_km": 2 * radius / CELLS},
        "rings": {"ring_km": radius / RINGS},
        "sectors": {"num_sectors": SECTORS},
    }
    found = {
        "ssi_unmarked": self_information(lonlat, **near),
        "ssi_marked": self_information(lonlat, 1 + hits, **near),
        **{
            f"sri_{name}": relative_information(lonlat, hits, bins=[0, 0.5, 1], **part, **near)
            for name, part in parts.items()
        },
    }
    scores = {name: None if np.isnan(bias.score) else bias.score for name, bias in found.items()}
    return {**near, "count": len(lonlat), **scores, "parts": parts}


def _draw_map(path: Path, rank: Rows, branch: str, task: Task, table: PlaceTable) -> None:
    from locenc_csp.accuracy_map import plot_accuracy

    known = (rank > 0) & table.has_location[task.test]
    title = {"location": "P(class | location)", "product": "P(class | image) P(class | location)"}[branch]
    figure = plot_accuracy(table.lonlat[task.test[known]], rank[known] == 1, title=title)
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=150, format=path.suffix[1:] or "png"))
