"""The form that imported data sets take: one table, one matrix of features, P(class | image), and where it all is from.

A folder holds ``table.parquet``, ``features/``, ``probabilities/<classifier>/`` and ``meta.json``, which is written
last: a folder without it is unfinished, and the same import goes on from there.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import locenc
from locenc._files import only_one, read_json, write_text
from locenc_csp.datasets.matrices import Matrix
from locenc_csp.datasets.probabilities import write_probabilities
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table
from locenc_csp.features import open_features
from locenc_csp.writing_features import copy_features

__all__ = ["Imported", "Probabilities", "fingerprint", "hold_out", "store"]


class Probabilities(NamedTuple):
    """P(class | image) of one classifier, to be stored: its name, its matrices, and their rows of the table."""

    name: str
    parts: Sequence[Matrix]
    rows: NDArray[np.int64]


class Imported(NamedTuple):
    """A finished import.

    Attributes
    ----------
    folder : Path
        With everything in it.
    table : Path
        The Parquet table.
    features : Path, optional
        Folder of the image features.
    probabilities : mapping of str to Path
        Folder of P(class | image) for each classifier.
    meta : dict
        Where it is from, counts, classes.
    """

    folder: Path
    table: Path
    features: Path | None
    probabilities: Mapping[str, Path]
    meta: dict[str, Any]


def store(
    folder: Path,
    table: PlaceTable,
    *,
    features: Sequence[NDArray[Any]],
    probabilities: Sequence[Probabilities],
    classes: Sequence[str],
    identity: Mapping[str, Any],
    notes: Mapping[str, Any],
) -> Imported:
    """Write a data set into a folder, or find the same one there.

    Parameters
    ----------
    folder : Path
        Made if missing.
    table : PlaceTable
        All rows.
    features : sequence of ndarray
        Image features of the rows, part after part; none if empty.
    probabilities : sequence of Probabilities
        Image classifiers.
    classes : sequence of str
        Names of the classifiers' columns.
    identity : mapping
        What the content depends on: settings and files. Plain JSON values.
    notes : mapping
        Further entries of ``meta.json``.

    Raises
    ------
    ValueError
        If the folder holds another data set.
    OSError
        If the folder cannot be written, or another process is importing into it.
    """
    key = json.dumps(identity, sort_keys=True)
    with only_one(folder, "importing"):
        if not (folder / "meta.json").is_file():
            write_table(table, folder / "table.parquet")
            if features:
                copy_features(folder / "features", features, ids=table.held_ids, source=_digest(key))
            for one in probabilities:
                target = folder / "probabilities" / one.name
                ids = table.part("id", one.rows)
                write_probabilities(target, one.parts, ids=ids, classes=classes, meta={"classifier": one.name})
            meta = {
                **notes,
                "identity": dict(identity),
                "num_rows": len(table),
                "features": bool(features),
                "probabilities": [one.name for one in probabilities],
                "versions": {"locenc": locenc.__version__, "numpy": np.__version__},
            }
            write_text(folder / "meta.json", json.dumps(meta, indent=2, ensure_ascii=False) + "\n")
    return _open(folder, key)


def _open(folder: Path, key: str) -> Imported:
    remedy = f"remove {folder} and import again"
    meta = read_json(folder / "meta.json", remedy=remedy)
    if json.dumps(meta.get("identity"), sort_keys=True) != key:
        raise ValueError(
            f"{folder} holds another data set, or one of other settings or other files: choose another --out, or "
            "remove the folder"
        )
    table = read_table(folder / "table.parquet", columns=())
    features = folder / "features" if meta["features"] else None
    if features is not None:
        open_features(features).check_ids(table)
    paths = {name: folder / "probabilities" / name for name in meta["probabilities"]}
    return Imported(folder, folder / "table.parquet", features, paths, meta)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint(files: Sequence[Path]) -> list[list[Any]]:
    """Name, size and time of change of files: cheap, where a checksum would read them all."""
    facts = [(path, path.stat()) for path in files]
    return [[path.name, fact.st_size, fact.st_mtime_ns] for path, fact in facts]


def hold_out(roles: NDArray[np.str_], share: float, seed: int) -> NDArray[np.str_]:
    """Make a share of the ``train`` rows ``val`` rows, at random, unless there are ``val`` rows already.

    Parameters
    ----------
    roles : ndarray
        str (N,).
    share : float
        In [0, 1).
    seed : int
        Decides which.
    """
    if (roles == "val").any():
        return roles
    train = np.random.default_rng(seed).permutation(np.flatnonzero(roles == "train"))
    result = roles.astype("<U5")
    result[train[: round(share * len(train))]] = "val"
    return result
