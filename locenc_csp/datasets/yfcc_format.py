"""YFCC100M-GEO100 as TorchSpatial's LocBench holds it: a CSV file of places, and one of class names."""

from typing import Any

import numpy as np

from locenc_csp.datasets.arrow_files import open_csv
from locenc_csp.datasets.inspection import Inspection
from locenc_csp.datasets.parts import Classes, Part, Read, degrees, make_classes

__all__ = ["read_yfcc"]

PLACES, NAMES = "train_test_split.csv", "class_names.csv"
PARTS = ("train", "val", "test")


def read_yfcc(inspection: Inspection) -> tuple[Classes | None, list[Read]]:
    """Read classes and parts; None where a fault was noted. Rows of a part keep the order of the file."""
    names = _columns(inspection, NAMES, ("id", "name"))
    places = _columns(inspection, PLACES, ("lon", "lat", "class", "split"))
    classes = None
    if names is not None:
        classes = make_classes(inspection, inspection.folder / NAMES, names["id"], names["name"])
    nothing = [Read(name, None, None) for name in PARTS]
    if places is None or classes is None:
        return classes, nothing
    path = inspection.folder / PLACES
    if (row := classes.unknown(places["class"])) is not None:
        found = f"{places['class'][row]!r} in row {row}"
        inspection.wrong(path, expected=f"a class of {NAMES} ({len(classes.names)} ids)", found=found)
    part_of = np.array([str(one) for one in places["split"]])
    others = np.flatnonzero(~np.isin(part_of, PARTS))
    if len(others):
        found = f"{str(part_of[others[0]])!r} in row {others[0]}"
        inspection.wrong(path, expected=f"a split of {', '.join(PARTS)}", found=found)
    lonlat = degrees(inspection, path, places["lon"], places["lat"])
    if lonlat is None or row is not None or len(others):
        return classes, nothing
    labels = classes.named(places["class"])
    parts = []
    for name in PARTS:
        rows = np.flatnonzero(part_of == name)
        if len(rows):
            inspection.note(path, f"{len(rows)} rows in {name}")
            ids = np.array([f"{name}-{row}" for row in rows], dtype=np.str_)
            parts.append(Read(name, len(rows), Part(name, ids, lonlat[rows], labels[rows], {})))
    return classes, parts


def _columns(inspection: Inspection, name: str, wanted: tuple[str, ...]) -> dict[str, list[Any]] | None:
    """Columns of a CSV file, as lists; None where a fault was noted."""
    what = f"a CSV file with the columns {', '.join(wanted)}"
    path = inspection.find(name, what=what)
    if path is None:
        return None
    try:
        rows = open_csv(path)
    except ValueError as error:
        inspection.wrong(path, expected=what, found=str(error))
        return None
    if set(wanted) - set(rows.schema.names):
        inspection.wrong(path, expected=what, found=f"columns {', '.join(rows.schema.names)}")
        return None
    found: dict[str, list[Any]] = {one: [] for one in wanted}
    for batch in rows.batches(wanted):
        for one in wanted:
            found[one] += batch.column(one).to_pylist()
    return found
