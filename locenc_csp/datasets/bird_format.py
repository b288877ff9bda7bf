"""BirdSnap and NABirds with locations, as the geographical priors of Mac Aodha et al. 2019 publish them.

One JSON object {train, val, test: [{im_path, class_id, valid_image, ebird_meta: {lon, lat, date, user_id}}], classes}.
Rows whose image could not be found again (``valid_image`` false) have no features and are left out.
"""

from pathlib import Path
from typing import Any

import numpy as np

from locenc_csp.datasets.inspection import Inspection
from locenc_csp.datasets.parts import Classes, Part, Read, degrees, make_classes, take

__all__ = ["read_birds"]

PARTS = ("train", "val", "test")


def read_birds(inspection: Inspection, file: str, *, metadata: str) -> tuple[Classes | None, list[Read]]:
    """Read classes and parts; None where a fault was noted.

    Parameters
    ----------
    inspection : Inspection
        The folder.
    file : str
        Name of the JSON file.
    metadata : str
        Which locations: ``orig_meta`` (of the photographs) or ``ebird_meta`` (drawn from eBird's checklists).
    """
    what = f"an object {{train, val, test: [{{im_path, class_id, valid_image, {metadata}}}], classes: [name]}}"
    read = inspection.json(file, what=what, kind=dict)
    if read is None:
        return None, [Read(name, None, None) for name in PARTS]
    path, content = read
    lacking = [name for name in (*PARTS, "classes") if not isinstance(content.get(name), list)]
    if lacking:
        inspection.wrong(path, expected=what, found=f"no list {', '.join(lacking)}")
        return None, [Read(name, None, None) for name in PARTS]
    names = content["classes"]
    classes = make_classes(inspection, path, list(range(len(names))), names)
    return classes, [_part(inspection, path, content[name], name, metadata, classes) for name in PARTS]


def _part(
    inspection: Inspection, path: Path, records: list[Any], name: str, metadata: str, classes: Classes | None
) -> Read:
    fields = take(inspection, path, records, ("im_path", "class_id", "valid_image", metadata), what=name)
    if fields is None:
        return Read(name, None, None)
    kept = [row for row, valid in enumerate(fields["valid_image"]) if valid]
    nothing = Read(name, len(kept), None)
    if classes is None:
        return nothing
    codes = [fields["class_id"][row] for row in kept]
    if (row := classes.unknown(codes)) is not None:
        found = f"class_id {codes[row]!r} in entry {kept[row]} of {name}"
        inspection.wrong(path, expected=f"a class_id from 0 to {len(classes.names) - 1}", found=found)
        return nothing
    meta = take(inspection, path, [fields[metadata][row] for row in kept], ("lon", "lat"), what=f"{name}, {metadata}")
    if meta is None:
        return nothing
    inspection.note(path, f"{len(kept)} images of {len(records)} in {name}")
    lonlat = degrees(inspection, path, meta["lon"], meta["lat"])
    if lonlat is None:
        return nothing
    columns = {
        "user_id": [_whole(fields[metadata][row].get("user_id")) for row in kept],
        "date": [fields[metadata][row].get("date") for row in kept],
        "file": [fields["im_path"][row] for row in kept],
    }
    ids = np.array([f"{name}-{row}" for row in kept], dtype=np.str_)
    return Read(name, len(kept), Part(name, ids, lonlat, classes.named(codes), columns))


def _whole(value: Any) -> Any:
    """A user id that pandas has made a float, as the whole number that it is; NaN is none."""
    if isinstance(value, float):
        return int(value) if value == value else None
    return value
