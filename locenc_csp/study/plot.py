"""A picture of the main table: accuracy against the share of labels."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locenc._extras import require
from locenc._files import atomic_write
from locenc_csp.study.records import IMAGE, NEAREST, SUPERVISED, Record

#: Row, colour (Okabe & Ito 2008, told apart by colour-blind readers too), marker.
LINES = (
    (IMAGE, "#999999", "s"),
    (NEAREST, "#999999", "^"),
    (SUPERVISED, "#000000", "o"),
    ("MSE", "#E69F00", "D"),
    ("CSP-NCE-B", "#0072B2", "o"),
    ("CSP-NCE-BLD", "#56B4E9", "v"),
    ("CSP-MC-B", "#D55E00", "o"),
    ("CSP-MC-BLD", "#CC79A7", "v"),
    ("CSP-NCE-B, shuffled pairs", "#009E73", "x"),
)
BRANCHES = {"location": "P(label | location)", "product": "P(label | image) · P(label | location)"}


def draw(records: Sequence[Record], path: Path) -> None:
    """Draw mean accuracies of the main rows; bars are standard deviations over splits.

    Parameters
    ----------
    records : sequence of dict
        Of one label and kind of split.
    path : Path
        PNG file.
    """
    figure = require("matplotlib.figure", extra="csp").Figure((10.0, 4.6), facecolor="white", layout="constrained")
    panels = figure.subplots(1, len(BRANCHES), sharex=True, sharey=True)
    ratios = sorted({record["ratio"] for record in records})
    for panel, (branch, title) in zip(panels, BRANCHES.items(), strict=True):
        for place, (row, colour, marker) in enumerate(LINES):
            _line(panel, [r for r in records if r["row"] == row and branch in r], branch, row, colour, marker, place)
        panel.set_xscale("log")
        panel.set_xticks(ratios, [f"{100 * ratio:g} %" for ratio in ratios])
        panel.minorticks_off()
        panel.set_title(title, loc="left", fontsize=11)
        panel.set_xlabel("share of the labels")
        panel.grid(axis="y", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("top-1 accuracy on regions without labels, %")
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    order = [row for row, _, _ in LINES if row in handles]
    figure.legend([handles[row] for row in order], order, loc="outside right center", frameon=False, fontsize=9)
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))


def _line(panel: Any, records: Sequence[Record], branch: str, row: str, colour: str, marker: str, place: int) -> None:
    ratios = sorted({record["ratio"] for record in records})
    if not ratios:
        return
    values = [[100 * record[branch] for record in records if record["ratio"] == ratio] for ratio in ratios]
    bars = [statistics.stdev(own) if len(own) > 1 else 0.0 for own in values]
    shifted = [ratio * 1.015 ** (place - len(LINES) / 2) for ratio in ratios]  # bars side by side
    means = [statistics.mean(own) for own in values]
    panel.errorbar(
        shifted, means, yerr=bars, label=row, color=colour, marker=marker, markersize=5, linewidth=1.5, capsize=2
    )
