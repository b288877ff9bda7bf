"""Image files read as arrays, all of one size, by slices."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from locenc._extras import require
from locenc._names import and_more, check_count

__all__ = ["ImageFiles"]


class ImageFiles:
    """Images in a folder, one for each row of a table.

    An image is turned as its EXIF entry says, its shorter side becomes ``size`` pixels (bilinear, antialiased), and
    the square in its middle is kept.

    Parameters
    ----------
    folder : Path
        Where the names start.
    names : sequence of str
        N file names.
    size : int
        Pixels per side.
    workers : int
        Threads that decode.

    Raises
    ------
    FileNotFoundError
        If files are missing; names the first row and how many more.
    ValueError
        If a row has no name, or one that leads out of the folder; from indexing, if a file is no image.
    """

    def __init__(self, folder: Path, names: Sequence[str], *, size: int, workers: int = 1) -> None:
        self.folder, self.names = folder, [str(name) for name in names]
        self.size, self.workers = check_count("size", size), check_count("workers", workers)
        empty = [row for row, name in enumerate(self.names) if not name]
        if empty:
            raise ValueError(f"every row needs an image, but row {empty[0]} names none{and_more(len(empty))}")
        outside = [row for row, name in enumerate(self.names) if not _inside(folder, name)]
        if outside:
            raise ValueError(
                f"file names must stay in the folder of images, {folder}, but row {outside[0]} has "
                f"{self.names[outside[0]]!r}{and_more(len(outside))}"
            )
        missing = [row for row, name in enumerate(self.names) if not (folder / name).is_file()]
        if missing:
            path = folder / self.names[missing[0]]
            raise FileNotFoundError(
                f"no image {path} (row {missing[0]}){and_more(len(missing))}, of {len(self.names)}: name the folder "
                "in which the table's file names start with --images"
            )

    def __len__(self) -> int:
        """Count the images."""
        return len(self.names)

    def __getitem__(self, rows: slice | NDArray[np.int64], /) -> NDArray[np.uint8]:
        """Read images: uint8 (B, size, size, 3), red, green, blue."""
        chosen = np.arange(len(self))[rows].tolist()
        if not chosen:
            return np.empty((0, self.size, self.size, 3), dtype=np.uint8)
        with ThreadPoolExecutor(self.workers) as pool:
            return np.stack(list(pool.map(self._read, chosen)))

    def checksum(self) -> str:
        """Checksum of the names and sizes of the files, not of what is in them."""
        digest = hashlib.sha256()
        for name in self.names:
            digest.update(f"{name} {(self.folder / name).stat().st_size}\n".encode())
        return digest.hexdigest()

    def _read(self, row: int) -> NDArray[np.uint8]:
        image_module = require("PIL.Image", extra="csp")
        ops = require("PIL.ImageOps", extra="csp")
        path = self.folder / self.names[row]
        try:
            with image_module.open(path) as file:
                image = ops.exif_transpose(file).convert("RGB")
            fitted = ops.fit(image, (self.size, self.size), method=image_module.Resampling.BILINEAR)
        except (OSError, SyntaxError, ValueError, image_module.DecompressionBombError) as error:
            raise ValueError(f"{path} (row {row}) is no image, or damaged: {error}") from error
        pixels: NDArray[np.uint8] = np.asarray(fitted)
        return pixels


def _inside(folder: Path, name: str) -> bool:
    """Whether a name leads to a place in a folder, as it is written: links in the folder may point elsewhere."""
    return "\0" not in name and Path(os.path.abspath(folder / name)).is_relative_to(os.path.abspath(folder))
