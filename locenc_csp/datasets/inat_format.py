"""Annotations, locations and categories as iNaturalist's competitions and fMoW in CSP publish them.

``{part}2018.json`` holds {images: [{id, file_name}], annotations: [{image_id, category_id}]}; the order of its images
is the order of feature and probability files. ``{part}2018_locations.json`` is a list of {id, lon, lat, user_id,
date_c}. Categories are a list of {id, name}, or one object from names to ids.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locenc._names import and_more
from locenc_csp.datasets.inspection import Inspection
from locenc_csp.datasets.parts import Classes, Part, Read, degrees, first_repeated, make_classes, take

__all__ = ["read_categories", "read_part"]

IMAGES = "an object {images: [{id, file_name}], annotations: [{image_id, category_id}]}"
LOCATIONS = "a list of {id, lon, lat, user_id, date_c}, one for each image"


def read_categories(inspection: Inspection, *names: str, by_name: bool = False) -> Classes | None:
    """Classes of a data set; None where a fault was noted.

    Parameters
    ----------
    inspection : Inspection
        The folder.
    names : str
        File names to look for, the first that is there is read.
    by_name : bool
        Whether the file is an object from names to ids, not a list of {id, name}.
    """
    what = "an object {name: id}" if by_name else "a list of {id, name}"
    read = inspection.json(*names, what=what, kind=dict if by_name else list)
    if read is None:
        return None
    path, content = read
    if by_name:
        return make_classes(inspection, path, list(content.values()), list(content))
    fields = take(inspection, path, content, ("id", "name"), what="the list")
    return None if fields is None else make_classes(inspection, path, fields["id"], fields["name"])


def read_part(
    inspection: Inspection, name: str, *, images: str, locations: Sequence[str], classes: Classes | None
) -> Read:
    """Read one part: image ids, categories, locations; None in place of what could not be read.

    Locations and annotations are matched to images by id, whatever their order.

    Parameters
    ----------
    inspection : Inspection
        The folder.
    name : str
        Of the part: train or val.
    images : str
        File of images and annotations.
    locations : sequence of str
        Names of the file of locations, the first that is there is read.
    classes : Classes, optional
        Known categories; None where they could not be read.
    """
    annotated = inspection.json(images, what=IMAGES, kind=dict)
    located = inspection.json(*locations, what=LOCATIONS, kind=list)
    if annotated is None:
        return Read(name, None, None)
    path, content = annotated
    if not isinstance(content.get("images"), list) or not isinstance(content.get("annotations"), list):
        inspection.wrong(path, expected=IMAGES, found=f"an object with {', '.join(content) or 'nothing in it'}")
        return Read(name, None, None)
    of_images = take(inspection, path, content["images"], ("id",), what="images")
    of_labels = take(inspection, path, content["annotations"], ("image_id", "category_id"), what="annotations")
    if of_images is None:
        return Read(name, None, None)
    ids = [str(one) for one in of_images["id"]]
    if (row := first_repeated(ids)) is not None:
        inspection.wrong(path, expected="each image once", found=f"image {ids[row]} again in entry {row} of images")
        return Read(name, None, None)
    inspection.note(path, f"{len(ids)} images, {len(content['annotations'])} annotations")
    categories = None
    if of_labels is not None:
        keys, values = of_labels["image_id"], of_labels["category_id"]
        categories = _matched(inspection, path, ids, keys, values, what="annotation")
    placed = None if located is None else _placed(inspection, *located, ids)
    if categories is None or classes is None or placed is None:
        return Read(name, len(ids), None)
    records, lonlat = placed
    if (row := classes.unknown(categories)) is not None:
        found = f"category_id {categories[row]!r} of image {ids[row]} (row {row})"
        inspection.wrong(path, expected=f"a category_id of the {len(classes.names)} known categories", found=found)
        return Read(name, len(ids), None)
    columns = {
        "user_id": [one.get("user_id") for one in records],
        "date": [one.get("date_c") for one in records],
        "file": [one.get("file_name") for one in content["images"]],
    }
    named = np.array([f"{name}-{one}" for one in ids], dtype=np.str_)
    return Read(name, len(ids), Part(name, named, lonlat, classes.named(categories), columns))


def _placed(
    inspection: Inspection, path: Path, places: list[Any], ids: list[str]
) -> tuple[list[Any], NDArray[np.float64]] | None:
    """Records of locations in the order of images, and their coordinates; None where a fault was noted."""
    fields = take(inspection, path, places, ("id", "lon", "lat"), what="the list")
    if fields is None:
        return None
    inspection.note(path, f"{len(places)} locations")
    records = _matched(inspection, path, ids, fields["id"], places, what="location")
    if records is None:
        return None
    if ids != [str(one) for one in fields["id"]]:
        inspection.note(path, "in another order than the images, matched by id")
    lonlat = degrees(inspection, path, [one["lon"] for one in records], [one["lat"] for one in records])
    return None if lonlat is None else (records, lonlat)


def _matched(
    inspection: Inspection, path: Path, ids: list[str], keys: Sequence[Any], values: Sequence[Any], *, what: str
) -> list[Any] | None:
    """Values in the order of ids; None, with the fault noted, unless each id has exactly one."""
    found = dict(zip(map(str, keys), values, strict=True))
    missing = [(row, one) for row, one in enumerate(ids) if one not in found]
    if not missing and len(keys) == len(ids):
        return [found[one] for one in ids]
    if missing:
        row, one = missing[0]
        detail = f"{len(keys)}, none for image {one} (row {row}){and_more(len(missing))}"
    elif (row_of := first_repeated([str(key) for key in keys])) is not None:
        detail = f"{len(keys)}, image {keys[row_of]} again in entry {row_of}"
    else:
        known = set(ids)
        other = next(key for key in keys if str(key) not in known)
        detail = f"{len(keys)}, also for {other!r}, which is no image"
    inspection.wrong(path, expected=f"one {what} for each of {len(ids)} images", found=detail)
    return None
