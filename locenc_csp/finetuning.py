"""Fine-tuning on few labels: a frozen encoder under a trained head, or everything, chosen on validation."""

import copy
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import locenc
from locenc import LocationEncoder
from locenc._devices import home, resolve
from locenc._files import only_one, write_text
from locenc_csp import negatives
from locenc_csp.datasets.splits import stratified_subset
from locenc_csp.datasets.table import Labels, PlaceTable, read_table
from locenc_csp.finetuned import (
    RESULT,
    SCORES,
    load_finetuned,
    location_probabilities,
    save_head,
    versions,
)
from locenc_csp.heads import HEADS, Head
from locenc_csp.loop import first_difference, fit
from locenc_csp.pretraining import ENCODER, build_encoder
from locenc_csp.recipes import Finetune, Schedule

FROZEN_LR = 1e-2

Rows = NDArray[np.int64]


class Task(NamedTuple):
    """Labels of a table and the rows that train, choose and test."""

    labels: Labels
    train: Rows
    val: Rows
    test: Rows


class Candidate(NamedTuple):
    """One way to fine-tune, and its top-1 accuracy on validation; None where there are no such rows."""

    mode: str
    lr: float
    val_top1: float | None


def finetune(recipe: Finetune, *, progress: bool = True) -> dict[str, Any]:
    """Fine-tune, choose on validation, save; a finished run is returned at once.

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
        validation, hash of the table, versions. Beside it in ``recipe.out``: ``encoder/`` and ``head.safetensors``.

    Raises
    ------
    FileNotFoundError, ValueError
        For a table, label column, roles or encoder that are missing or do not fit, or a folder of another run.
    OSError
        If the output folder cannot be written, or another process is at work in it.
    """
    identity = _identity(recipe)
    with only_one(recipe.out, "fine-tuning"):
        if (finished := _finished(recipe.out, identity)) is not None:
            return finished
        result = _run(recipe, progress)
        content = {**identity, **result, "versions": versions()}
        write_text(recipe.out / RESULT, json.dumps(content, indent=2) + "\n")
        return content


def make_task(table: PlaceTable, *, label: str, split: str, label_ratio: float, seed: int) -> Task:
    """Rows of each role that have a label; training rows are a stratified share and have a location, as val rows do.

    Test rows need no location: they fall back to the image. Classes are those of all rows.
    """
    labels, roles = table.labels(label), table.split(split)
    known = labels.codes >= 0
    placed = known & table.has_location
    train = np.flatnonzero(placed & (roles == "train"))
    if len(train) == 0:
        raise ValueError(
            f"no labelled training row: no row has role 'train' in {split!r}, a label in {label!r} and a location"
        )
    train = train[stratified_subset(labels.codes[train], label_ratio, seed)]
    return Task(labels, train, np.flatnonzero(placed & (roles == "val")), np.flatnonzero(known & (roles == "test")))


def _run(recipe: Finetune, progress: bool) -> dict[str, Any]:
    """Train every candidate, keep the best on validation, save it."""
    table = read_table(recipe.table)
    task = make_task(table, label=recipe.label, split=recipe.split, label_ratio=recipe.label_ratio, seed=recipe.seed)
    ways = [(mode, lr) for mode in recipe.modes for lr in (recipe.lrs if mode == "full" else (FROZEN_LR,))]
    if not ways:
        raise ValueError("no candidate to train: modes must name frozen or full, and full needs lrs")
    if len(ways) > 1 and len(task.val) == 0:
        raise ValueError(
            f"no row to choose among {len(ways)} candidates: none has role 'val' in {recipe.split!r}, a label and a "
            "location. Add such rows, or name one mode and one learning rate"
        )
    device = resolve(recipe.device)
    start = _encoder(recipe).to(device)
    trained = []
    for mode, lr in ways:
        encoder, head = copy.deepcopy(start), _head(recipe, start.dim, len(task.labels.classes)).to(device)
        _train(encoder, head, table, task, recipe, mode=mode, lr=lr, progress=progress)
        trained.append((Candidate(mode, lr, _top1(encoder, head, table, task)), encoder, head))
    chosen, encoder, head = max(trained, key=lambda one: one[0].val_top1 or 0.0)
    for stale in (RESULT, SCORES):  # until all is written, nothing here counts as finished
        (recipe.out / stale).unlink(missing_ok=True)
    encoder.save_pretrained(recipe.out / ENCODER)
    save_head(recipe.out, recipe.head, head, task.labels.classes)
    return {
        "chosen": chosen._asdict(),
        "candidates": [candidate._asdict() for candidate, _, _ in trained],
        "num_labels": len(task.train),
        "classes": list(task.labels.classes),
    }


def _train(
    encoder: LocationEncoder,
    head: Head,
    table: PlaceTable,
    task: Task,
    recipe: Finetune,
    *,
    mode: str,
    lr: float,
    progress: bool,
) -> None:
    """Train the head alone on fixed embeddings, or encoder and head together."""
    device = home(head)
    lonlat = torch.from_numpy(table.lonlat[task.train]).to(device)
    codes = torch.from_numpy(task.labels.codes[task.train]).to(device)
    sampler = negatives.sphere()
    frozen = mode == "frozen"
    encoder.requires_grad_(not frozen).train(not frozen)
    with torch.no_grad():
        fixed = encoder(lonlat) if frozen else None

    def step(batch: Tensor, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        embedding = encoder(lonlat[batch]) if fixed is None else fixed[batch]
        background = encoder(sampler(lonlat[batch], 1, generator)) if head.needs_background else None
        return head.loss(embedding, codes[batch], background), {}

    fit(
        step,
        nn.ModuleList([head] if frozen else [encoder, head]),
        torch.arange(len(task.train)),
        Schedule(steps=recipe.steps or _steps(len(task.train)), batch_size=recipe.batch_size, lr=lr, seed=recipe.seed),
        label=f"fine-tuning, {mode}",
        progress=progress,
    )
    encoder.requires_grad_(True).eval()
    head.eval()


def _top1(encoder: LocationEncoder, head: Head, table: PlaceTable, task: Task) -> float | None:
    if len(task.val) == 0:
        return None
    predicted = location_probabilities(encoder, head, table.lonlat[task.val]).argmax(1)
    return float((predicted == task.labels.codes[task.val]).mean())


def _steps(num_labels: int) -> int:
    """Steps by number of labels: few labels are learnt, and overlearnt, soon."""
    return 200 if num_labels < 500 else 400 if num_labels < 2000 else 800


def _encoder(recipe: Finetune) -> LocationEncoder:
    if recipe.pretrained is None:
        return build_encoder(recipe.encoder, seed=recipe.seed)
    inner = recipe.pretrained / ENCODER
    return locenc.from_pretrained(inner if inner.is_dir() else recipe.pretrained)


def _head(recipe: Finetune, dim: int, num_classes: int) -> Head:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        return HEADS[recipe.head](dim, num_classes)


def _identity(recipe: Finetune) -> dict[str, Any]:
    """What decides the result: the recipe, the table, and the weights that it starts from."""
    if not recipe.table.is_file():
        raise FileNotFoundError(f"no table at {recipe.table}: expected a Parquet file with id, lon, lat, label, split")
    settings = json.loads(json.dumps(dataclasses.asdict(recipe), default=str))
    for name in ("table", "out", "device"):
        del settings[name]
    identity = {"recipe": settings, "table": table_hash(recipe.table)}
    if recipe.pretrained is not None:
        weights = [
            *recipe.pretrained.glob("model.safetensors"),
            *recipe.pretrained.glob(f"{ENCODER}/model.safetensors"),
        ]
        identity["pretrained"] = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in weights]
    return identity


def table_hash(path: Path) -> str:
    """Hash of a table's file, as results hold it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


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
    if (difference := first_difference(there, identity)) is not None:
        raise ValueError(
            f"{folder} holds another fine-tuning run: {difference}. Choose another output folder, or delete this one"
        )
    return result
