"""Data sets of the field as they are published: names of their files, and what reads them.

iNat2018 and fMoW are laid out as CSP (Mai et al. 2023) has them; TorchSpatial's LocBench (Wu et al. 2024) holds the
same files in one archive, beside iNat2017, BirdSnap, NABirds and YFCC.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from locenc_csp.datasets.bird_format import read_birds
from locenc_csp.datasets.inat_format import read_categories, read_part
from locenc_csp.datasets.inspection import Inspection
from locenc_csp.datasets.matrices import Matrix, first_fault, read_sparse
from locenc_csp.datasets.parts import Classes, Read
from locenc_csp.datasets.yfcc_format import read_yfcc

__all__ = ["PUBLISHED", "Predictions", "Published", "find_features", "find_folder", "find_probabilities", "read_matrix"]

Reader = Callable[[Inspection], tuple[Classes | None, list[Read]]]


@dataclass(frozen=True)
class Published:
    """A published data set.

    Attributes
    ----------
    title : str
        For people.
    folder : str
        Its folder in LocBench's archive.
    prefix : str
        That the names of its feature and probability files begin with.
    read : callable
        Reads classes and parts out of an inspected folder.
    features : str
        Folder of the image features that pre-training uses.
    terms : str
        Who allows what.
    """

    title: str
    folder: str
    prefix: str
    read: Reader
    features: str
    terms: str


class Predictions(NamedTuple):
    """Files of P(class | image) that one image classifier made: its name, and a matrix for each part that it covers."""

    name: str
    parts: Mapping[str, Matrix]


def _inat(year: int) -> Reader:
    def read(inspection: Inspection) -> tuple[Classes | None, list[Read]]:
        classes = read_categories(inspection, f"categories{year}.json", "categories.json")
        parts = [
            read_part(
                inspection,
                part,
                images=f"{part}{year}.json",
                locations=(f"{part}{year}_locations.json", f"inat{year}_locations/{part}{year}_locations.json"),
                classes=classes,
            )
            for part in ("train", "val")
        ]
        return classes, parts

    return read


def _fmow(inspection: Inspection) -> tuple[Classes | None, list[Read]]:
    classes = read_categories(inspection, "category.json", by_name=True)
    parts = [
        read_part(inspection, part, images=f"{part}.json", locations=(f"{part}_location.json",), classes=classes)
        for part in ("train", "val")
    ]
    return classes, parts


def _birds(file: str, metadata: str) -> Reader:
    return lambda inspection: read_birds(inspection, file, metadata=metadata)


_INATURALIST = "iNaturalist's competition terms: non-commercial research and education, images not redistributed"
_LOCBENCH = "LocBench: CC BY-NC 4.0 where nothing upstream is stricter"
_EBIRD = "locations drawn from eBird's checklists; " + _LOCBENCH

PUBLISHED: Mapping[str, Published] = {
    "inat2018": Published(
        "iNat2018", "inat_2018", "inat2018", _inat(2018), "features_inception_pretrain", _INATURALIST
    ),
    "inat2017": Published(
        "iNat2017", "inat_2017", "inat2017", _inat(2017), "features_inception_pretrain", _INATURALIST
    ),
    "fmow": Published(
        "fMoW",
        "fmow",
        "fmow",
        _fmow,
        "features_inception_pretrain",
        "the licence of the fMoW challenge; " + _LOCBENCH,
    ),
    "birdsnap": Published(
        "BirdSnap (locations of the photographs)",
        "birdsnap",
        "birdsnap",
        _birds("birdsnap_with_loc_2019.json", "orig_meta"),
        "features_inception",
        _LOCBENCH,
    ),
    "birdsnap-ebird": Published(
        "BirdSnap† (locations from eBird)",
        "birdsnap",
        "birdsnap",
        _birds("birdsnap_with_loc_2019.json", "ebird_meta"),
        "features_inception",
        _EBIRD,
    ),
    "nabirds": Published(
        "NABirds† (locations from eBird)",
        "nabirds",
        "nabirds",
        _birds("nabirds_with_loc_2019.json", "ebird_meta"),
        "features_inception",
        _EBIRD,
    ),
    "yfcc": Published("YFCC100M-GEO100", "yfcc", "YFCC", read_yfcc, "features_inception", _LOCBENCH),
}


def find_folder(folder: Path, published: Published) -> Path:
    """Folder of a data set: the one given, or the data set's own in LocBench's unpacked archive."""
    for inner in ("", "data", "geo_prior_data/data"):
        candidate = folder / inner / published.folder
        if candidate.is_dir():
            return candidate
    return folder


def find_features(
    inspection: Inspection, published: Published, parts: Sequence[Read], folder: str
) -> list[NDArray[Any]]:
    """Image features of all parts, memory-mapped; faults are noted in the inspection.

    Files are called ``<prefix>_<part>_pretrain_net_feats.npy`` where the network knew none of the labels,
    ``<prefix>_<part>_net_feats.npy`` where it was fine-tuned on them.
    """
    arrays: list[NDArray[Any]] = []
    for part in parts:
        if part.num_rows is None:
            continue
        names = [f"{folder}/{published.prefix}_{part.name}{kind}_net_feats.npy" for kind in ("_pretrain", "")]
        what = f"features, a row for each image of {part.name} (--table-only does without)"
        read = inspection.array(*names, rows=part.num_rows, what=what)
        if read is None:
            continue
        path, array = read
        if arrays and array.shape[1] != arrays[0].shape[1]:
            expected = f"{arrays[0].shape[1]} columns, as in the part before"
            inspection.wrong(path, expected=expected, found=str(array.shape[1]))
        arrays.append(array)
    return arrays


def find_probabilities(
    inspection: Inspection, published: Published, parts: Sequence[Read], classes: Classes
) -> list[Predictions]:
    """Every classifier's P(class | image) that lies in the folder; faults are noted in the inspection.

    Files are called ``<folder>/<prefix>_<part>_preds_sparse.npz`` (SciPy, CSR) or ``…_preds.npy`` (dense), with
    ``_ratio0.050`` at the end where the classifier was trained on 5 % of the labels.
    """
    by_name: dict[str, dict[str, Matrix]] = {}
    for part in parts:
        if part.num_rows is None:
            continue
        pattern = re.compile(rf"{published.prefix}_{part.name}_preds(_sparse)?(_ratio[\d.]+\d)?(\.npz|\.npy)")
        for path in sorted(inspection.folder.glob(f"*/{published.prefix}_{part.name}_preds*")):
            if (match := pattern.fullmatch(path.name)) is None:
                continue
            inside = str(path.relative_to(inspection.folder))
            matrix = read_matrix(inspection, inside, part.num_rows, len(classes.names))
            if matrix is not None:
                name = path.parent.name + (match[2] or "").replace("_", "-")
                by_name.setdefault(name, {})[part.name] = matrix
    return [Predictions(name, matrices) for name, matrices in by_name.items()]


def read_matrix(inspection: Inspection, name: str, rows: int, columns: int) -> Matrix | None:
    """A file of P(class | image), dense (NumPy) or sparse (SciPy); None where a fault was noted."""
    what = f"P(class | image), a row for each of {rows} images, a column for each of {columns} classes"
    matrix: Matrix | None
    if name.endswith(".npz"):
        path = inspection.find(name, what=what)
        if path is None:
            return None
        try:
            matrix = read_sparse(path)
        except ValueError as error:
            inspection.wrong(path, expected=what, found=str(error))
            return None
        if matrix.shape[0] != rows:
            inspection.wrong(path, expected=what, found=str(matrix.shape))
            return None
        inspection.note(path, f"{matrix.shape}, {len(matrix.data)} values")
    else:
        read = inspection.array(name, rows=rows, what=what)
        if read is None:
            return None
        path, matrix = read
    if matrix.shape[1] != columns:
        inspection.wrong(path, expected=what, found=str(matrix.shape))
        return None
    if (fault := first_fault(matrix)) is not None:
        inspection.wrong(path, expected="probabilities in [0, 1]", found=fault)
        return None
    return matrix
