"""The main job from end to end: data, features, pre-training, fine-tuning, table and maps."""

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from locenc._files import atomic_write, only_one, read_json, write_text
from locenc_csp import study
from locenc_csp.recipes import Data, Demo, Features

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
    from locenc_csp.study_table import gather, render

    clock = _Clock()
    place = _prepare(recipe, clock)
    if recipe.quick:
        main = study.main_cells(recipe.seed, 1, ("supervised-wrap", "nce-b"), (0.05,))
        controls: list[study.Cell] = []
    else:
        main, controls = study.main_cells(recipe.seed, 3, study.METHODS, study.RATIOS), study.control_cells(recipe.seed)
    cells = [study.map_cell(recipe.seed), *main, *controls]
    with clock("image classifier and 1-nearest-neighbour"):
        study.run_cells(
            study.run_baselines, place, study.baseline_cells(cells), label="baselines", workers=recipe.workers
        )
    with clock("pre-training and fine-tuning"):
        study.run_cells(study.run_cell, place, cells, label="pre-training, fine-tuning", workers=recipe.workers)
    encoder = place.pretraining(cells[0]) / "encoder"
    with clock("maps"):
        maps = _draw(recipe, encoder)

    records, rest = gather(place, main), gather(place, controls)
    parts = ["## Labels missing in whole regions (block split)", render(records, "land_cover")]
    if rest:
        parts += ["## Controls: labels everywhere (random split), where pre-training is expected to bring little"]
        parts += [render(rest, "land_cover"), render(rest, "koppen")]
    environment = _environment()
    text = "\n\n".join(
        [
            "# Contrastive spatial pre-training on Blue Marble patches",
            CAVEAT.format(recipe.num_points),
            *parts,
            f"Seed {recipe.seed} (one more for each split); {', '.join(f'{k} {v}' for k, v in environment.items())}.",
            clock.report(),
        ]
    )
    write_text(recipe.out / "results.md", text + "\n")
    facts = {"seed": recipe.seed, "quick": recipe.quick, "environment": environment, "seconds": clock.seconds}
    write_text(recipe.out / "results.json", json.dumps({**facts, "records": records + rest}, indent=2) + "\n")
    print(f"\n{text}\n\nresults:    {recipe.out / 'results.md'} and results.json")
    print(f"maps:       {maps}\ncheckpoint: {encoder} (locenc.from_pretrained)")
    return recipe.out / "results.md"


def _prepare(recipe: Demo, clock: "_Clock") -> study.Workplace:
    from locenc_csp.building import build_data
    from locenc_csp.extracting import build_features

    with clock("data set"):
        build_data(Data(out=recipe.data, num_points=recipe.num_points))
    with clock("image features"):
        features = build_features(Features(data=recipe.data))
    place = study.Workplace(recipe.data / "table.parquet", features, recipe.out)
    _check_study(recipe, place)
    return place


def _check_study(recipe: Demo, place: study.Workplace) -> None:
    """Refuse a folder with another study; its numbers would be mixed with ours."""
    from locenc_csp.finetuned import versions
    from locenc_csp.finetuning import table_hash
    from locenc_csp.loop import first_difference

    identity = {
        "seed": recipe.seed,
        "table": table_hash(place.table),
        "features": table_hash(place.features / "meta.json"),
        "versions": versions(),
    }
    path = recipe.out / "study.json"
    if not path.is_file():
        write_text(path, json.dumps(identity, indent=2) + "\n")
        return
    there = read_json(path, remedy=f"delete {recipe.out} and run again")
    if (difference := first_difference(there, identity)) is not None:
        raise ValueError(
            f"{recipe.out} holds another study: {difference}. Choose another --out, or delete {recipe.out}"
        )


def _draw(recipe: Demo, encoder: Path) -> Path:
    """Draw the embedding before and after pre-training, with the clusters' agreement with climate zones."""
    import locenc
    from locenc import maps
    from locenc_csp.datasets.sources import KOEPPEN, KOEPPEN_ZONES, read_image
    from locenc_csp.pretraining import build_encoder

    zones = read_image(KOEPPEN).astype("int16")
    zones[zones == KOEPPEN_ZONES.index("Ocean") + 1] = -1  # no class
    figure = maps.plot(
        build_encoder(study.WRAP, seed=recipe.seed),
        locenc.from_pretrained(encoder),
        titles=["untrained", "after CSP-NCE-B on all patches"],
        num_clusters=10,
        reference=lambda lonlat: locenc.data.sample_raster(zones, lonlat),
        reference_name="Köppen zones",
    )
    path = recipe.out / "maps.png"
    atomic_write(path, lambda temporary: figure.savefig(temporary, dpi=150, format="png"))
    return path


def _environment() -> dict[str, str | int | None]:
    from locenc_csp.finetuned import versions

    return {**versions(), "machine": platform.machine(), "system": platform.platform(), "cores": os.cpu_count()}


class _Clock:
    """Announces each stage and keeps its seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        print(f"- {stage}", flush=True)
        start = time.perf_counter()
        yield
        self.seconds[stage] = round(time.perf_counter() - start, 1)

    def report(self) -> str:
        stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        return f"Time of this run: {stages}; {sum(self.seconds.values()):.0f} s in all on {os.cpu_count()} cores."
