"""The study's numbers, gathered from the cells' files."""

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from locenc._files import read_json
from locenc_csp.finetuned import RESULT, SCORES
from locenc_csp.recipes import Finetune
from locenc_csp.study.cells import NOTE, Cell, Workplace
from locenc_csp.study.methods import with_images

#: One method on one split, label and share. Accuracies are shares of the test rows.
Record = dict[str, Any]

BRANCHES = ("location", "product", "weighted")
IMAGE, NEAREST, SUPERVISED = "image only", "1-nearest-neighbour", "best supervised"


def gather(place: Workplace, cells: Sequence[Cell]) -> list[Record]:
    """Read every cell's scores: one record for each split, label, share and row of the table.

    The best supervised encoder of a split, label and share is the one with the highest accuracy on validation; it has
    a record of its own. ``kind`` of a record: baseline, supervised, best or pretrained.
    """
    found: dict[tuple[Any, ...], Record] = {}
    for cell in cells:
        for task in place.tasks(cell):
            key = {
                "split": cell.split,
                "label": task.label,
                "ratio": task.label_ratio,
                "features": cell.method.features,
            }
            base = _read(place.image_probabilities(cell, task).parent / SCORES)
            key["num_labels"] = base["num_labels"]
            image = {
                **key,
                "kind": "baseline",
                "row": with_images(IMAGE, cell.method.features),
                "product": base["image"]["top1"],
            }
            nearest = {**key, "kind": "baseline", "row": NEAREST, "location": base["nearest_neighbour"]["top1"]}
            own = {**key, **_scores(place, cell, task)}
            for record in (image, nearest, own):
                found.setdefault(tuple(record[name] for name in ("split", "label", "ratio", "row")), record)
    records = list(found.values())
    return records + _best(records)


def best_encoder(records: Sequence[Record]) -> str:
    """Name the supervised method whose accuracy on validation is highest, on average over splits and shares."""
    values = on_validation(records, "supervised")
    return max(values, key=lambda method: values[method])


def best_setting(records: Sequence[Record]) -> str:
    """Name the pre-trained method whose accuracy on validation is highest, on average over splits and shares."""
    values = on_validation(records, "pretrained")
    return max(values, key=lambda method: values[method])


def on_validation(records: Sequence[Record], kind: str) -> dict[str, float]:
    """Mean accuracy on validation of each method of a kind, over splits and shares."""
    found: dict[str, list[float]] = {}
    for record in records:
        if record["kind"] == kind:
            found.setdefault(record["method"], []).append(record["val_top1"])
    return {method: statistics.mean(values) for method, values in found.items()}


def paired(records: Sequence[Record], row: str, base: str, branch: str) -> dict[str, float]:
    """Differences of two rows in points, for each split: the mean over the shares that both have."""
    values = [{(r["split"], r["ratio"]): 100 * r[branch] for r in records if r["row"] == name} for name in (row, base)]
    both = [key for key in values[0] if key in values[1]]
    splits = dict.fromkeys(split for split, _ in both)
    return {
        split: statistics.mean(values[0][key] - values[1][key] for key in both if key[0] == split) for split in splits
    }


def _scores(place: Workplace, cell: Cell, task: Finetune) -> Record:
    result, scores = _read(task.out / RESULT), _read(task.out / SCORES)["scores"]
    return {
        "kind": "supervised" if cell.method.pretraining is None else "pretrained",
        "method": cell.method.key,
        "row": cell.method.title,
        **{branch: scores[branch]["top1"] for branch in BRANCHES},
        "mrr": scores["product"]["mrr"],
        "val_top1": result["chosen"]["val_top1"],
        "chosen": result["chosen"],
        "seconds": _read(place.folder(cell) / NOTE)["seconds"],
    }


def _best(records: Iterable[Record]) -> list[Record]:
    """Make a record of the best supervised encoder of each split, label, share and kind of features."""
    best: dict[tuple[Any, ...], Record] = {}
    for record in records:
        if record["kind"] == "supervised":
            key = tuple(record[name] for name in ("split", "label", "ratio", "features"))
            if key not in best or record["val_top1"] > best[key]["val_top1"]:
                best[key] = record
    return [
        {**record, "kind": "best", "row": with_images(SUPERVISED, record["features"]), "encoder": record["row"]}
        for record in best.values()
    ]


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, remedy=f"delete {path.parent} and run again")
