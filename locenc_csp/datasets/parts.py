"""A part of a published data set (its training rows, say), and the arrays that its records become."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from locenc._names import and_more
from locenc.coords import check_lonlat
from locenc_csp.datasets.inspection import Inspection

__all__ = ["Classes", "Part", "Read", "column", "degrees", "first_repeated", "make_classes", "take"]


class Part(NamedTuple):
    """The rows of one part of a data set, in the order of its feature file.

    Attributes
    ----------
    name : str
        As it is published: train, val or test.
    ids : ndarray
        str (N,).
    lonlat : ndarray
        float64 (N, 2) degrees, both NaN where a row has no location.
    labels : ndarray
        str (N,) names of classes.
    columns : mapping of str to sequence
        What else is known of the rows, N values each, None where one is missing.
    """

    name: str
    ids: NDArray[np.str_]
    lonlat: NDArray[np.float64]
    labels: NDArray[np.str_]
    columns: Mapping[str, Sequence[Any]]


class Read(NamedTuple):
    """What could be read of a part: its name, its number of rows, the rows; None where a fault was noted."""

    name: str
    num_rows: int | None
    part: Part | None


class Classes(NamedTuple):
    """The classes of a data set.

    Attributes
    ----------
    names : tuple of str
        Each once, in the order of the columns of its probability files: ascending ids.
    position : dict
        From a class's id, as text, to its place in ``names``.
    """

    names: tuple[str, ...]
    position: dict[str, int]

    def unknown(self, ids: Sequence[Any]) -> int | None:
        """Place of the first id that is none of these classes; None if there is none."""
        return next((row for row, one in enumerate(ids) if str(one) not in self.position), None)

    def named(self, ids: Sequence[Any]) -> NDArray[np.str_]:
        """Names of known ids: str (N,)."""
        codes = np.fromiter((self.position[str(one)] for one in ids), dtype=np.int64, count=len(ids))
        named: NDArray[np.str_] = np.array(self.names, dtype=np.str_)[codes]
        return named


def make_classes(inspection: Inspection, path: Path, ids: Sequence[Any], names: Sequence[Any]) -> Classes | None:
    """Order classes by their ids; a name that several share is told apart by the id. None where a fault was noted."""
    texts = [str(name) if name is not None else "" for name in names]
    if len({str(one) for one in ids}) != len(ids) or not ids or "" in texts:
        expected = "classes with an id each, all different, and a name"
        inspection.wrong(path, expected=expected, found=f"{len(ids)} classes, {len(set(map(str, ids)))} different ids")
        return None
    whole = all(isinstance(one, int) for one in ids)
    order = sorted(range(len(ids)), key=ids.__getitem__) if whole else range(len(ids))
    shared = {text for text in texts if texts.count(text) > 1} if len(set(texts)) < len(texts) else set()
    distinct = [f"{texts[i]} ({ids[i]})" if texts[i] in shared else texts[i] for i in order]
    inspection.note(path, f"{len(distinct)} classes")
    return Classes(tuple(distinct), {str(ids[i]): place for place, i in enumerate(order)})


def degrees(inspection: Inspection, path: Path, lon: Sequence[Any], lat: Sequence[Any]) -> NDArray[np.float64] | None:
    """Longitudes and latitudes as float64 (N, 2); None where a fault was noted.

    A row whose longitude or latitude is null or NaN has no location: both become NaN.
    """
    try:
        lonlat = np.stack([np.array(values, dtype=object).astype(np.float64) for values in (lon, lat)], axis=1)
    except (ValueError, TypeError):
        row = next(row for row, pair in enumerate(zip(lon, lat, strict=True)) if not all(map(_number, pair)))
        found = f"longitude {lon[row]!r}, latitude {lat[row]!r} in row {row}"
        inspection.wrong(path, expected="numbers or null for lon and lat, in degrees", found=found)
        return None
    missing = np.isnan(lonlat)
    half = int((missing[:, 0] != missing[:, 1]).sum())
    lonlat[missing.any(axis=1)] = np.nan
    try:
        check_lonlat(torch.from_numpy(np.where(np.isnan(lonlat), 0.0, lonlat)))
    except ValueError as error:
        inspection.wrong(path, expected="lon and lat in degrees, lat in [-90, 90]", found=str(error))
        return None
    without = f"{int(np.isnan(lonlat[:, 0]).sum())} without a location"
    inspection.note(path, f"{without} ({half} with half of one)" if half else without)
    return lonlat


def _number(value: Any) -> bool:
    return value is None or isinstance(value, (int, float))


def column(values: Sequence[Any]) -> NDArray[Any]:
    """A table's column of JSON values: text, whole numbers or numbers; null becomes "", -1 or NaN."""
    if any(isinstance(value, str) for value in values):
        return np.array(["" if value is None else str(value) for value in values], dtype=np.str_)
    if all(value is None or isinstance(value, int) for value in values):
        return np.array([-1 if value is None else value for value in values], dtype=np.int64)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def first_repeated(values: Sequence[str]) -> int | None:
    """Place of the first value that has stood before; None if all differ."""
    seen: set[str] = set()
    for row, value in enumerate(values):
        if value in seen:
            return row
        seen.add(value)
    return None


def take(
    inspection: Inspection, path: Path, records: Sequence[Any], names: tuple[str, ...], *, what: str
) -> dict[str, list[Any]] | None:
    """Fields of JSON records, by name; None, with the first record that lacks one noted."""
    try:
        return {name: [record[name] for record in records] for name in names}
    except (KeyError, TypeError, IndexError):
        bad = [row for row, one in enumerate(records) if not isinstance(one, dict) or any(n not in one for n in names)]
        found = f"{_shown(records[bad[0]])} in entry {bad[0]}{and_more(len(bad))}"
        inspection.wrong(path, expected=f"{', '.join(names)} in every entry of {what}", found=found)
        return None


def _shown(value: Any) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
