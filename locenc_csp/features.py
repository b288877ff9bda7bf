"""Features of images, computed once, memory-mapped, and tied to the places by their ids."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import locenc
from locenc._files import only_one, read_json, write_array, write_text
from locenc_csp._chunks import fill_array, open_array
from locenc_csp.datasets.table import PlaceTable

__all__ = ["FeatureMatrix", "open_features", "write_features"]

ROWS_PER_CHUNK = 2048  # an interruption loses at most so many
ROWS_PER_BATCH = 32  # intermediate results of so many small images stay in the cache


@dataclass(frozen=True)
class FeatureMatrix:
    """Features of N images.

    Attributes
    ----------
    values : ndarray
        float32 (N, F), usually memory-mapped and read-only.
    ids : ndarray
        str (N,): row i of ``values`` belongs to the place with ``ids[i]``.
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
        differing = np.flatnonzero(self.ids[:both] != table.ids[:both])
        counts = f"{len(self.ids)} rows of features, {len(table)} rows in the table"
        hint = "compute the features again for this table, in its order"
        if len(differing):
            row = differing[0]
            raise ValueError(
                f"the features do not belong to this table: row {row} is {str(self.ids[row])!r} in the features and "
                f"{str(table.ids[row])!r} in the table ({len(differing)} of the first {both} rows differ; "
                f"{counts}): {hint}"
            )
        if len(self.ids) != len(table):
            longer, where = (self.ids, "features") if len(self.ids) > both else (table.ids, "table")
            raise ValueError(
                f"the features do not belong to this table: row {both}, {str(longer[both])!r}, is only in the {where} "
                f"({counts}): {hint}"
            )

    def check_values(self) -> None:
        """Compare the values with the checksum that was noted when they were computed; reads all of them once.

        Raises
        ------
        ValueError
            If they have changed, or no checksum was noted.
        """
        found, noted = _digest_values(self.values), self.meta.get("values_sha256")
        if found != noted:
            file = getattr(self.values, "filename", None)
            what = f"{file} has changed since it was" if file else "the features have changed since they were"
            remedy = _remedy(Path(file).parent) if file else "compute them again"
            raise ValueError(f"{what} computed: sha256 {found}, noted {noted}; {remedy}")


def write_features(
    folder: str | Path, extractor: nn.Module, patches: NDArray[np.uint8], *, ids: NDArray[np.str_], source: str
) -> FeatureMatrix:
    """Compute the features of all patches into a folder, or open them if they are there already.

    The file ``meta.json`` is written last: a folder without it is unfinished, and the next call goes on from there,
    with at most the last 2048 rows to do again.

    Parameters
    ----------
    folder : str or Path
        Where ``features.npy``, ``ids.npy`` and ``meta.json`` go. Made if missing.
    extractor : nn.Module
        Maps patches (B, H, W, 3) uint8 to features (B, F) float32, and has ``dim``, which is F.
    patches : ndarray
        uint8 (N, H, W, 3), memory-mapped or not.
    ids : ndarray
        str (N,), of the places.
    source : str
        Checksum of the data set that the patches are from.

    Returns
    -------
    FeatureMatrix
        Memory-mapped.

    Raises
    ------
    ValueError
        If ids and patches differ in number, a feature is not finite, or the folder holds features made otherwise.
    OSError
        If the folder cannot be written, or another process computes features in it; what was finished is kept.
    """
    if len(ids) != len(patches):
        raise ValueError(f"{len(patches)} patches, but {len(ids)} ids")
    folder = Path(folder)
    meta = {
        "extractor": type(extractor).__name__,
        "extractor_sha256": _digest(extractor),
        "source_sha256": source,
        "num_rows": len(ids),
        "dim": int(extractor.dim),  # type: ignore[arg-type]
    }
    if not (folder / "meta.json").exists():
        with only_one(folder, "computing features"):
            if not (folder / "meta.json").exists():  # nor has the process before this one made it
                _compute(folder, extractor, patches, ids=ids, meta=meta)
    existing = open_features(folder)
    differing = [name for name in meta if existing.meta.get(name) != meta[name]]
    if differing or not np.array_equal(existing.ids, ids):
        what = ", ".join(differing) or "ids"
        raise ValueError(f"{folder} holds other features (they differ in {what}): choose another folder or remove it")
    return existing


def _compute(
    folder: Path, extractor: nn.Module, patches: NDArray[np.uint8], *, ids: NDArray[np.str_], meta: dict[str, Any]
) -> None:
    extractor.eval()

    @torch.inference_mode()
    def compute(start: int, stop: int) -> NDArray[np.float32]:
        batches = [
            extractor(torch.from_numpy(np.array(patches[first : min(first + ROWS_PER_BATCH, stop)]))).float().numpy()
            for first in range(start, stop, ROWS_PER_BATCH)
        ]
        values = np.concatenate(batches)
        broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(broken):
            raise ValueError(f"the features of row {start + broken[0]} ({ids[start + broken[0]]}) are not finite")
        return values

    fill_array(
        folder / "features.npy",
        compute,
        shape=(meta["num_rows"], meta["dim"]),
        dtype=np.float32,
        key=f"{sorted(meta.items())} {hashlib.sha256(chr(10).join(ids).encode()).hexdigest()}",
        rows_per_chunk=ROWS_PER_CHUNK,
        description="image features",
    )
    write_array(folder / "ids.npy", ids)
    written = open_array(folder / "features.npy", remedy=_remedy(folder))
    made = {
        "values_sha256": _digest_values(written),
        "versions": {"locenc": locenc.__version__, "torch": torch.__version__},
    }
    write_text(folder / "meta.json", json.dumps({**meta, **made}, indent=2) + "\n")


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
    remedy = _remedy(folder)
    meta = read_json(folder / "meta.json", remedy=remedy)
    values = open_array(folder / "features.npy", remedy=remedy)
    ids = np.array(open_array(folder / "ids.npy", remedy=remedy))
    if values.ndim != 2 or values.dtype != np.float32 or ids.shape != (len(values),) or ids.dtype.kind != "U":
        raise ValueError(
            f"expected features (N, F) float32 and ids (N,) text in {folder}, "
            f"got {values.shape} {values.dtype} and {ids.shape} {ids.dtype}; {remedy}"
        )
    return FeatureMatrix(values, ids, meta)


def _remedy(folder: Path) -> str:
    return f"remove {folder / 'meta.json'} and compute the features again (`locenc-csp features`)"


def _digest_values(values: NDArray[np.float32]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _digest(extractor: nn.Module) -> str:
    """Checksum of everything that the features depend on beside the images: names, shapes and values of the state."""
    digest = hashlib.sha256()
    for name, tensor in extractor.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(np.ascontiguousarray(tensor.cpu().numpy()).data)
    return digest.hexdigest()
