"""The page that `locenc-csp table` writes: every part's tables, beside the published ones, and all numbers as JSON."""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from locenc._files import write_text
from locenc_csp.recipes import Table
from locenc_csp.study import published
from locenc_csp.study.clock import Clock
from locenc_csp.study.identity import environment
from locenc_csp.study.markdown import render, spread
from locenc_csp.study.methods import ENCODERS
from locenc_csp.study.plot import draw
from locenc_csp.study.records import Record, paired
from locenc_csp.study.verdicts import verdicts

TITLES = {
    "main": "Main table: labels missing in whole regions",
    "terms": "Terms of MC",
    "sizes": "Size of the embedding",
    "images": "Image features",
    "labels, block split": "Other labels, missing in whole regions",
    "labels, random split": "Labels everywhere (random split)",
}
CAVEAT = (
    "Made by `locenc-csp table`. {:,} patches of one global mosaic at 7 km a pixel are not iNat2018 or fMoW: these "
    "tables show what pre-training brings here. Means and standard deviations over splits (split, label draw and "
    "initial weights change together); in brackets the difference to the best supervised encoder, paired by split."
)
COMMON = "CSP-NCE-B"  # what the search must beat


def write_page(
    recipe: Table, encoder: str, records: Mapping[str, list[Record]], notes: Sequence[str], clock: Clock
) -> Path:
    """Write ``table.md``, ``table.json`` and ``table.png``.

    Parameters
    ----------
    recipe : Table
        What was run.
    encoder : str
        Key of the encoder that was pre-trained.
    records : mapping of str to list
        Of each part that is done.
    notes : sequence of str
        What was left out, and why.
    clock : Clock
        Times of this run.

    Returns
    -------
    Path
        The page.
    """
    out, facts = recipe.out, environment()
    sections = [
        "# CSP on Blue Marble patches, beside the published tables",
        CAVEAT.format(recipe.num_points),
        f"Pre-trained encoder: {ENCODERS[encoder][0]}, the best supervised one on validation.",
        f"![Points above the best supervised encoder]({_draw(out, records['main'])})",
    ]
    for part, title in TITLES.items():
        if part in records:
            sections += [f"## {title}", *(render(records[part], label) for label in _labels(records[part]))]
    if "search" in records:
        sections += ["## Search for a better recipe", _search(records["search"], records.get("confirmation", []))]
    sections += [
        "## Beside the published tables",
        _published(records),
        *notes,
        *_unfinished(recipe, records),
        _times(records),
    ]
    sections.append(f"Seed {recipe.seed}; {', '.join(f'{name} {value}' for name, value in facts.items())}.")
    write_text(out / "table.md", "\n\n".join(sections) + "\n")
    content = {"recipe": dataclasses.asdict(recipe), "encoder": encoder, "environment": facts, "seconds": clock.seconds}
    text = json.dumps({**content, "records": records}, indent=1, default=str)
    write_text(out / "table.json", text + "\n")
    return out / "table.md"


def _unfinished(recipe: Table, records: Mapping[str, list[Record]]) -> list[str]:
    """Say which parts are not there; a page is written after each of them."""
    there = {name.partition(",")[0] for name in records}
    missing = [part for part in recipe.parts if part not in there]
    return [f"Parts that are not there (yet): {', '.join(missing)}."] if missing else []


def _draw(out: Path, records: Sequence[Record]) -> str:
    draw(records, out / "table.png")
    return "table.png"


def _labels(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record["label"] for record in records))


def _search(records: Sequence[Record], confirmation: Sequence[Record]) -> str:
    """Make a table of all settings, by their accuracy on validation; then the winner on other splits."""
    rows = list(dict.fromkeys(record["row"] for record in records if record["kind"] == "pretrained"))
    means = {
        row: [
            statistics.mean(r[name] for r in records if r["row"] == row) for name in ("val_top1", "location", "product")
        ]
        for row in rows
    }
    lines = [
        "Means over splits and label shares, top-1 %; the best on validation is chosen. "
        f"Differences to {COMMON} on test rows, paired by split.",
        "",
        "| setting | validation, location | test, location | difference | test, product | difference | CPU s a cell |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(rows, key=lambda row: -means[row][0]):
        seconds = statistics.median(r["seconds"] for r in records if r["row"] == row)
        val, location, product = (100 * value for value in means[row])
        own = [
            f"{val:.1f}",
            f"{location:.1f}",
            _difference(records, row, "location"),
            f"{product:.1f}",
            _difference(records, row, "product"),
            f"{seconds:.0f}",
        ]
        lines.append(f"| {row} | {' | '.join(own)} |")
    winners = list(dict.fromkeys(r["row"] for r in confirmation if r["kind"] == "pretrained" and r["row"] != COMMON))
    lines += ["", *(_confirm(confirmation, row) for row in winners)]
    return "\n".join(lines)


def _confirm(records: Sequence[Record], row: str) -> str:
    both = [
        f"{name} {', '.join(f'{value:+.1f}' for value in paired(records, row, COMMON, name).values())}"
        for name in ("location", "product")
    ]
    return f"The best, {row}, against {COMMON} on the splits that the search did not see: {'; '.join(both)} points."


def _difference(records: Sequence[Record], row: str, branch: str) -> str:
    return "" if row == COMMON else spread(list(paired(records, row, COMMON, branch).values()), "+")


def _published(records: Mapping[str, list[Record]]) -> str:
    """Show the published numbers, and whether our orders agree."""
    lines = ["Mai et al. 2023, image x location, top-1 %, as on the authors' slides.", ""]
    for name, table in (*published.MAIN.items(), ("iNat2018, terms", published.TERMS)):
        lines += [f"| {name} | " + " | ".join(published.LABEL_SHARES) + " |", "| --- |" + " --- |" * 4]
        lines += [
            f"| {row} | " + " | ".join(_number(value) for value in values) + " |" for row, values in table.items()
        ]
        lines.append("")
    sizes = ", ".join(f"{size:,}: {value:.2f}" for size, value in published.SIZES.items())
    images = ", ".join(f"{row} {value:.2f}" for row, value in published.IMAGES.items())
    lines += [f"iNat2018, 5 %, size of the embedding: {sizes}. Features of a vision transformer: {images}.", ""]
    lines += [
        "Here, differences of the product: the mean over the shares up to 20 %, then mean and deviation over splits.",
        "",
        verdicts(dict(records)),
        "",
        "The location branch alone:",
        "",
        verdicts(dict(records), "location"),
    ]
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _times(records: Mapping[str, list[Record]]) -> str:
    """Say the processor time of each part: cells of several parts are counted in each."""
    parts = []
    for part, found in records.items():
        seconds = {(r["split"], r["method"]): r["seconds"] for r in found if r["kind"] in ("supervised", "pretrained")}
        parts.append(f"{part} {sum(seconds.values()) / 60:.0f} min in {len(seconds)} cells")
    return f"Processor time of the cells on one thread, without baselines: {'; '.join(parts)}."
