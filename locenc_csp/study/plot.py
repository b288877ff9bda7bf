"""A picture of the main table: what pre-training adds to the best supervised encoder, by the share of labels."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locenc._extras import require
from locenc._files import atomic_write
from locenc_csp.study.records import SUPERVISED, Record, paired

#: Row, colour (Okabe & Ito 2008, told apart by colour-blind readers too), marker.
LINES = (
    ("MSE", "#E69F00", "D"),
    ("CSP-NCE-B", "#0072B2", "o"),
    ("CSP-NCE-BLD", "#56B4E9", "v"),
    ("CSP-MC-B", "#D55E00", "o"),
    ("CSP-MC-BLD", "#CC79A7", "v"),
    ("CSP-NCE-B, shuffled pairs", "#009E73", "x"),
)
BRANCHES = {"location": "P(label | location)", "product": "P(label | image) · P(label | location)"}


def draw(records: Sequence[Record], path: Path) -> None:
    """Draw differences to the best supervised encoder, paired by split; bars are standard deviations over splits.

    Parameters
    ----------
    records : sequence of dict
        Of one label and kind of split.
    path : Path
        PNG file.
    """
    figure = require("matplotlib.figure", extra="csp").Figure((10.0, 4.4), facecolor="white", layout="constrained")
    panels = figure.subplots(1, len(BRANCHES), sharex=True, sharey=True)
    ratios = sorted({record["ratio"] for record in records})
    for panel, (branch, title) in zip(panels, BRANCHES.items(), strict=True):
        panel.axhline(0, color="black", linewidth=1)
        for place, line in enumerate(LINES):
            _line(panel, records, branch, ratios, place - (len(LINES) - 1) / 2, *line)
        panel.set_xticks(range(len(ratios)), [f"{100 * ratio:g} %" for ratio in ratios])
        panel.set_title(title, loc="left", fontsize=11)
        panel.set_xlabel("share of the labels")
        panel.grid(axis="y", alpha=0.3)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("top-1, points above the best supervised encoder")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, fontsize=9)
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=130, format="png"))


def _line(
    panel: Any,
    records: Sequence[Record],
    branch: str,
    ratios: Sequence[float],
    shift: float,
    row: str,
    colour: str,
    marker: str,
) -> None:
    """Draw one method, a little to the side of the others."""
    groups = [[record for record in records if record["ratio"] == ratio] for ratio in ratios]
    values = [list(paired(group, row, SUPERVISED, branch).values()) for group in groups]
    if not all(values):
        return
    panel.errorbar(
        [place + 0.11 * shift for place in range(len(ratios))],
        [statistics.mean(own) for own in values],
        yerr=[statistics.stdev(own) if len(own) > 1 else 0.0 for own in values],
        label=row,
        color=colour,
        marker=marker,
        markersize=5,
        linewidth=0,
        elinewidth=1.5,
        capsize=2,
    )
