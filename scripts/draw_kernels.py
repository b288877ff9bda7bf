"""Draw the pictures of docs/kernels.md: errors of phases by wavelength, and what bounds the kernels on a card.

Errors are measured here, against phases of 40 digits; the second picture shows counts of docs/benchmarks/compiled.json.
Run it from the repository's root, with the extras geo and test: ``python -m scripts.draw_kernels``.
"""

import json
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.errors import points
from benchmarks.exact import EXACT
from benchmarks.naive import FORMS
from benchmarks.roofline import CHIPS, STARTED
from locenc.coords import KM_PER_DEGREE

DOCS = Path(__file__).resolve().parent.parent / "docs"
NAIVE, OURS, INK, PALE = "#c2540a", "#0b5fa5", "#222222", "#8894a0"
RADII = np.logspace(-1, -6.5, 12)
FORM, SCALES, POINTS = "sphereC", 4, 300
SHOWN = (
    "sphereC 64",
    "sphereM 64",
    "sphereM+ 64",
    "dfs 64",
    "rff 64",
    "geoclip 256",
    "wrap",
    "xyz",
    "harmonics 40",
    "rbf 200",
)


def main() -> None:
    """Draw and save both pictures."""
    draw_errors().savefig(DOCS / "images" / "kernels-errors.png", dpi=125)
    draw_roofline().savefig(DOCS / "images" / "kernels-roofline.png", dpi=125)


def errors(radius: float) -> list[float]:
    """Largest errors of columns: naive float32, naive float64 rounded to float32, and the library's float32."""
    lonlat, form = points(POINTS), FORMS[FORM]
    position = form.build(SCALES, min_radius=radius, max_radius=1.0)
    expected, _ = EXACT[FORM](lonlat.numpy(), position.config)
    found = [
        form.features(lonlat.to(dtype), *form.constants(position, dtype)) for dtype in (torch.float32, torch.float64)
    ]
    found.append(position(lonlat, dtype=torch.float32))
    return [float(np.abs(columns.float().numpy().astype(np.float64) - expected).max()) for columns in found]


def draw_errors() -> Figure:
    """Errors by the finest wavelength."""
    figure = Figure((7.5, 3.5), layout="constrained")
    axes = figure.subplots()
    metres = 360 * RADII * KM_PER_DEGREE * 1000
    measured = np.array([errors(radius) for radius in RADII]).T
    labels = ("float32 all the way", "float64, rounded at the end", "locenc, float32 columns")
    for values, label, style, colour in zip(measured, labels, ("o-", "s-", "^-"), (NAIVE, PALE, OURS), strict=True):
        axes.loglog(metres, values, style, label=label, color=colour)
    axes.invert_xaxis()
    axes.set(xlabel="finest wavelength along the equator, m", ylabel="largest error of a column", ylim=(1e-8, 3))
    axes.grid(color="#e6eaee")
    axes.legend(frameon=False, fontsize=9)
    return figure


def draw_roofline() -> Figure:
    """Rate of columns by instructions for each, with both roofs, on two cards."""
    rows = _encoding()
    figure = Figure((8.6, 3.8), layout="constrained")
    for axes, chip, place in zip(figure.subplots(1, 2, sharey=True), CHIPS.values(), (3, 5), strict=True):
        memory, started = chip.bandwidth / 4, STARTED * chip.multiprocessors * chip.clock
        instructions = np.linspace(1, 60, 200)
        axes.plot(instructions, np.minimum(memory, started / instructions) / 1e9, color=INK)
        axes.text(1, memory / 1e9 + 25, "as fast as memory takes 4 bytes a column", fontsize=8)
        for row in rows:
            count, share = float(row[place].split()[0]), float(row[place + 1]) / 100
            axes.plot(count, share * memory / 1e9, "o", color=OURS, markersize=5)
            axes.text(count, share * memory / 1e9 - 25, row[0], fontsize=7.5, rotation=90, ha="center", va="top")
        axes.set_title(chip.name, loc="left", fontsize=10)
        axes.set(xlabel="instructions for each column", xlim=(0, 60), ylim=(0, 1000))
        axes.grid(color="#e6eaee")
    figure.axes[0].set_ylabel("10⁹ columns a second, at most")
    return figure


def _encoding() -> list[list[str]]:
    """Rows of some encoders in the table of encoding: float32 columns, the kernel that makes most of them."""
    tables = json.loads((DOCS / "benchmarks" / "compiled.json").read_text(encoding="utf-8"))["tables"]
    rows: list[list[str]] = next(table["rows"] for table in tables if table["title"] == "Encoding")
    return list({row[0]: row for row in rows if row[0] in SHOWN and row[1] == "float32"}.values())


if __name__ == "__main__":
    main()
