"""Fine-tuning on few labels: candidates, the best of which is chosen on validation and saved."""

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import locenc
from locenc import LocationEncoder
from locenc._devices import resolve
from locenc._files import only_one, write_text
from locenc_csp import negatives
from locenc_csp._hashes import file_hash
from locenc_csp.candidates import Examples, forget_checkpoints, run_way, top1, ways
from locenc_csp.checkpoints import first_difference
from locenc_csp.datasets.splits import stratified_subset
from locenc_csp.datasets.table import Labels, PlaceTable
from locenc_csp.datasets.table_files import read_table
from locenc_csp.finetuned import RESULT, SCORES, head_kind, load_finetuned, save_head, versions
from locenc_csp.pretraining import ENCODER
from locenc_csp.pretraining_model import build_encoder
from locenc_csp.recipes import Finetune

_DEFAULTS = json.loads(
    json.dumps(
        {one.name: one.default for one in dataclasses.fields(Finetune) if one.default is not dataclasses.MISSING}
    )
)

Rows = NDArray[np.int64]


class Task(NamedTuple):
    """Labels of a table and the rows that train, choose and test."""

    labels: Labels
    train: Rows
    val: Rows
    test: Rows


def finetune(recipe: Finetune, *, progress: bool = True) -> dict[str, Any]:
    """Fine-tune, choose on validation, save; a run that stopped is continued, a finished one is returned at once.

    Parameters
    ----------
    recipe : Finetune
        What to train on, and how.
    progress : bool
        Whether to show progress bars (on a terminal only).

    Returns
    -------
    dict
        What ``result.json`` holds: recipe, chosen candidate, all candidates, classes, number of labels, top-1 on
        validation, hash of the table, versions. Beside it in ``recipe.out``: ``encoder/``, ``head.safetensors`` and
        ``candidates/``, the metrics of what was trained.

    Raises
    ------
    FileNotFoundError, ValueError
        For a table, label column, roles or encoder that are missing or do not fit, or a folder of another run.
    OSError
        If the output folder cannot be written, or another process is at work in it.
    """
    identity = _identity(recipe)
    with only_one(recipe.out, "fine-tuning"):
        content = _finished(recipe.out, identity)
        if content is None:
            content = {**identity, **_run(recipe, identity, progress), "versions": versions()}
            write_text(recipe.out / RESULT, json.dumps(content, indent=2) + "\n")
        forget_checkpoints(recipe.out)  # of a run that was killed here, too
        return content


def make_task(table: PlaceTable, *, label: str, split: str, label_ratio: float, seed: int) -> Task:
    """Rows of each role that have a label; training rows are a stratified share and have a location, as val rows do.

    Test rows need no location: they fall back to the image. Classes are those of all rows.
    """
    labels = table.labels(label)
    known = labels.codes >= 0
    placed = known & table.has_location
    train = np.flatnonzero(placed & table.has_role(split, "train"))
    if len(train) == 0:
        raise ValueError(
            f"no labelled training row: no row has role 'train' in {split!r}, a label in {label!r} and a location"
        )
    train = train[stratified_subset(labels.codes[train], label_ratio, seed)]
    val = np.flatnonzero(placed & table.has_role(split, "val"))
    return Task(labels, train, val, np.flatnonzero(known & table.has_role(split, "test")))


def _run(recipe: Finetune, identity: dict[str, Any], progress: bool) -> dict[str, Any]:
    """Train every candidate, keep the best on validation, save it."""
    table = read_table(recipe.table, columns=(recipe.label, recipe.split))
    task = make_task(table, label=recipe.label, split=recipe.split, label_ratio=recipe.label_ratio, seed=recipe.seed)
    found = ways(recipe)
    if len(task.val) == 0 and (len(found) > 1 or recipe.patience is not None):
        use = f"choose among {len(found)} candidates" if len(found) > 1 else "stop by"
        raise ValueError(
            f"no row to {use}: none has role 'val' in {recipe.split!r}, a label and a "
            "location. Add such rows, or name one mode with one setting, and no patience"
        )
    examples = _examples(table, task)
    start = _encoder(recipe).to(resolve(recipe.device))
    candidates: list[dict[str, Any]] = []
    best = None
    for way in found:
        encoder, head = run_way(way, start, recipe, examples, fingerprint=identity, progress=progress)
        val_top1 = top1(encoder, head, examples)
        candidates.append({"mode": way.mode, **way.settings, "val_top1": val_top1})
        if best is None or (val_top1 or 0.0) > (best[0]["val_top1"] or 0.0):
            best = candidates[-1], encoder, head
    assert best is not None
    chosen, encoder, head = best
    for stale in (RESULT, SCORES):  # until all is written, nothing here counts as finished
        (recipe.out / stale).unlink(missing_ok=True)
    encoder.save_pretrained(recipe.out / ENCODER)
    save_head(recipe.out, head_kind(chosen["mode"], recipe.head), head, task.labels.classes)
    return {
        "chosen": chosen,
        "candidates": candidates,
        "num_labels": len(task.train),
        "classes": list(task.labels.classes),
    }


def _examples(table: PlaceTable, task: Task) -> Examples:
    codes = task.labels.codes
    return Examples(
        table.lonlat[task.train], codes[task.train], table.lonlat[task.val], codes[task.val], len(task.labels.classes)
    )


def _encoder(recipe: Finetune) -> LocationEncoder:
    if recipe.pretrained is None:
        return build_encoder(recipe.encoder, seed=recipe.seed)
    inner = recipe.pretrained / ENCODER
    return locenc.from_pretrained(inner if inner.is_dir() else recipe.pretrained)


def _identity(recipe: Finetune) -> dict[str, Any]:
    """What decides the result: the recipe, the table, and the weights that it starts from."""
    if not recipe.table.is_file():
        raise FileNotFoundError(f"no table at {recipe.table}: expected a Parquet file with id, lon, lat, label, split")
    settings = json.loads(json.dumps(dataclasses.asdict(recipe), default=str))
    for name in ("table", "out", "device", "save_every"):
        del settings[name]
    settings["negatives"] = negatives.identity(recipe.negatives)
    identity = {"recipe": settings, "table": file_hash(recipe.table)}
    if recipe.pretrained is not None:
        weights = [
            *recipe.pretrained.glob("model.safetensors"),
            *recipe.pretrained.glob(f"{ENCODER}/model.safetensors"),
        ]
        identity["pretrained"] = [file_hash(path) for path in weights]
    return identity


def _finished(folder: Path, identity: dict[str, Any]) -> dict[str, Any] | None:
    """Read the result of an equal run, if all of it is there and whole.

    Raises
    ------
    ValueError
        If the folder holds another run's result.
    """
    try:
        _, _, result = load_finetuned(folder)
    except (ValueError, OSError):
        return None
    there = {key: result.get(key) for key in identity}
    usual = {name: value for name, value in _DEFAULTS.items() if name in identity["recipe"]}
    there["recipe"] = {**usual, **result["recipe"]}  # runs of before an option existed are finished too
    if (difference := first_difference(there, identity)) is not None:
        raise ValueError(
            f"{folder} holds another fine-tuning run: {difference}. Choose another output folder, or delete this one"
        )
    return result
