"""The main job from end to end: data, features, pre-training, fine-tuning, table and maps."""

import json
from pathlib import Path

from locenc._files import atomic_write, only_one, write_text
from locenc_csp.recipes import Demo
from locenc_csp.study import methods, parts
from locenc_csp.study.cells import Cell, baseline_cells, run_baselines, run_cell
from locenc_csp.study.clock import Clock
from locenc_csp.study.methods import WRAP
from locenc_csp.study.preparing import prepare
from locenc_csp.study.side_by_side import run_cells

NUM_SPLITS = 3

CAVEAT = (
    "{:,} patches of one global mosaic at 7 km a pixel are not iNat2018 or fMoW: the table shows what pre-training "
    "brings here, on a split where labels are missing in whole regions, and not more."
)


def run_demo(recipe: Demo) -> Path:
    """Run the study, print its table, write it, the maps and an encoder pre-trained on every patch.

    Parameters
    ----------
    recipe : Demo
        Folders, seed, and whether to be quick.

    Returns
    -------
    Path
        The table, ``results.md``. Beside it: ``results.json`` (every number, with seeds and versions), ``maps.png``,
        and the folders of all runs; the encoder is in ``all/nce-b/pretraining/encoder``. A study that stopped is
        continued.

    Raises
    ------
    ImportError
        If the extra ``csp`` is not installed.
    ValueError
        If the folder holds a study of another seed, data set or version.
    OSError
        If a folder cannot be written, or another process is at work in it.
    """
    with only_one(recipe.out, "running the demo"):
        return _run(recipe)


def _run(recipe: Demo) -> Path:
    from locenc_csp.study.identity import environment
    from locenc_csp.study.markdown import render
    from locenc_csp.study.records import gather

    clock = Clock()
    place = prepare(recipe.data, recipe.num_points, recipe.out, recipe.seed, clock)
    everywhere = parts.map_cell(recipe.seed)
    main, controls = _cells(recipe)
    cells = [everywhere, *main, *controls]
    with clock("image classifier and 1-nearest-neighbour"):
        run_cells(run_baselines, place, baseline_cells(cells), label="baselines", workers=recipe.workers)
    with clock("pre-training and fine-tuning"):
        run_cells(run_cell, place, cells, label="pre-training, fine-tuning", workers=recipe.workers)
    encoder = place.folder(everywhere) / "pretraining" / "encoder"
    with clock("maps"):
        maps = _draw(recipe, encoder)

    records, rest = gather(place, main), gather(place, controls)
    sections = ["## Labels missing in whole regions (block split)", render(records, "land_cover")]
    if rest:
        sections += ["## Controls: labels everywhere (random split), where pre-training is expected to bring little"]
        sections += [render(rest, "land_cover"), render(rest, "koppen")]
    facts = environment()
    text = "\n\n".join(
        [
            "# Contrastive spatial pre-training on Blue Marble patches",
            CAVEAT.format(recipe.num_points),
            *sections,
            f"Seed {recipe.seed} (one more for each split); {', '.join(f'{k} {v}' for k, v in facts.items())}.",
            clock.report(),
        ]
    )
    write_text(recipe.out / "results.md", text + "\n")
    content = {"seed": recipe.seed, "quick": recipe.quick, "environment": facts, "seconds": clock.seconds}
    write_text(recipe.out / "results.json", json.dumps({**content, "records": records + rest}, indent=2) + "\n")
    print(f"\n{text}\n\nresults:    {recipe.out / 'results.md'} and results.json")
    print(f"maps:       {maps}\ncheckpoint: {encoder} (locenc.from_pretrained)")
    return recipe.out / "results.md"


def _cells(recipe: Demo) -> tuple[list[Cell], list[Cell]]:
    """Cells of the main table, and of the controls."""
    supervised = [methods.supervised(name) for name in ("wrap", "sphereC+", "grid")]
    pretrained = [method for method in methods.compared() if method.key != "mc-b"]
    few = methods.few()[:2]
    if recipe.quick:
        return parts.cells(few, recipe.seed, [0], ratios=(0.05,)), []
    main = parts.cells([*supervised, *pretrained], recipe.seed, range(NUM_SPLITS))
    return main, parts.cells(few, recipe.seed, [0], kind="random", labels=(parts.LAND_COVER, parts.KOPPEN))


def _draw(recipe: Demo, encoder: Path) -> Path:
    """Draw the embedding before and after pre-training, with the clusters' agreement with climate zones."""
    import locenc
    from locenc import maps
    from locenc_csp.datasets.sources import KOEPPEN, KOEPPEN_ZONES, read_image
    from locenc_csp.pretraining_model import build_encoder

    zones = read_image(KOEPPEN).astype("int16")
    zones[zones == KOEPPEN_ZONES.index("Ocean") + 1] = -1  # no class
    figure = maps.plot(
        build_encoder(WRAP, seed=recipe.seed),
        locenc.from_pretrained(encoder),
        titles=["untrained", "after CSP-NCE-B on all patches"],
        num_clusters=10,
        reference=lambda lonlat: locenc.data.sample_raster(zones, lonlat),
        reference_name="Köppen zones",
    )
    path = recipe.out / "maps.png"
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=150, format="png"))
    return path
