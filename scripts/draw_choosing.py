"""Draw docs/images/choosing-gap.png: what coarse and fine features make of a region without labels.

A made-up quantity with a coast along the 45th parallel, noisy labels with a gap, ridge regression on the features of
an encoder, without a network: nothing but the features differs. Run it from the repository's root, with the extra
geo: ``python -m scripts.draw_choosing``.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import locenc

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "choosing-gap.png"
LABELS, TRUTH, FITTED, GAP = "#222222", "#8894a0", "#0b5fa5", "#f3e3d7"
WEST, EAST = 10.0, 45.0
ENCODERS = (
    ("spherical-harmonics", {"num_degrees": 10}, "spherical-harmonics, 10 degrees: waves from 4,450 km"),
    ("sphere2vec-sphereC", {"num_scales": 16, "finest_km": 1000}, "sphere2vec-sphereC: waves from 1,000 km"),
    ("sphere2vec-sphereC", {"num_scales": 16, "finest_km": 200}, "sphere2vec-sphereC: waves from 200 km"),
)
Floats = NDArray[np.float64]


def truth(lon: Floats) -> Floats:
    angle = np.deg2rad(lon)
    return np.sin(2 * angle) + 0.6 * np.cos(3 * angle + 1) + 0.35 * np.sin(7 * angle) + 0.7 * np.tanh((lon + 80) / 1.5)


def places(lon: Floats) -> Floats:
    return np.stack([lon, np.full_like(lon, 45.0)], 1)


def fitted(features: Floats, labels: Floats, others: Floats, penalty: float = 0.02) -> Floats:
    """Ridge regression: predictions at other features."""
    mean = labels.mean()
    weights = np.linalg.solve(features.T @ features + penalty * np.eye(features.shape[1]), features.T @ (labels - mean))
    return others @ weights + mean


def main() -> None:
    """Draw and save the picture."""
    rng = np.random.default_rng(0)
    lon = np.sort(rng.uniform(-120, 120, 120))
    lon = lon[(lon < WEST) | (lon > EAST)]
    labels = truth(lon) + 0.05 * rng.normal(size=len(lon))
    everywhere = np.linspace(-120, 120, 1500)
    figure = Figure((7.5, 6.0), layout="constrained")
    for axes, (name, options, title) in zip(figure.subplots(3, 1, sharex=True, sharey=True), ENCODERS, strict=True):
        position = locenc.position_encoder(name, **options)
        features, others = (locenc.embed(places(where), position).astype(float) for where in (lon, everywhere))
        axes.axvspan(WEST, EAST, color=GAP, linewidth=0)
        axes.plot(everywhere, truth(everywhere), color=TRUTH, linewidth=3, label="truth")
        axes.plot(everywhere, fitted(features, labels, others), color=FITTED, linewidth=1.3, label="predicted")
        axes.plot(lon, labels, ".", color=LABELS, markersize=5, label="labels")
        axes.set_title(title, loc="left", fontsize=9.5)
        axes.set(xlim=(-120, 120), ylim=(-2.2, 2.6))
    figure.axes[0].text((WEST + EAST) / 2, -2.0, "no labels", ha="center", fontsize=9)
    figure.axes[0].legend(frameon=False, fontsize=8.5, ncols=3, loc="upper right")
    figure.axes[-1].set_xlabel("longitude along 45° N")
    figure.savefig(PICTURE, dpi=120)


if __name__ == "__main__":
    main()
