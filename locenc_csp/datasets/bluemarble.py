"""The default data set: Blue Marble patches with land cover and climate labels, built from what pip installs.

Patches of 7 km pixels from one mosaic are no photographs: this set stands beside iNat2018 or fMoW, not for them.
"""

import hashlib
import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import locenc
from locenc._files import only_one, read_json, write_array, write_text
from locenc._names import check_count
from locenc.data import LAND_COVER_CLASSES
from locenc_csp._chunks import fill_array, open_array
from locenc_csp.datasets.land import land_places
from locenc_csp.datasets.patches import cut_patches
from locenc_csp.datasets.sources import BLUE_MARBLE, KOEPPEN_ZONES, SOURCES, read_image
from locenc_csp.datasets.splits import label_gap_split, random_split
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table

__all__ = ["PUBLISHED_SHA256", "SOURCES", "PatchSet", "build", "checksum", "open_patches"]

RECIPE = 1  # raised with every change of what `build` makes
NUM_POINTS = 30_000
#: Checksum of the default set (30,000 places, seed 0) as numpy 2.4.6 and pillow 13.0.0 make it.
PUBLISHED_SHA256 = "39e73eda629148f0a65e13c34b0868baf166c9cfdb16c649cea4cac9b2ddd242"
NUM_SPLITS = 5
PATCH_SIZE, PATCH_KM = 32, 200.0
ROWS_PER_CHUNK = 500


class PatchSet(NamedTuple):
    """A data set of patches.

    Attributes
    ----------
    table : PlaceTable
        N rows; label columns ``land_cover`` and ``koppen``; split columns ``block_0`` to ``block_4`` and
        ``random_0`` to ``random_4``.
    patches : memmap
        uint8 (N, 32, 32, 3), red, green, blue, north up; row i belongs to row i of the table.
    meta : dict
        How it was made: recipe, seed, versions, sources, checksum.
    """

    table: PlaceTable
    patches: "np.memmap[Any, np.dtype[np.uint8]]"
    meta: dict[str, Any]


def build(folder: str | Path, *, num_points: int = NUM_POINTS, seed: int = 0) -> PatchSet:
    """Build the data set into a folder, or open it if it is there already.

    Points are uniform by area between 60° S and the north pole, on land: no ocean and no ice cap on the climate map,
    no water on the land cover map. Around each, 200 by 200 km of the mosaic are resampled to 32 by 32 pixels (see
    `cut_patches`); labels are those of the cells at the centre. Places, patches and labels of a smaller set are the
    beginning of those of a larger one; its splits are not.

    The file ``meta.json`` is written last: a folder without it is unfinished, and the next call goes on from there.

    Parameters
    ----------
    folder : str or Path
        Where ``table.parquet``, ``patches.npy``, ``ids.npy`` and ``meta.json`` go. Made if missing.
    num_points : int
        Number of places.
    seed : int
        Decides which. The splits have seeds of their own: the number in their name.

    Returns
    -------
    PatchSet
        The finished set.

    Raises
    ------
    ImportError
        If a package with a raster, pillow or pyarrow is missing.
    ValueError
        If a number is out of range, a raster is not the expected version, or the folder holds a set built otherwise.
    OSError
        If the folder cannot be written, or another process is building in it.
    """
    check_count("num_points", num_points)
    check_count("seed", seed, least=0)
    folder = Path(folder)
    recipe = {"recipe": RECIPE, "num_points": num_points, "seed": seed}
    if not (folder / "meta.json").exists():
        with only_one(folder, "building the data set"):
            if not (folder / "meta.json").exists():  # nor has the process before this one made it
                _build(folder, recipe)
    existing = open_patches(folder)
    _check_recipe(folder, existing.meta, recipe)
    return existing


def _check_recipe(folder: Path, found: dict[str, Any], recipe: dict[str, int]) -> None:
    if found.get("recipe") != RECIPE:
        raise ValueError(
            f"{folder} holds a data set of another version of locenc (recipe {found.get('recipe')}, not {RECIPE}): "
            "choose another folder"
        )
    differing = [name for name in recipe if found.get(name) != recipe[name]]
    if differing:
        what = ", and ".join(f"{name} {found.get(name)}, not {recipe[name]}" for name in differing)
        options = " ".join(f"--{name.replace('_', '-')} {found.get(name)}" for name in differing)
        raise ValueError(f"{folder} holds a data set with {what}: pass {options} to use it, or choose another folder")


def _build(folder: Path, recipe: dict[str, int]) -> None:
    num_points = recipe["num_points"]
    table = _make_table(num_points, recipe["seed"])
    image = read_image(BLUE_MARBLE)
    fill_array(
        folder / "patches.npy",
        lambda start, stop: cut_patches(image, table.lonlat[start:stop], size=PATCH_SIZE, width_km=PATCH_KM),
        shape=(num_points, PATCH_SIZE, PATCH_SIZE, 3),
        dtype=np.uint8,
        key=f"{recipe} {_digest_table(table)} {[source.sha256 for source in SOURCES]}",
        rows_per_chunk=ROWS_PER_CHUNK,
        description="cutting patches",
    )
    write_table(table, folder / "table.parquet")
    write_array(folder / "ids.npy", table.ids)
    meta = {
        "name": "bluemarble",
        **recipe,
        "sha256": _digest(folder),
        "versions": {
            "locenc": locenc.__version__,
            "numpy": np.__version__,
            "pillow": importlib.metadata.version("pillow"),
        },
        "sources": [asdict(source) for source in SOURCES],
    }
    write_text(folder / "meta.json", json.dumps(meta, indent=2, ensure_ascii=False) + "\n")


def open_patches(folder: str | Path) -> PatchSet:
    """Open a finished data set.

    Parameters
    ----------
    folder : str or Path
        As given to `build`.

    Returns
    -------
    PatchSet
        Patches are memory-mapped, read-only.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished set.
    ValueError
        If a file is damaged, or table and patches do not belong together.
    """
    folder = Path(folder)
    if not (folder / "meta.json").is_file():
        raise FileNotFoundError(
            f"no finished data set in {folder}: run `locenc-csp data` (it goes on where it was stopped)"
        )
    remedy = _remedy(folder)
    meta = read_json(folder / "meta.json", remedy=remedy)
    table = _read_table(folder)
    patches = open_array(folder / "patches.npy", remedy=remedy)
    ids = open_array(folder / "ids.npy", remedy=remedy)
    whole = patches.shape == (len(table), PATCH_SIZE, PATCH_SIZE, 3) and patches.dtype == np.uint8
    if not whole or not np.array_equal(ids, table.ids):
        raise ValueError(
            f"table.parquet, ids.npy and patches.npy in {folder} do not belong together: {len(table)} rows, "
            f"{ids.size} ids, patches {patches.shape} {patches.dtype}; {remedy}"
        )
    return PatchSet(table, patches, meta)


def checksum(folder: str | Path) -> str:
    """Compute the checksum of a finished data set from its files, and compare it with the one noted when it was built.

    Parameters
    ----------
    folder : str or Path
        As given to `build`.

    Returns
    -------
    str
        sha256 of ids, locations, columns and patches (not of the files' packing), hexadecimal.

    Raises
    ------
    FileNotFoundError
        If the folder holds no finished set.
    ValueError
        If the files have changed since.
    """
    folder = Path(folder)
    noted = open_patches(folder).meta.get("sha256")
    found = _digest(folder)
    if found != noted:
        raise ValueError(
            f"the data set in {folder} has changed since it was built: sha256 {found}, noted {noted}; {_remedy(folder)}"
        )
    return found


def _remedy(folder: Path) -> str:
    return f"remove {folder / 'meta.json'} and run `locenc-csp data` again"


def _read_table(folder: Path) -> PlaceTable:
    path = folder / "table.parquet"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; {_remedy(folder)}")
    try:
        return read_table(path)
    except ValueError as error:
        raise ValueError(f"{error}; {_remedy(folder)}") from error


def _make_table(num_points: int, seed: int) -> PlaceTable:
    lonlat, cover, zone = land_places(num_points, seed)
    columns: dict[str, NDArray[Any]] = {
        "land_cover": np.array(LAND_COVER_CLASSES)[cover],
        "koppen": np.array(KOEPPEN_ZONES)[zone - 1],
    }
    for split in range(NUM_SPLITS):
        columns[f"block_{split}"] = label_gap_split(lonlat, split)
    for split in range(NUM_SPLITS):
        columns[f"random_{split}"] = random_split(num_points, split)
    ids = np.array([f"bluemarble-{seed}-{row:06d}" for row in range(num_points)])
    return PlaceTable(ids, lonlat, columns)


def _digest(folder: Path) -> str:
    patches = np.load(folder / "patches.npy", mmap_mode="r")
    digest = hashlib.sha256(_digest_table(read_table(folder / "table.parquet")).encode())
    digest.update(np.ascontiguousarray(patches).data)
    return digest.hexdigest()


def _digest_table(table: PlaceTable) -> str:
    digest = hashlib.sha256("\n".join(table.ids).encode())
    digest.update(np.ascontiguousarray(table.lonlat, dtype="<f8").tobytes())
    for name, column in table.columns.items():
        digest.update("\n".join(["", name, *column.astype(np.str_)]).encode())
    return digest.hexdigest()
