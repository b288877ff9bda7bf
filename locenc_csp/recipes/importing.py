"""Recipes of the import commands."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from locenc._names import check_number
from locenc_csp.recipes.checks import check


@dataclass(frozen=True)
class Import:
    """Import a published data set (iNat2018, fMoW, LocBench): files of docs/data.md become a table and features."""

    dataset: Literal["inat2018", "inat2017", "fmow", "birdsnap", "birdsnap-ebird", "nabirds", "yfcc"]
    """Which one."""
    folder: Path
    """Its folder, or that of LocBench's unpacked archive."""
    out: Path
    """Folder of the result: table.parquet, features, probabilities."""
    features: str | None = None
    """Folder of image features inside its folder; the published one (docs/data.md) unless given."""
    table_only: bool = False
    """Leave image features and probabilities out."""
    val_share: float = 0.05
    """Share of the training rows that become `val` in the column `split`, where none is published."""
    seed: int = 0
    """Of that choice."""

    def __post_init__(self) -> None:
        check(self, from_zero=("seed",))
        if not 0 <= check_number("val_share", self.val_share) < 1:
            raise ValueError(f"val_share must lie in [0, 1), got {self.val_share!r}")


@dataclass(frozen=True)
class ImportTable:
    """Import any table with longitudes and latitudes: CSV, Parquet, or GeoParquet with points."""

    file: Path
    """.csv, .tsv, .parquet or .geoparquet."""
    out: Path
    """Folder of the result: table.parquet, features, probabilities."""
    id: str | None = None
    """Column of ids; `id`, or the row's number where there is no such column, unless given."""
    lon: str = "lon"
    """Column of longitudes, degrees."""
    lat: str = "lat"
    """Column of latitudes, degrees."""
    label: str | None = None
    """Column of labels, to be checked."""
    split: str | None = None
    """Column of roles (train, val, test, pool), stored as `split`."""
    make_split: Literal["random", "blocks"] | None = None
    """Make a column `split`: rows at random, or blocks of 10 degrees without labels."""
    seed: int = 0
    """Of that split."""
    features: Path | None = None
    """NumPy file (N, F) of image features, in the order of the rows."""
    feature_ids: Path | None = None
    """NumPy file (N,) of the ids that the features belong to, to be checked."""
    probabilities: Path | None = None
    """NumPy (N, K) or sparse SciPy file of P(class | image), in the order of the rows."""
    classes: Path | None = None
    """Text file with the class of each column of the probabilities, one a line; sorted labels unless given."""

    def __post_init__(self) -> None:
        check(self, from_zero=("seed",))
        if self.probabilities is not None and self.label is None:
            raise ValueError("probabilities need a label: name the column of the labels that they are for")
        if self.feature_ids is not None and self.features is None:
            raise ValueError("feature_ids belong to features: name that file too")
        if self.split is not None and self.make_split is not None:
            raise ValueError("split names a column of roles and make_split makes one: give one of them")
