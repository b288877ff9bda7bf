"""Recipes of the demo and of the study."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from locenc_csp.recipes.checks import check
from locenc_csp.recipes.data import default_cache

TablePart = Literal["main", "labels", "terms", "sizes", "images", "search"]


@dataclass(frozen=True)
class Demo:
    """The whole study on real images: data, features, pre-training, fine-tuning, table and maps."""

    out: Path = Path("runs/demo")
    """Folder of the results; a study found there is continued."""
    data: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set; built once."""
    num_points: int = 30_000
    """Places of the data set, if it is built."""
    quick: bool = False
    """One split, 5 % of the labels, four rows: two minutes."""
    seed: int = 0
    """Of everything."""
    workers: int | None = None
    """Processes side by side, one thread each; the number of cores unless given."""

    def __post_init__(self) -> None:
        check(self, counts=("num_points", "workers"), from_zero=("seed",))


@dataclass(frozen=True)
class Table:
    """The study of the paper's tables on real images: objectives, terms, sizes, image features, labels; resumable."""

    out: Path = Path("runs/table")
    """Folder of the results; a study found there is continued."""
    data: Path = field(default_factory=lambda: default_cache() / "bluemarble")
    """Folder of the data set; built once."""
    num_points: int = 30_000
    """Places of the data set, if it is built."""
    parts: tuple[TablePart, ...] = ("main", "labels", "terms", "sizes", "images", "search")
    """What to run: the main table, other labels and splits, ablations, and the search for a better recipe."""
    num_splits: int = 5
    """Splits of the main table; the other parts have 3 at most."""
    label_ratios: tuple[float, ...] = (0.01, 0.05, 0.10, 0.20, 1.0)
    """Label shares of the main table; the other parts have those of 1, 5 and 20 % among them."""
    seed: int = 0
    """Of everything."""
    workers: int | None = None
    """Processes side by side, one thread each; the number of cores unless given."""

    def __post_init__(self) -> None:
        check(self, counts=("num_points", "num_splits", "workers"), from_zero=("seed",))
        if self.num_splits > 5:
            raise ValueError(f"num_splits must be 5 or less, as many as the data set has, got {self.num_splits}")
        if not self.label_ratios or not all(0 < ratio <= 1 for ratio in self.label_ratios):
            raise ValueError(f"label_ratios must be shares in (0, 1], got {self.label_ratios}")
        if self.parts[:1] != ("main",):
            raise ValueError(
                "parts must begin with main: it chooses the encoder of the others; finished cells are kept"
            )
