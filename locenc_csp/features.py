"""Features of images, memory-mapped, and tied to the places by their ids."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locenc._files import read_json
from locenc_csp._chunks import open_array
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.text import compare

__all__ = ["FeatureMatrix", "digest_values", "open_features", "remedy"]


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of N images.

    Attributes
    ----------
    values : ndarray
        float32 (N, F), usually memory-mapped and read-only.
    ids : ndarray
        str (N,), usually memory-mapped too: row i of ``values`` belongs to the place with ``ids[i]``.
    meta : dict
        What they were computed with, and from; ``values_sha256`` is the checksum of the values.
    """

    values: NDArray[np.float32]
    ids: NDArray[np.str_]
    meta: dict[str, Any]

    def rows(self, rows: NDArray[np.int64]) -> Tensor:
        """Read some rows into memory: positions (M,) -> float32 tensor (M, F)."""
        return torch.from_numpy(np.asarray(self.values[rows]))

    def check_ids(self, table: PlaceTable) -> None:
        """Make sure that the features belong to a table: the same ids in the same order.

        Raises
        ------
        ValueError
            If they do not; names the first row that differs, both ids, and both counts.
        """
        both = min(len(self.ids), len(table))
        counts = f"{len(self.ids)} rows of features, {len(table)} rows in the table"
        hint = "compute the features again for this table, in its order"
        if (different := compare(self.ids, table.held_ids)) is not None:
            here, there = (str(one[different.row : different.row + 1][0]) for one in (self.ids, table.held_ids))
            raise ValueError(
                f"the features do not belong to this table: row {different.row} is {here!r} in the features and "
                f"{there!r} in the table ({different.num_rows} of the first {both} rows differ; {counts}): {hint}"
            )
        if len(self.ids) != len(table):
            longer, where = (self.ids, "features") if len(self.ids) > both else (table.held_ids, "table")
            alone = str(longer[both : both + 1][0])
            raise ValueError(
                f"the features do not belong to this table: row {both}, {alone!r}, is only in the {where} ({counts}): "
                f"{hint}"
            )

    def check_values(self) -> None:
        """Compare the values with the checksum that was noted when they were computed; reads all of them once.

        Raises
        ------
        ValueError
            If they have changed, or no checksum was noted.
        """
        found, noted = digest_values(self.values), self.meta.get("values_sha256")
        if found != noted:
            file = getattr(self.values, "filename", None)
            what = f"{file} has changed since it was" if file else "the features have changed since they were"
            advice = remedy(Path(file).parent) if file else "compute them again"
            raise ValueError(f"{what} computed: sha256 {found}, noted {noted}; {advice}")


def open_features(folder: str | Path) -> FeatureMatrix:
    """Open a finished folder of features.

    Parameters
    ----------
    folder : str or Path
        With ``features.npy`` (N, F) float32, ``ids.npy`` (N,) text, and ``meta.json``.

    Returns
    -------
    FeatureMatrix
        Values memory-mapped, read-only.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished features.
    ValueError
        If a file is damaged, or there are not as many ids as rows.
    """
    folder = Path(folder)
    if not (folder / "meta.json").is_file():
        raise FileNotFoundError(
            f"no finished features in {folder} (meta.json is missing): run `locenc-csp features` "
            "(it goes on where it was stopped)"
        )
    advice = remedy(folder)
    meta = read_json(folder / "meta.json", remedy=advice)
    values = open_array(folder / "features.npy", remedy=advice)
    ids = open_array(folder / "ids.npy", remedy=advice)
    if values.ndim != 2 or values.dtype != np.float32 or ids.shape != (len(values),) or ids.dtype.kind != "U":
        raise ValueError(
            f"expected features (N, F) float32 and ids (N,) text in {folder}, "
            f"got {values.shape} {values.dtype} and {ids.shape} {ids.dtype}; {advice}"
        )
    return FeatureMatrix(values, ids, meta)


def remedy(folder: Path) -> str:
    """Say how to mend a folder of features."""
    return f"remove {folder / 'meta.json'} and compute the features again (`locenc-csp features`)"


def digest_values(values: NDArray[np.float32]) -> str:
    """Checksum of features, as ``meta.json`` notes it."""
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()
