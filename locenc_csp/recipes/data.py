"""Recipes of the default data set and of image features."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from locenc_csp.recipes.checks import check

RANDOM_CONV = "random-conv"
FILE_SIZE = 224
"""Pixels per side that image files become, where neither a recipe nor the network says."""


def default_cache() -> Path:
    """Folder of the data sets that are built once: ``$LOCENC_CACHE``, or ``~/.cache/locenc``."""
    return Path(os.environ.get("LOCENC_CACHE") or Path.home() / ".cache" / "locenc")


@dataclass(frozen=True)
class Data:
    """Build the default data set: NASA Blue Marble patches with MODIS land cover and Köppen zones."""

    out: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set; built once."""
    num_points: int = 30_000
    """Places, uniform by area on land."""
    seed: int = 0
    """Of the places; the splits have seeds of their own."""

    def __post_init__(self) -> None:
        check(self, counts=("num_points",), from_zero=("seed",))


@dataclass(frozen=True)
class Features:
    """Compute image features with a frozen network, of a data set's patches or of image files that a table names."""

    data: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set, as `locenc-csp data` built it."""
    table: Path | None = None
    """Parquet table whose rows name image files, instead of `data`."""
    images: Path | None = None
    """Folder in which those names start; the table's unless given."""
    column: str = "file"
    """Column of the names."""
    out: Path | None = None
    """Folder of the features; `features` inside the data set, or beside the table, unless given."""
    model: str = RANDOM_CONV
    """random-conv (no weights), torchvision:NAME, timm:NAME, package.module:attribute or path/to/file.py:attribute."""
    weights: str | None = None
    """File with the network's state dict; for torchvision and timm also `pretrained` (downloads) or `random`."""
    size: int | None = None
    """Pixels per side that the network sees; what it expects, 224 for files, or the patches' own unless given."""
    mean: tuple[float, float, float] | None = None
    """Of red, green and blue in [0, 1], taken off; what the network expects, or ImageNet's, unless given."""
    std: tuple[float, float, float] | None = None
    """That they are divided by then."""
    batch_size: int = 32
    """Images that go through the network together."""
    device: str = "cpu"
    """Where the network runs: cpu, cuda, cuda:1, or auto."""
    channels_last: bool = True
    """Lay images out with channels last, as convolutions like it."""
    workers: int = 2
    """Threads that decode image files."""
    num_filters: int = 256
    """Filters of random-conv, cut from the images; two features each."""
    seed: int = 0
    """Of the filters, or of weights that the network draws."""

    def __post_init__(self) -> None:
        check(self, counts=("num_filters", "size", "batch_size", "workers"), from_zero=("seed",))
        if self.images is not None and self.table is None:
            raise ValueError("images need a table whose rows name the files: give --table too")
        if self.weights is not None and self.model == RANDOM_CONV:
            raise ValueError("random-conv has no weights to load: name the --model that they are for")
