"""The cells of the study: one method on one split, pre-trained, fine-tuned and evaluated on every label share.

Every cell keeps its files, so a study that was stopped goes on.
"""

import dataclasses
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from locenc._files import read_json, write_text
from locenc_csp.recipes import Evaluate, Finetune, Pretrain, Schedule
from locenc_csp.study.methods import FEATURES, Method

RATIOS = (0.01, 0.05, 0.20)
BASELINES = "baselines"
NOTE = "cell.json"
DEVICE = "cpu"  # of each process, so that the numbers are those of any machine


@dataclass(frozen=True)
class Cell:
    """One method on one split, with its label columns and label shares."""

    method: Method
    split: str | None
    seed: int
    labels: tuple[str, ...] = ("land_cover",)
    ratios: tuple[float, ...] = RATIOS


@dataclass(frozen=True)
class Workplace:
    """Where the study reads and writes.

    Attributes
    ----------
    table : Path
        Table of the data set; its folder holds the image features.
    out : Path
        Folder of the cells.
    label_tables : tuple of (str, Path)
        Label columns that are in other tables, of the same places.
    """

    table: Path
    out: Path
    label_tables: tuple[tuple[str, Path], ...] = ()

    def features(self, cell: Cell) -> Path:
        """Folder of a cell's image features."""
        return self.table.parent / cell.method.features

    def folder(self, cell: Cell) -> Path:
        """Folder of a cell."""
        return self.out / (cell.split or "all") / cell.method.key

    def tasks(self, cell: Cell) -> list[Finetune]:
        """Return what a cell fine-tunes on: each label column at each share; nothing where there is no split."""
        if cell.split is None:
            return []
        tables = dict(self.label_tables)
        return [
            Finetune(
                tables.get(label, self.table),
                self.folder(cell) / f"{label}-{ratio:g}",
                label,
                cell.split,
                label_ratio=ratio,
                seed=cell.seed,
                device=DEVICE,
            )
            for label in cell.labels
            for ratio in cell.ratios
        ]

    def image_probabilities(self, cell: Cell, task: Finetune) -> Path:
        """File of P(y | image) that belongs to a task."""
        kind = cell.method.features.removeprefix(FEATURES)
        return self.out / task.split / f"{BASELINES}{kind}" / task.out.name / "image.npy"


def run_cell(place: Workplace, cell: Cell) -> None:
    """Pre-train, then fine-tune and evaluate on every label share; what is finished is left as it is."""
    from locenc_csp.evaluating import evaluate
    from locenc_csp.finetuned import SCORES
    from locenc_csp.finetuning import finetune
    from locenc_csp.pretraining import ENCODER, pretrain

    seconds = _begin(place, cell)
    start, missing = time.process_time(), [task for task in place.tasks(cell) if not (task.out / SCORES).is_file()]
    pretrained = None
    if cell.method.pretraining is not None:
        pretrained = place.folder(cell) / "pretraining" / ENCODER
        if missing or cell.split is None:
            pretrained = pretrain(_pretraining(place, cell), progress=False)
    for task in missing:
        modes: dict[str, Any] = (
            {"modes": ("full",), "lrs": (1e-3, 3e-3)} if pretrained is None else {"modes": ("frozen", "full")}
        )
        finetune(dataclasses.replace(task, pretrained=pretrained, encoder=cell.method.encoder, **modes), progress=False)
        image = place.image_probabilities(cell, task)
        evaluate(Evaluate(task.out, task.table, image_probabilities=image, device=DEVICE))
    if missing:
        _note(place, cell, seconds + time.process_time() - start)


def run_baselines(place: Workplace, cell: Cell) -> None:
    """Image classifier and 1-nearest-neighbour on every label share: probabilities and scores."""
    from locenc_csp.baselines import baselines

    for task in place.tasks(cell):
        baselines(task, place.features(cell), image_out=place.image_probabilities(cell, task))


def baseline_cells(cells: Iterable[Cell]) -> list[Cell]:
    """Return one cell for the baselines of each split and kind of image features that the cells use."""
    merged: dict[tuple[str | None, str], Cell] = {}
    for cell in cells:
        if cell.split is None:
            continue
        key = (cell.split, cell.method.features)
        before = merged.get(key, cell)
        labels = tuple(dict.fromkeys((*before.labels, *cell.labels)))
        ratios = tuple(sorted({*before.ratios, *cell.ratios}))
        merged[key] = dataclasses.replace(before, labels=labels, ratios=ratios)
    return list(merged.values())


def _pretraining(place: Workplace, cell: Cell) -> Pretrain:
    return Pretrain(
        place.table,
        place.features(cell),
        out=place.folder(cell) / "pretraining",
        split=cell.split,
        encoder=cell.method.encoder,
        device=DEVICE,
        schedule=Schedule(seed=cell.seed, **cell.method.schedule),
        **(cell.method.pretraining or {}),
    )


def _begin(place: Workplace, cell: Cell) -> float:
    """Note what the cell's folder holds; return the seconds that were spent on it before.

    Raises
    ------
    ValueError
        If it holds a cell of other settings: its numbers would be taken for this one's.
    """
    from locenc_csp.checkpoints import first_difference

    path = place.folder(cell) / NOTE
    if not path.is_file():
        _note(place, cell, 0.0)
        return 0.0
    there = read_json(path, remedy=f"delete {path.parent} and run again")
    if (difference := first_difference(there.get("settings", {}), _settings(cell))) is not None:
        raise ValueError(f"{path.parent} holds another cell: {difference}. Delete it, or choose another --out")
    return float(there["seconds"])


def _note(place: Workplace, cell: Cell, seconds: float) -> None:
    content = {"settings": _settings(cell), "seconds": round(seconds, 1)}
    write_text(place.folder(cell) / NOTE, json.dumps(content, indent=2) + "\n")


def _settings(cell: Cell) -> dict[str, Any]:
    """What decides a cell's numbers, as JSON gives it back; titles do not."""
    settings: dict[str, Any] = json.loads(json.dumps({"seed": cell.seed, **dataclasses.asdict(cell.method)}))
    del settings["title"]
    return settings
