"""Import published data sets and any table of places: what the commands ``import`` and ``import-table`` do."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._names import unknown
from locenc_csp._chunks import NO_ARRAY
from locenc_csp.datasets.foreign_table import read_foreign_table
from locenc_csp.datasets.inspection import Inspection
from locenc_csp.datasets.parts import Part, column
from locenc_csp.datasets.published import (
    PUBLISHED,
    Predictions,
    find_features,
    find_folder,
    find_probabilities,
    read_matrix,
)
from locenc_csp.datasets.splits import label_gap_split, random_split
from locenc_csp.datasets.store import Imported, Probabilities, fingerprint, hold_out, store
from locenc_csp.datasets.table import SPLITS, PlaceTable
from locenc_csp.datasets.text import compare, row_blocks
from locenc_csp.recipes import Import, ImportTable

__all__ = ["import_published", "import_table"]


def import_published(recipe: Import) -> Imported:
    """Import a published data set, or find it imported.

    The table has the columns ``label`` (the class's name), ``official`` and ``split`` (roles), and ``user_id``,
    ``date`` (share of the year) and ``file`` where they are published. In ``official``, published training rows are
    ``train``; where no test part is published, the published validation rows are ``test``, as the papers use them. In
    ``split`` a share of the training rows is ``val``. Rows without a location are kept, without one.

    Parameters
    ----------
    recipe : Import
        Which, from where, to where.

    Returns
    -------
    Imported
        Paths, counts and classes.

    Raises
    ------
    FileNotFoundError, ValueError
        For files that are missing, damaged, or do not fit together: all of them in one error, with what was expected
        and found. For a folder that holds another data set.
    OSError
        If the folder cannot be written, or another process is importing into it.
    """
    if recipe.dataset not in PUBLISHED:
        raise ValueError(unknown("data set", recipe.dataset, PUBLISHED))
    published = PUBLISHED[recipe.dataset]
    inspection = Inspection(find_folder(recipe.folder, published), published.title)
    classes, read = published.read(inspection)
    features: list[NDArray[Any]] = []
    predictions: list[Predictions] = []
    if not recipe.table_only:
        features = find_features(inspection, published, read, recipe.features or published.features)
        if classes is not None:
            predictions = find_probabilities(inspection, published, read, classes)
    inspection.check()
    parts = [one.part for one in read if one.part is not None]
    if classes is None or len(parts) < len(read):
        raise RuntimeError("a part could not be read, but no fault was noted")
    table = _joined(parts, recipe)
    return store(
        recipe.out,
        table,
        features=features,
        probabilities=[_placed(one, parts) for one in predictions],
        classes=classes.names,
        identity={
            "dataset": recipe.dataset,
            "val_share": recipe.val_share,
            "seed": recipe.seed,
            "files": fingerprint(inspection.files),
        },
        notes={
            "title": published.title,
            "terms": published.terms,
            "rows": _count_roles(table),
            "without_location": int((~table.has_location).sum()),
            "classes": list(classes.names),
        },
    )


def _joined(parts: list[Part], recipe: Import) -> PlaceTable:
    """One table of all parts, with the roles of the rows."""
    tested = any(part.name == "test" for part in parts)
    roles = np.concatenate(
        [np.full(len(part.ids), part.name if tested or part.name == "train" else "test") for part in parts]
    )
    extra = {name: column([value for part in parts for value in part.columns[name]]) for name in parts[0].columns}
    return PlaceTable(
        np.concatenate([part.ids for part in parts]),
        np.concatenate([part.lonlat for part in parts]),
        {
            "label": np.concatenate([part.labels for part in parts]),
            "official": roles,
            "split": hold_out(roles, recipe.val_share, recipe.seed),
            **extra,
        },
    )


def _placed(predictions: Predictions, parts: list[Part]) -> Probabilities:
    """A classifier's matrices and the rows of the joined table that they are for."""
    starts = np.cumsum([0, *(len(part.ids) for part in parts)])
    covered = [(part, start) for part, start in zip(parts, starts, strict=False) if part.name in predictions.parts]
    rows = np.concatenate([start + np.arange(len(part.ids)) for part, start in covered])
    return Probabilities(predictions.name, [predictions.parts[part.name] for part, _ in covered], rows)


def import_table(recipe: ImportTable) -> Imported:
    """Import any table of places, with image features and probabilities if there are any, or find it imported.

    Columns of text, numbers and truth values are kept under their names, dates as text. A row whose longitude or
    latitude is empty is kept without a location.

    Parameters
    ----------
    recipe : ImportTable
        File, columns, and where to.

    Returns
    -------
    Imported
        Paths and counts.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError
        For files that are missing, damaged, or do not fit together; for columns that are not there or hold something
        else; for a folder that holds another data set.
    OSError
        If the folder cannot be written, or another process is importing into it.
    """
    table = read_foreign_table(recipe.file, id=recipe.id, lon=recipe.lon, lat=recipe.lat)
    table = _with_roles(table, recipe)
    names = table.labels(recipe.label).classes if recipe.label is not None else ()
    inspection = Inspection(recipe.file.parent, f"features and probabilities for {recipe.file.name}")
    features = _features(inspection, recipe, table)
    classes = _class_names(inspection, recipe, names)
    probabilities = []
    if recipe.probabilities is not None and classes:
        matrix = read_matrix(inspection, str(recipe.probabilities.absolute()), len(table), len(classes))
        if matrix is not None:
            probabilities.append(Probabilities(recipe.probabilities.stem, [matrix], np.arange(len(table))))
    inspection.check()
    return store(
        recipe.out,
        table,
        features=features,
        probabilities=probabilities,
        classes=classes,
        identity={
            "columns": [recipe.id, recipe.lon, recipe.lat, recipe.label, recipe.split],
            "make_split": recipe.make_split,
            "seed": recipe.seed,
            "files": fingerprint([recipe.file, *inspection.files]),
        },
        notes={
            "title": recipe.file.name,
            "rows": _count_roles(table),
            "without_location": int((~table.has_location).sum()),
            "classes": list(names),
        },
    )


def _with_roles(table: PlaceTable, recipe: ImportTable) -> PlaceTable:
    """The table with a column ``split``: the one that was named, or a new one."""
    if recipe.split is not None:
        table.has_role(recipe.split, "train")  # says what is wrong with it
        return table if recipe.split == "split" else table.with_column("split", table.columns.held[recipe.split])
    if recipe.make_split == "random":
        roles = random_split(len(table), recipe.seed)
    elif recipe.make_split == "blocks":
        roles = np.full(len(table), "pool", dtype="<U5")
        roles[table.has_location] = label_gap_split(table.lonlat[table.has_location], recipe.seed)
    else:
        return table
    return table.with_column("split", roles)


def _count_roles(table: PlaceTable) -> dict[str, int]:
    """Rows of each role, if the column ``split`` is there and text."""
    counts = dict.fromkeys(SPLITS, 0)
    for rows in row_blocks(len(table)) if "split" in table.columns else ():
        for name in SPLITS:
            counts[name] += int((table.part("split", rows) == name).sum())
    return {name: count for name, count in counts.items() if count}


def _features(inspection: Inspection, recipe: ImportTable, table: PlaceTable) -> list[NDArray[Any]]:
    if recipe.features is None:
        return []
    what = f"a row for each row of {recipe.file.name}"
    read = inspection.array(str(recipe.features.absolute()), rows=len(table), what=what)
    if recipe.feature_ids is not None:
        path = inspection.find(str(recipe.feature_ids.absolute()), what=f"({len(table)},) ids of the features")
        if path is not None:
            _check_ids(inspection, path, table)
    return [] if read is None else [read[1]]


def _check_ids(inspection: Inspection, path: Path, table: PlaceTable) -> None:
    expected = f"the {len(table)} ids of the table, in its order"
    try:
        ids = np.load(path, mmap_mode="r", allow_pickle=False)
    except NO_ARRAY as error:
        inspection.wrong(path, expected=expected, found=f"a file that is damaged or no array of ids ({error})")
        return
    if ids.shape != (len(table),):
        inspection.wrong(path, expected=expected, found=f"shape {ids.shape}")
    elif (different := compare(ids, table.held_ids)) is not None:
        row = slice(different.row, different.row + 1)
        found = (
            f"{str(ids[different.row])!r} in row {different.row}, where the table has {str(table.part('id', row)[0])!r}"
        )
        inspection.wrong(path, expected=expected, found=f"{found} ({different.num_rows} differ)")


def _class_names(inspection: Inspection, recipe: ImportTable, labels: tuple[str, ...]) -> tuple[str, ...]:
    """Class of each column of the probabilities: those of a file, or the sorted labels."""
    if recipe.probabilities is None or recipe.classes is None:
        return labels
    path = inspection.find(str(recipe.classes.absolute()), what="a class on each line")
    if path is None:
        return ()
    try:
        names = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        inspection.wrong(path, expected="UTF-8 text, a class on each line", found=str(error))
        return ()
    lacking = [label for label in labels if label not in set(names)]
    if lacking or len(set(names)) < len(names):
        found = f"{len(names)} lines, {len(set(names))} different" + (f", none {lacking[0]!r}" if lacking else "")
        inspection.wrong(path, expected=f"each class once, all {len(labels)} labels among them", found=found)
        return ()
    return tuple(names)
