"""Draw the pictures of docs/csp.md: which scores each term of CSP uses, where it moves embeddings, how hard it pushes.

Nothing is drawn by hand: a batch of four pairs lies on a circle, arrows are gradients of `locenc_csp.Objective`, and
the ends are what gradient descent of that term alone makes of it. Run it from the repository's root, with the extra
csp: ``python -m scripts.draw_objectives``.
"""

import math
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor
from torch.nn.functional import log_softmax, normalize

from locenc_csp import Objective

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
TERMS = {
    "B": "place among images",
    "L": "its place, or a random one",
    "D": "place among places",
}
PULL, PUSH, INK, PALE = "#0b5fa5", "#c2540a", "#222222", "#c9d1d9"  # apart for red-, green- and blue-blind eyes
PAIRS, TEMPERATURE, STEPS, RATE = 4, 0.3, 4000, 0.02
#: Degrees on the circle where the embeddings begin, by kind.
START = {
    "location": (10, 130, 200, 300),
    "image": (62, 95, 262, 322),
    "twin": (50, 100, 240, 265),
    "random": (85, 55, 285, 345),
}
RADIUS = {"image": 0.6, "location": 1.0, "random": 1.4, "twin": 1.4}
SHOWN = {"B": ("location", "image"), "L": ("location", "image", "random"), "D": ("location", "twin", "image")}
MARKER = {"location": "o", "random": "^", "image": "s", "twin": "o"}
LETTER = {"location": "e", "random": "n", "image": "f", "twin": "e'"}
MEANING = {"location": "place", "image": "image", "random": "random place", "twin": "place, second pass"}
KEY = ((PULL, "pulled to its own"), (PUSH, "pushed from the others"))
#: Radians of an arrow for a force of 1.
LENGTH = 1.6
Batch = dict[str, Tensor]


def main() -> None:
    """Draw and save the three pictures."""
    draw_scores().savefig(IMAGES / "objectives-scores.png", dpi=125)
    draw_flow().savefig(IMAGES / "objectives-flow.png", dpi=125)
    draw_temperature().savefig(IMAGES / "objectives-temperature.png", dpi=125)


def start() -> Batch:
    """Embeddings of the batch: (4, 2) unit vectors of each kind."""
    angles = {kind: torch.tensor(degrees, dtype=torch.float64).deg2rad() for kind, degrees in START.items()}
    return {kind: torch.stack([angle.cos(), angle.sin()], 1) for kind, angle in angles.items()}


def loss_of(term: str, batch: Batch) -> Tensor:
    """What `locenc_csp.Objective` makes of one term, in the softmax form."""
    objective = Objective(f"MC-{term}", temperature=TEMPERATURE)
    negatives = batch["random"] if objective.needs_negatives else None
    twin = batch["twin"] if objective.needs_twin else None
    return objective(batch["location"], batch["image"], negatives=negatives, twin=twin)[0]


def scores_of(term: str, batch: Batch) -> Tensor:
    """Cosines that a term compares, a row for each comparison."""
    unit = {kind: normalize(vectors) for kind, vectors in batch.items()}
    if term == "L":
        return torch.stack([(unit[kind] * unit["image"]).sum(1) for kind in ("location", "random")], 1)
    return unit["location"] @ unit["image" if term == "B" else "twin"].T


def own(term: str) -> Tensor:
    """Which of the scores belong together."""
    return torch.tensor([[1.0, 0.0]] * PAIRS) if term == "L" else torch.eye(PAIRS)


def slopes_of(term: str, scores: Tensor) -> Tensor:
    """Derivative of a term by its scores: negative where it pulls, positive where it pushes."""
    scores = scores.detach().requires_grad_()
    loss = -(log_softmax(scores / TEMPERATURE, 1) * own(term)).sum(1).mean()
    return torch.autograd.grad(loss, scores)[0]


def forces(term: str, batch: Batch) -> dict[str, Batch]:
    """Descent directions of a term, the part that pulls and the part that pushes; together minus its gradient."""
    batch = {kind: vectors.clone().requires_grad_() for kind, vectors in batch.items()}
    kinds = list(batch)
    scores = scores_of(term, batch)
    slopes, mine = slopes_of(term, scores), own(term)
    parts = {}
    for name, mask in (("pull", mine), ("push", 1 - mine)):
        found = torch.autograd.grad(
            (slopes * mask * scores).sum(),
            [batch[kind] for kind in kinds],
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        parts[name] = {kind: -value for kind, value in zip(kinds, found, strict=True)}
    whole = torch.autograd.grad(
        loss_of(term, batch), [batch[kind] for kind in kinds], allow_unused=True, materialize_grads=True
    )
    for kind, value in zip(kinds, whole, strict=True):
        torch.testing.assert_close(parts["pull"][kind] + parts["push"][kind], -value)
    return parts


def descend(term: str, batch: Batch) -> Batch:
    """Where gradient descent of one term alone takes free embeddings on the circle."""
    for _ in range(STEPS):
        batch = {kind: vectors.detach().requires_grad_() for kind, vectors in batch.items()}
        kinds = list(batch)
        found = torch.autograd.grad(
            loss_of(term, batch), list(batch.values()), allow_unused=True, materialize_grads=True
        )
        batch = {kind: normalize(batch[kind] - RATE * slope) for kind, slope in zip(kinds, found, strict=True)}
    return {kind: vectors.detach() for kind, vectors in batch.items()}


def draw_scores() -> Figure:
    """A matrix for each term: its cosines, coloured by what the term does to them."""
    figure = Figure((8.6, 3.4), layout="constrained")
    colours = LinearSegmentedColormap.from_list("pull or push", [PULL, "#ffffff", PUSH])
    names = {kind: [f"${letter}_{i + 1}$" for i in range(PAIRS)] for kind, letter in LETTER.items()}
    for axes, (term, what) in zip(figure.subplots(1, 3), TERMS.items(), strict=True):
        scores = scores_of(term, start())
        slopes = slopes_of(term, scores)
        axes.imshow(slopes, cmap=colours, vmin=-float(slopes.abs().max()), vmax=float(slopes.abs().max()))
        for (row, column), score in np.ndenumerate(scores.numpy()):
            dark = abs(slopes[row, column]) > 0.6 * slopes.abs().max()
            axes.text(column, row, f"{score:+.2f}", ha="center", va="center", color="white" if dark else INK)
        rows, columns = names["image" if term == "L" else "location"], names["image" if term == "B" else "twin"]
        if term == "L":
            columns = ["$e_i$", "$n_i$"]
        axes.set_xticks(range(len(columns)), columns, fontsize=11)
        axes.set_yticks(range(PAIRS), rows, fontsize=11)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.spines[:].set_visible(False)
        axes.set_title(f"{term}: {what}", loc="left", fontsize=9.5)
    return figure


def draw_flow() -> Figure:
    """A circle for each term: the forces at the start, and the end."""
    figure = Figure((8.6, 6.8), layout="constrained")
    panels = figure.subplots(2, 3)
    for column, (term, what) in enumerate(TERMS.items()):
        before, after = panels[:, column]
        batch = start()
        parts = forces(term, batch)
        moved = {kind for part in parts.values() for kind, vectors in part.items() if vectors.abs().max() > 1e-12}
        draw_circle(before, batch, term, moved)
        for name, colour, shift in (("pull", PULL, 0.15), ("push", PUSH, -0.15)):
            for kind in moved:
                draw_arrows(before, batch[kind], parts[name][kind], RADIUS[kind] + shift, colour)
        before.set_title(f"{term}: {what}", loc="left", fontsize=9.5)
        draw_circle(after, descend(term, batch), term, moved)
        after.set_title(f"after {STEPS:,} steps of {term} alone", loc="left", fontsize=9.5)
    key = [Line2D([], [], color=colour, label=label, linewidth=2) for colour, label in KEY]
    key += [
        Line2D(
            [],
            [],
            color=INK,
            marker=MARKER[kind],
            markerfacecolor="white",
            linestyle="",
            markersize=10,
            label=f"${LETTER[kind]}$  {meaning}",
        )
        for kind, meaning in MEANING.items()
    ]
    figure.legend(
        handles=key,
        loc="outside lower center",
        ncols=len(key),
        frameon=False,
        fontsize=8.5,
        columnspacing=1.2,
        handlelength=1.5,
    )
    return figure


def draw_circle(axes: Axes, batch: Batch, term: str, moved: set[str]) -> None:
    """Embeddings on the circle, each kind on a ring of its own; those that nothing moves are pale."""
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set(xlim=(-1.65, 1.65), ylim=(-1.65, 1.65))
    ring = np.linspace(0, 2 * np.pi, 200)
    for kind in SHOWN[term]:
        axes.plot(RADIUS[kind] * np.cos(ring), RADIUS[kind] * np.sin(ring), color=PALE, linewidth=0.8, zorder=0)
        colour = INK if kind in moved else PALE
        for i, (x, y) in enumerate((batch[kind] * RADIUS[kind]).tolist()):
            axes.plot(x, y, MARKER[kind], markersize=15, markerfacecolor="white", markeredgecolor=colour, zorder=2)
            low = 0.05 if kind == "random" else 0.0  # a triangle's middle lies below
            axes.text(x, y - low, f"${LETTER[kind]}_{i + 1}$", fontsize=8.5, ha="center", va="center", color=colour)


def draw_arrows(axes: Axes, points: Tensor, forces: Tensor, radius: float, colour: str) -> None:
    """Forces along the circle, as far as they point."""
    for (x, y), (u, v) in zip(points.tolist(), forces.tolist(), strict=True):
        angle, along = math.atan2(y, x), LENGTH * (x * v - y * u)
        if abs(along) * radius > 0.06:
            path = np.linspace(angle, angle + along, 20)
            axes.plot(radius * np.cos(path[:-1]), radius * np.sin(path[:-1]), color=colour, linewidth=2)
            head = {"arrowstyle": "-|>", "color": colour, "mutation_scale": 12, "shrinkA": 0, "shrinkB": 0}
            tail, tip = ((radius * math.cos(a), radius * math.sin(a)) for a in path[-2:])
            axes.annotate("", tip, tail, arrowprops=head)


def draw_temperature() -> Figure:
    """How hard a negative is pushed, against one at cosine 0."""
    figure = Figure((7.5, 3.4), layout="constrained")
    axes = figure.subplots()
    cosine = torch.linspace(-1, 1, 201)
    for temperature, style in ((20.0, ":"), (1.0, "-."), (0.1, "-"), (0.07, "--")):
        axes.semilogy(cosine, (cosine / temperature).exp(), style, color=PUSH, label=f"MC, τ = {temperature:g}")
    for temperature, style in ((1.0, "-."), (0.1, "-")):
        push = torch.sigmoid(cosine / temperature) / 0.5
        axes.semilogy(cosine, push, style, color=PULL, label=f"NCE, τ = {temperature:g}")
    axes.set(xlabel="cosine of a place and another place's image", ylabel="push, 1 at cosine 0", ylim=(1e-5, 1e6))
    axes.grid(color="#e6eaee")
    axes.legend(frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    main()
