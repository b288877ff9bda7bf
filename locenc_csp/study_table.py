"""The study's numbers, gathered from the cells' files, and the tables that show them."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locenc._files import read_json
from locenc_csp.study import METHODS, Cell, Workplace

BRANCHES = ("location", "product", "weighted")
HEADINGS = {"location": "location", "product": "image x location", "weighted": "weighted product"}
SUPERVISED = "best supervised"


def gather(place: Workplace, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Read every cell's scores: one record for each split, label, share and row of the table.

    The best supervised encoder of a split, label and share is the one with the highest accuracy on validation.
    """
    records = []
    for split in dict.fromkeys(cell.split for cell in cells):
        group = [cell for cell in cells if cell.split == split]
        for index, task in enumerate(place.tasks(group[0])):
            key = {"split": split, "label": task.label, "ratio": task.label_ratio}
            folder = place.image_probabilities(task).parent
            base = _read(folder / "scores.json")
            key["num_labels"] = base["num_labels"]
            records.append({**key, "row": "image only", "product": base["image"]["top1"]})
            records.append({**key, "row": "1-nearest-neighbour", "location": base["nearest_neighbour"]["top1"]})
            supervised = []
            for cell in group:
                out = place.tasks(cell)[index].out
                result, scores = _read(out / "result.json"), _read(out / "scores.json")["scores"]
                record = {
                    **key,
                    "row": METHODS[cell.method].title,
                    **{branch: scores[branch]["top1"] for branch in BRANCHES},
                    "mrr": scores["product"]["mrr"],
                    "chosen": result["chosen"],
                }
                if METHODS[cell.method].pretraining is None:
                    supervised.append(record)
                else:
                    records.append(record)
            best = max(supervised, key=lambda record: record["chosen"]["val_top1"])
            records += [*supervised, {**best, "row": SUPERVISED, "encoder": best["row"]}]
    return records


def render(records: Sequence[dict[str, Any]], label: str) -> str:
    """Make Markdown tables, one for each label share: mean and standard deviation over splits, in percent.

    Differences to the best supervised encoder are paired: taken on each split, then averaged.
    """
    lines = []
    chosen = [record for record in records if record["label"] == label]
    for ratio in dict.fromkeys(record["ratio"] for record in chosen):
        group = [record for record in chosen if record["ratio"] == ratio]
        counts = sorted({record["num_labels"] for record in group})
        splits = {record["split"] for record in group}
        number = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
        lines += [
            f"**{label.replace('_', ' ')}, {100 * ratio:g} % of the labels ({number}), "
            f"{len(splits)} split{'s' * (len(splits) > 1)}, top-1 %**",
            "",
            "| | " + " | ".join(HEADINGS[branch] for branch in BRANCHES) + " |",
            "| --- |" + " --- |" * len(BRANCHES),
        ]
        for row in _order(group):
            cells = [_cell(group, row, branch) for branch in BRANCHES]
            lines.append(f"| {row} | " + " | ".join(cells) + " |")
        lines.append("")
        encoders = [record["encoder"] for record in group if record["row"] == SUPERVISED]
        names = ", ".join(
            f"{name.removeprefix('supervised, ')} ({encoders.count(name)})" for name in sorted(set(encoders))
        )
        lines += [f"Best supervised encoder on validation: {names}.", ""]
    return "\n".join(lines)


def _order(group: Sequence[dict[str, Any]]) -> list[str]:
    first = ["image only", "1-nearest-neighbour"]
    supervised = [method.title for method in METHODS.values() if method.pretraining is None]
    trained = [method.title for method in METHODS.values() if method.pretraining is not None]
    present = {record["row"] for record in group}
    singles = supervised if len(present & set(supervised)) > 1 else []
    return [row for row in [*first, *singles, SUPERVISED, *trained] if row in present]


def _cell(group: Sequence[dict[str, Any]], row: str, branch: str) -> str:
    values = {record["split"]: 100 * record[branch] for record in group if record["row"] == row and branch in record}
    if not values:
        return ""
    text = _spread(list(values.values()))
    base = {record["split"]: 100 * record[branch] for record in group if record["row"] == SUPERVISED}
    trained = {method.title for method in METHODS.values() if method.pretraining is not None}
    if row in trained:
        text += f" ({_spread([values[split] - base[split] for split in values], sign='+')})"
    return text


def _spread(values: Sequence[float], sign: str = "") -> str:
    mean = f"{statistics.mean(values):{sign}.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def _read(path: Path) -> dict[str, Any]:
    return read_json(path, remedy=f"delete {path.parent} and run again")
