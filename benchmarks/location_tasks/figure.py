"""A picture of the summary: one line for each candidate, a dot for each split."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.location_tasks.candidates import CONTROLS
from benchmarks.location_tasks.summary import Row
from locenc._extras import require
from locenc._files import atomic_write

#: Colour (Okabe & Ito 2008, told apart by colour-blind readers too), marker and text of each split.
LOOKS = {
    "random": ("#0072B2", "o", "random split: between training places"),
    "blocks": ("#D55E00", "s", "spatial blocks: where no training place is near"),
}


def draw(summary: Mapping[str, Sequence[Row]], path: Path) -> None:
    """Draw mean scores with the standard deviations over seeds; the best on blocks on top.

    The nearest training place is a line for each split; the constant is left out. What lies left of the picture stands
    there as a number.

    Parameters
    ----------
    summary : mapping
        Rows by split.
    path : Path
        PNG file.
    """
    encoders = {split: [row for row in rows if row.label not in CONTROLS] for split, rows in summary.items()}
    order = sorted(encoders["blocks"], key=lambda row: statistics.mean(row.mean))
    place = {row.label: number for number, row in enumerate(order)}
    figure = require("matplotlib.figure", extra="csp").Figure(
        (8.0, 1.6 + 0.24 * len(order)), facecolor="white", layout="constrained"
    )
    axes = figure.subplots()
    left = max(0.0, min(statistics.mean(row.mean) for row in encoders["random"]) - 0.1)
    for split, rows in encoders.items():
        colour, marker, text = LOOKS[split]
        nearest = next(row for row in summary[split] if row.label == CONTROLS[1])
        axes.axvline(statistics.mean(nearest.mean), color=colour, linewidth=1, linestyle="--")
        axes.errorbar(
            [statistics.mean(row.mean) for row in rows],
            [place[row.label] for row in rows],
            xerr=[statistics.stdev(row.mean) if len(row.mean) > 1 else 0.0 for row in rows],
            color=colour,
            marker=marker,
            markersize=5,
            linewidth=0,
            elinewidth=1.5,
            label=text,
        )
        for row in rows:
            mean = statistics.mean(row.mean)
            if mean < left:
                axes.annotate(f"← {mean:.2f}", (left, place[row.label]), color=colour, fontsize=8, va="center")
    axes.set_yticks(range(len(order)), [row.label for row in order], fontsize=8)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlim(left=left)
    axes.set_xlabel("mean of R² and accuracy over the tasks; bars: standard deviation over seeds", fontsize=9)
    axes.grid(axis="both", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Dashed: the nearest training place, without a network", fontsize=9, x=0.01, ha="left")
    figure.legend(loc="outside lower center", frameon=False, ncols=2, fontsize=9)
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))
