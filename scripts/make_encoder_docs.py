"""Write docs/encoders.md and docs/images/seams.png: what each registered encoder is, measured from the code itself.

Run it from the repository's root after registering an encoder: ``python scripts/make_encoder_docs.py``.
"""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

import locenc

DOCS = Path(__file__).resolve().parent.parent / "docs"

HEAD = """# Encoders

Made by `python scripts/make_encoder_docs.py` from the registry: one row for each name of `locenc.list_encoders()`, with
its default options. "Jump at ±180°" is the largest difference of a feature between longitudes 180 and -180, over all
latitudes; "at the poles" the largest difference between two longitudes at a pole: 0 means that the features are
continuous there. (Sines range from -1 to 1, so 2 is the most; rff's columns have the amplitude sqrt(2 / columns), and
tile's are initial values.)

| name | columns | network | jump at ±180° | at the poles |
| --- | --- | --- | --- | --- |
"""

SEAMS = """
## Seams

The published Sphere2Vec and Space2Vec have frequencies that are no whole numbers, so features jump at the
antimeridian, and 180 and -180 are different inputs. Published weights need that. `seamless=True` moves the frequencies
to distinct odd numbers of turns per 360°: every Sphere2Vec variant and grid are then continuous at the antimeridian,
sphereC and sphereM at the poles too (continuous, not smooth: near a pole slopes grow with the square of the finest
frequency for sphereC, with the frequency for sphereM).

| encoder, `num_scales=16`, `finest_km=1000` | jump at ±180° | at the poles |
| --- | --- | --- |
{rows}

Cosine similarity of the position features to the place marked by a cross, in the Pacific:

![Similarity across the antimeridian, as published and seamless](images/seams.png)
"""


def table() -> str:
    """Rows of the encoders."""
    rows = []
    for name in locenc.list_encoders():
        torch.manual_seed(0)
        facts = locenc.describe(locenc.position_encoder(name))
        columns = f"{facts.features:,}" + (" (learned)" if facts.num_parameters else "")
        network = locenc.registry.default_network(name)
        rows.append(f"| `{name}` | {columns} | {network} | {facts.antimeridian_jump:.2g} | {facts.pole_jump:.2g} |")
    return "\n".join(rows)


def seam_rows() -> str:
    """Rows of the encoders that can be seamless, without and with it."""
    rows = []
    for name in (
        *[f"sphere2vec-{variant}" for variant in ("sphereC", "sphereC+", "sphereM", "sphereM+", "dfs")],
        "space2vec-grid",
    ):
        for seamless in (False, True):
            position = locenc.position_encoder(name, num_scales=16, finest_km=1000, seamless=seamless)
            facts = locenc.describe(position)
            rows.append(f"| `{name}`, seamless={seamless} | {facts.antimeridian_jump:.2g} | {facts.pole_jump:.2g} |")
    return "\n".join(rows)


def draw() -> None:
    """Draw similarity across the antimeridian, as published and seamless."""
    side = np.linspace(130, 230, 401)
    lat = np.linspace(-50, 50, 401)
    lonlat = torch.tensor(np.stack(np.meshgrid(side, lat), -1))
    place = torch.tensor([172.0, 8.0], dtype=torch.float64)
    figure = Figure(figsize=(9, 8), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    for row, name in enumerate(("sphere2vec-sphereC", "space2vec-grid")):
        for column, seamless in enumerate((False, True)):
            position = locenc.position_encoder(name, num_scales=16, finest_km=1000, seamless=seamless)
            similarity = torch.nn.functional.cosine_similarity(position(lonlat), position(place), -1)
            axis = axes[row, column]
            image = axis.pcolormesh(side, lat, similarity.numpy(), vmin=-1, vmax=1, cmap="cividis", shading="nearest")
            axis.plot(*place, "x", color="white", markersize=10, markeredgewidth=2)
            axis.axvline(180, color="white", linewidth=0.6, linestyle=":")
            axis.set_title(f"{name}, {'seamless=True' if seamless else 'as published'}", fontsize=11)
            axis.set_aspect("equal")
    ticks = [140, 160, 180, 200, 220]
    for axis in axes[-1]:
        axis.set_xticks(ticks, ["140° E", "160° E", "180°", "160° W", "140° W"])
    for axis in axes[:, 0]:
        axis.set_ylabel("latitude (degrees)")
    figure.colorbar(image, ax=axes, label="cosine similarity of position features", shrink=0.6)
    figure.savefig(DOCS / "images" / "seams.png", dpi=110)


if __name__ == "__main__":
    (DOCS / "images").mkdir(parents=True, exist_ok=True)
    (DOCS / "encoders.md").write_text(HEAD + table() + "\n" + SEAMS.format(rows=seam_rows()), encoding="utf-8")
    draw()
    print(f"wrote {DOCS / 'encoders.md'}")
