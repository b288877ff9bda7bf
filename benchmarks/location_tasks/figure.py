"""A picture of the summary: one line for each candidate, a dot for each split."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

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

    Parameters
    ----------
    summary : mapping
        Rows by split.
    path : Path
        PNG file.
    """
    order = sorted(summary["blocks"], key=lambda row: statistics.mean(row.mean))
    place = {row.label: number for number, row in enumerate(order)}
    figure = require("matplotlib.figure", extra="csp").Figure(
        (8.0, 1.6 + 0.24 * len(order)), facecolor="white", layout="constrained"
    )
    axes = figure.subplots()
    for split, rows in summary.items():
        colour, marker, text = LOOKS[split]
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
    axes.set_yticks(range(len(order)), [row.label for row in order], fontsize=8)
    axes.set_ylim(-0.7, len(order) - 0.3)
    axes.set_xlabel("mean of R² (numbers) and accuracy (classes) over the tasks; bars: standard deviation over seeds")
    axes.grid(axis="both", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", frameon=False, ncols=2, fontsize=9)
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))
