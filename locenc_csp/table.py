"""The study of the paper's tables on data that pip installs: what the command ``table`` does, part by part."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from locenc._files import only_one
from locenc_csp.recipes import Table
from locenc_csp.study import methods, parts
from locenc_csp.study.cells import RATIOS, Cell, Workplace, baseline_cells, run_baselines, run_cell
from locenc_csp.study.clock import Clock
from locenc_csp.study.preparing import country_table, image_features, prepare
from locenc_csp.study.side_by_side import run_cells

FEW_SPLITS = 3  # of all parts but the main one


def run_table(recipe: Table) -> Path:
    """Run the study, part by part, and write its page.

    The encoder that is pre-trained is the supervised one with the highest accuracy on the validation rows of the main
    table, over all its splits and shares. Of the search, the setting with the highest accuracy on validation is run
    again on the splits that the search has not seen.

    Parameters
    ----------
    recipe : Table
        Folders, parts, splits, label shares, seed.

    Returns
    -------
    Path
        The page, ``table.md``. Beside it: ``table.json`` (every number, with seeds, versions, seconds), ``table.png``,
        and the folders of all cells. Finished cells are kept: a study that stopped is continued.

    Raises
    ------
    ImportError
        If the extra ``csp`` is not installed.
    ValueError
        If the folder holds a study of another seed, data set or version.
    OSError
        If a folder cannot be written, or another process is at work in it.
    """
    with only_one(recipe.out, "running the table"):
        return _Study(recipe).run()


class _Study:
    """One run of the command."""

    def __init__(self, recipe: Table) -> None:
        self.recipe = recipe
        self.clock = Clock()
        self.place = prepare(recipe.data, recipe.num_points, recipe.out, recipe.seed, self.clock)
        self.few = tuple(ratio for ratio in recipe.label_ratios if ratio in RATIOS) or recipe.label_ratios[:1]
        self.splits = range(recipe.num_splits)
        self.few_splits = range(min(FEW_SPLITS, recipe.num_splits))
        self.records: dict[str, list[dict[str, Any]]] = {}
        self.notes: list[str] = []
        self.encoder = "wrap"

    def run(self) -> Path:
        from locenc_csp.study.page import write_page

        for part in self.recipe.parts:
            getattr(self, f"_{part}")()
            page = write_page(self.recipe, self.encoder, self.records, self.notes, self.clock)
        return page

    def _run(self, part: str, cells: Sequence[Cell], place: Workplace | None = None) -> list[dict[str, Any]]:
        from locenc_csp.study.records import gather

        place, workers = place or self.place, self.recipe.workers
        with self.clock(part):
            run_cells(run_baselines, place, baseline_cells(cells), label=f"{part}, baselines", workers=workers)
            run_cells(run_cell, place, cells, label=part, workers=workers)
        return gather(place, cells)

    def _main(self) -> None:
        from locenc_csp.study.records import best_encoder

        seed, ratios = self.recipe.seed, self.recipe.label_ratios
        supervised = parts.supervised_cells(seed, self.splits, ratios)
        method = best_encoder(self._run("supervised encoders", supervised))
        self.encoder = method.removeprefix("supervised-")
        pretrained = parts.cells(methods.compared(self.encoder), seed, self.splits, ratios=ratios)
        self.records["main"] = self._run("main table", [*supervised, *pretrained])

    def _ablation(self, part: str, chosen: Sequence[methods.Method]) -> None:
        cells = parts.cells(chosen, self.recipe.seed, self.few_splits, ratios=self.few)
        self.records[part] = self._run(part, cells)

    def _terms(self) -> None:
        self._ablation("terms", (methods.supervised(self.encoder), *methods.terms(self.encoder)))

    def _sizes(self) -> None:
        self._ablation("sizes", (methods.supervised(self.encoder), *methods.sizes(self.encoder)))

    def _images(self) -> None:
        with self.clock("image features, EfficientNet-lite0"):
            missing = image_features(self.recipe.data)
        if missing:
            self.notes.append(missing)
            print(missing)
        else:
            self._ablation("images", methods.images(self.encoder))

    def _labels(self) -> None:
        labels = [parts.LAND_COVER, parts.KOPPEN]
        tables: tuple[tuple[str, Path], ...] = ()
        country, missing = country_table(self.place.table, self.recipe.out)
        if country is None:
            self.notes.append(missing)
            print(missing)
        else:
            labels.append(parts.COUNTRY)
            tables = ((parts.COUNTRY, country),)
        place = Workplace(self.place.table, self.place.out, tables)
        few, seed = methods.few(self.encoder), self.recipe.seed
        for kind, own in (("block", labels[1:]), ("random", labels)):
            cells = parts.cells(few, seed, self.few_splits, kind=kind, labels=own, ratios=self.few)
            self.records[f"labels, {kind} split"] = self._run(f"labels, {kind} split", cells, place)

    def _search(self) -> None:
        from locenc_csp.study.records import best_setting

        rivals = [method for method in methods.compared(self.encoder) if method.key.startswith(("nce-b", "mc-b"))]
        chosen = [*rivals, *methods.search(self.encoder)]
        self._ablation("search", chosen)
        key = best_setting(self.records["search"])
        winner = next(method for method in chosen if method.key == key)
        unseen = [split for split in self.splits if split not in self.few_splits]
        if unseen:
            base = methods.few(self.encoder)[1]
            both = [base] if winner == base else [base, winner]
            cells = parts.cells(both, self.recipe.seed, unseen, ratios=self.few)
            self.records["confirmation"] = self._run("confirmation", cells)
