"""Features of images written into a folder, once, block after block: computed, or copied from others."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import locenc
from locenc._files import only_one, write_text
from locenc_csp._chunks import fill_array, open_array
from locenc_csp.datasets.text import Texts, compare, row_blocks, write_texts
from locenc_csp.features import FeatureMatrix, digest_values, open_features, remedy

__all__ = ["Images", "copy_features", "write_features"]

ROWS_PER_CHUNK = 2048  # an interruption loses at most so many
BATCHES_PER_CHUNK = 64  # where a batch size is given
ROWS_PER_BATCH = 32  # intermediate results of so many small images stay in the cache


class Images(Protocol):
    """N images: an array uint8 (N, H, W, 3), memory-mapped or not, or anything else that is read by slices."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, rows: slice, /) -> NDArray[np.uint8]:
        """Read images: uint8 (B, H, W, 3)."""


def write_features(
    folder: str | Path,
    extractor: nn.Module,
    patches: Images,
    *,
    ids: Texts,
    source: str,
    settings: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    device: str | torch.device = "cpu",
) -> FeatureMatrix:
    """Compute the features of all patches into a folder, or open them if they are there already.

    The file ``meta.json`` is written last: a folder without it is unfinished, and the next call goes on from there,
    with at most the last 2048 rows (64 batches, if ``batch_size`` is given) to do again.

    Parameters
    ----------
    folder : str or Path
        Where ``features.npy``, ``ids.npy`` and ``meta.json`` go. Made if missing.
    extractor : nn.Module
        Maps patches (B, H, W, 3) uint8 to features (B, F) float32, and has ``dim``, which is F.
    patches : Images
        uint8 (N, H, W, 3), memory-mapped or read by slices.
    ids : ndarray
        str (N,), of the places.
    source : str
        Checksum of the data set that the patches are from.
    settings : mapping, optional
        What else the features depend on, plain JSON values; kept in ``meta.json`` and compared.
    batch_size : int, optional
        Images that go through the extractor together; 32 unless given.
    device : str or torch.device
        Where the extractor runs.

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
    extractor.eval()
    per_batch = batch_size or ROWS_PER_BATCH

    @torch.inference_mode()
    def compute(start: int, stop: int) -> NDArray[np.float32]:
        batches = []
        for first in range(start, stop, per_batch):
            batch = torch.from_numpy(np.array(patches[first : min(first + per_batch, stop)]))
            batches.append(extractor(batch.to(device)).float().cpu().numpy())
        return np.concatenate(batches)

    meta = {
        "extractor": type(extractor).__name__,
        "extractor_sha256": _digest(extractor),
        "source_sha256": source,
        "num_rows": len(ids),
        "dim": int(extractor.dim),  # type: ignore[arg-type]
        **(settings or {}),
    }
    extractor.to(device)
    rows = ROWS_PER_CHUNK if batch_size is None else BATCHES_PER_CHUNK * batch_size
    return _written(Path(folder), compute, ids=ids, meta=meta, rows_per_chunk=rows)


def copy_features(folder: str | Path, arrays: Sequence[NDArray[Any]], *, ids: Texts, source: str) -> FeatureMatrix:
    """Copy features that others have computed into a folder of our form, array after array, or open them there.

    A block of 2048 rows is in memory at a time. An interrupted call goes on where it stopped.

    Parameters
    ----------
    folder : str or Path
        As for `write_features`.
    arrays : sequence of ndarray
        (N_i, F) numbers, memory-mapped or not; their rows follow one another.
    ids : ndarray
        str (N,), N the sum of N_i.
    source : str
        Checksum of the files that they are from, or what else tells them from others.

    Returns
    -------
    FeatureMatrix
        float32 (N, F), memory-mapped.

    Raises
    ------
    ValueError
        If ids and rows differ in number, the arrays in F, a value is not finite (the first row is named), or the
        folder holds other features.
    OSError
        If the folder cannot be written, or another process computes features in it; what was finished is kept.
    """
    count = sum(len(array) for array in arrays)
    if len(ids) != count or len({array.shape[1:] for array in arrays}) != 1 or arrays[0].ndim != 2:
        shapes = ", ".join(str(array.shape) for array in arrays) or "no array"
        raise ValueError(f"expected features (N, F) of {len(ids)} rows together, for as many ids; found {shapes}")
    bounds = np.cumsum([0, *(len(array) for array in arrays)])

    def cut(start: int, stop: int) -> NDArray[np.float32]:
        blocks = [
            np.asarray(array[max(start - first, 0) : stop - first], dtype=np.float32)
            for array, first, last in zip(arrays, bounds[:-1], bounds[1:], strict=True)
            if start < last and stop > first
        ]
        return np.concatenate(blocks) if len(blocks) > 1 else blocks[0]

    meta = {"extractor": "imported", "source_sha256": source, "num_rows": count, "dim": int(arrays[0].shape[1])}
    return _written(Path(folder), cut, ids=ids, meta=meta, rows_per_chunk=ROWS_PER_CHUNK)


def _written(
    folder: Path,
    compute: Callable[[int, int], NDArray[np.float32]],
    *,
    ids: Texts,
    meta: dict[str, Any],
    rows_per_chunk: int,
) -> FeatureMatrix:
    """Fill a folder, unless it is finished, and open it; refuse one that holds other features."""
    if not (folder / "meta.json").exists():
        with only_one(folder, "computing features"):
            if not (folder / "meta.json").exists():  # nor has the process before this one made it
                _fill(folder, compute, ids=ids, meta=meta, rows_per_chunk=rows_per_chunk)
    existing = open_features(folder)
    differing = [name for name in meta if existing.meta.get(name) != meta[name]]
    if differing or len(existing.ids) != len(ids) or compare(existing.ids, ids) is not None:
        what = ", ".join(differing) or "ids"
        raise ValueError(f"{folder} holds other features (they differ in {what}): choose another folder or remove it")
    return existing


def _fill(
    folder: Path,
    compute: Callable[[int, int], NDArray[np.float32]],
    *,
    ids: Texts,
    meta: dict[str, Any],
    rows_per_chunk: int,
) -> None:
    def finite(start: int, stop: int) -> NDArray[np.float32]:
        values = compute(start, stop)
        broken = np.flatnonzero(~np.isfinite(values).all(axis=1))
        if len(broken):
            row = start + int(broken[0])
            raise ValueError(f"the features of row {row} ({ids[row : row + 1][0]}) are not finite")
        return values

    letters = hashlib.sha256()
    for rows in row_blocks(len(ids)):
        letters.update(((chr(10) if rows.start else "") + chr(10).join(ids[rows])).encode())

    fill_array(
        folder / "features.npy",
        finite,
        shape=(meta["num_rows"], meta["dim"]),
        dtype=np.float32,
        key=f"{sorted(meta.items())} {letters.hexdigest()}",
        rows_per_chunk=rows_per_chunk,
        description="image features",
    )
    write_texts(folder / "ids.npy", ids)
    written = open_array(folder / "features.npy", remedy=remedy(folder))
    made = {
        "values_sha256": digest_values(written),
        "versions": {"locenc": locenc.__version__, "torch": torch.__version__},
    }
    write_text(folder / "meta.json", json.dumps({**meta, **made}, indent=2) + "\n")


def _digest(extractor: nn.Module) -> str:
    """Checksum of everything that the features depend on beside the images: names, shapes and values of the state."""
    digest = hashlib.sha256()
    for name, tensor in extractor.state_dict().items():
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
