"""The study's tables in Markdown: means and standard deviations over splits, differences paired by split."""

import statistics
from collections.abc import Sequence

from locenc_csp.study.records import BRANCHES, IMAGE, NEAREST, SUPERVISED, Record

HEADINGS = {"location": "location", "product": "image x location", "weighted": "weighted product"}


def render(records: Sequence[Record], label: str, branches: Sequence[str] = BRANCHES) -> str:
    """Make a table for each branch: a row for each method, a column for each label share, top-1 in percent.

    Differences to the best supervised encoder, of the same image features, are taken on each split, then averaged.

    Parameters
    ----------
    records : sequence of dict
        As `gather` returns them.
    label : str
        Label column whose records are shown.
    branches : sequence of str
        Of ``location``, ``product`` and ``weighted``.

    Returns
    -------
    str
        Markdown.
    """
    chosen = [record for record in records if record["label"] == label]
    ratios = sorted({record["ratio"] for record in chosen})
    count = len({record["split"] for record in chosen})
    lines = []
    for branch in branches:
        lines += [
            f"**{label.replace('_', ' ')}, {HEADINGS[branch]}, top-1 %, {count} split{'s' * (count > 1)}**",
            "",
            "| labels | " + " | ".join(_share(chosen, ratio) for ratio in ratios) + " |",
            "| --- |" + " --- |" * len(ratios),
        ]
        for row in _order(chosen):
            cells = [_cell([one for one in chosen if one["ratio"] == ratio], row, branch) for ratio in ratios]
            if any(cells):
                lines.append(f"| {row} | " + " | ".join(cells) + " |")
        lines.append("")
    return "\n".join([*lines, _choices(chosen, ratios)]).rstrip()


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and standard deviation of some numbers; the number alone where there is one."""
    mean = f"{statistics.mean(values):{sign}.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def _share(records: Sequence[Record], ratio: float) -> str:
    counts = sorted({record["num_labels"] for record in records if record["ratio"] == ratio})
    number = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{100 * ratio:g} % ({number})"


def _order(records: Sequence[Record]) -> list[str]:
    """Rows: baselines, supervised ones where they are several, the best of them, pre-trained ones as they came."""
    rows = {
        kind: list(dict.fromkeys(r["row"] for r in records if r["kind"] == kind))
        for kind in ("baseline", "supervised", "best", "pretrained")
    }
    rows["baseline"].sort(key=lambda row: (row == NEAREST, not row.startswith(IMAGE)))
    if len(rows["supervised"]) == len(rows["best"]):
        rows["supervised"] = []
    return [row for part in rows.values() for row in part]


def _cell(records: Sequence[Record], row: str, branch: str) -> str:
    own = {record["split"]: record for record in records if record["row"] == row and branch in record}
    if not own:
        return ""
    values = {split: 100 * record[branch] for split, record in own.items()}
    text = spread(list(values.values()))
    first = next(iter(own.values()))
    base = {
        record["split"]: 100 * record[branch]
        for record in records
        if record["kind"] == "best" and record["features"] == first["features"]
    }
    if first["kind"] == "pretrained" and base:
        text += f" ({spread([values[split] - base[split] for split in values], sign='+')})"
    return text


def _choices(records: Sequence[Record], ratios: Sequence[float]) -> str:
    """Say which encoder was the best supervised one, and how often; nothing where there was none."""
    best = [record for record in records if record["row"] == SUPERVISED]
    if not best:
        return ""
    parts = []
    for ratio in ratios:
        chosen = [record["encoder"] for record in best if record["ratio"] == ratio]
        names = (f"{name.removeprefix('supervised, ')} ({chosen.count(name)})" for name in sorted(set(chosen)))
        parts.append(f"{100 * ratio:g} %: {', '.join(names)}")
    return f"Best supervised encoder on validation: {'; '.join(parts)}."
