"""Write the tables of docs/choosing.md anew, from docs/benchmarks/locations.json and from the encoders themselves.

Run it from the root of the repository after ``python -m benchmarks.locations --save``:
``python -m scripts.make_choosing_docs``.
"""

import json
import re
from pathlib import Path

import locenc
from benchmarks.location_tasks.candidates import CANDIDATES, Candidate
from locenc.description import antimeridian_jump, pole_jump

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "choosing.md"
#: Settings of one encoder that differ in how fine they are, the coarser one first.
FINER = (
    ("spherical-harmonics, 10", "spherical-harmonics, 20"),
    ("sphere2vec-sphereC, 1000 km", "sphere2vec-sphereC, 200 km"),
    ("space2vec-grid, 1000 km", "space2vec-grid, 200 km"),
    ("rbf, 200 anchors", "rbf, 800 anchors"),
    ("rff, variance 16", "rff, variance 256"),
    ("nerf, 5 scales", "nerf, 7 scales"),
    ("geoclip, narrow", "geoclip, published widths"),
)
NEAREST, SPLITS = "nearest training place", ("random", "blocks")


def main() -> None:
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def written(text: str) -> str:
    """The page with its tables as they are now, each behind a comment that names it."""
    scores = summary()
    for name, table in (("encoders", encoders(scores)), ("finer", finer(scores))):
        text, found = re.subn(rf"(<!-- table: {name} -->\n\n)(?:\|.*\n)*", lambda head, new=table: head[1] + new, text)
        assert found == 1, name
    return text


def summary() -> dict[str, dict[str, str]]:
    """Rows of the benchmark's summary by setting: what its columns say."""
    tables = json.loads((DOCS / "benchmarks" / "locations.json").read_text(encoding="utf-8"))["tables"]
    table = next(table for table in tables if table["title"] == "Summary")
    return {row[0]: dict(zip(table["columns"], row, strict=True)) for row in table["rows"]}


def encoders(scores: dict[str, dict[str, str]]) -> str:
    """A row for each encoder, in that of its settings that is best across gaps, the best encoder first."""
    best: dict[str, Candidate] = {}
    measured = [candidate for candidate in CANDIDATES if candidate.label in scores]
    for candidate in sorted(measured, key=lambda candidate: across(scores[candidate.label]), reverse=True):
        best.setdefault(candidate.name, candidate)
    head = (
        "setting",
        "labels around",
        "labels far",
        "finest wave, km",
        "at ±180°",
        "at the poles",
        "columns",
        "seconds",
    )
    rows = [row(candidate, scores[candidate.label]) for candidate in best.values()]
    nearest = scores[NEAREST]
    rows.append([NEAREST, *(mean(nearest[f"{split}: score"]) for split in SPLITS), *["–"] * 4, nearest["seconds"]])
    return markdown(head, rows)


def across(scored: dict[str, str]) -> float:
    """The score where regions have no labels."""
    return float(mean(scored["blocks: score"]))


def mean(text: str) -> str:
    """Without the deviation over seeds, which is that of the places that were drawn, alike for all encoders."""
    return text.partition(" ±")[0]


def row(candidate: Candidate, scored: dict[str, str]) -> list[str]:
    position = locenc.position_encoder(candidate.name, **candidate.options)
    finest = getattr(position, "resolution_km", None)
    seam, poles = ("jumps" if jump(position) else "closed" for jump in (antimeridian_jump, pole_jump))
    return [
        candidate.label,
        *(mean(scored[f"{split}: score"]) for split in SPLITS),
        *("–" if finest is None else f"{finest:,.0f}", seam, poles),
        *(f"{position.out_dim:,}", scored["seconds"]),
    ]


def finer(scores: dict[str, dict[str, str]]) -> str:
    """Coarser and finer settings of one encoder beside each other."""
    head = ("coarser", "finer", "labels around, coarser", "finer", "labels far, coarser", "finer")
    rows = []
    for pair in FINER:
        coarse, fine = (scores[label] for label in pair)
        name = pair[0].partition(",")[0]
        settings = [f"{name}, {pair[0].partition(', ')[2]}", pair[1].partition(", ")[2]]
        rows.append([*settings, *(mean(scored[f"{split}: score"]) for split in SPLITS for scored in (coarse, fine))])
    return markdown(head, rows)


def markdown(head: tuple[str, ...], rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    main()
