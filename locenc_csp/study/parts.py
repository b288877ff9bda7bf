"""The parts of `locenc-csp table`: which methods run on which splits, labels and label shares."""

from collections.abc import Iterable, Sequence

from locenc_csp.study import methods
from locenc_csp.study.cells import RATIOS, Cell
from locenc_csp.study.methods import ENCODERS, Method

ALL_RATIOS = (0.01, 0.05, 0.10, 0.20, 1.0)
LAND_COVER, KOPPEN, COUNTRY = "land_cover", "koppen", "country"


def cells(
    chosen: Iterable[Method],
    seed: int,
    splits: Iterable[int],
    *,
    kind: str = "block",
    labels: Sequence[str] = (LAND_COVER,),
    ratios: tuple[float, ...] = RATIOS,
) -> list[Cell]:
    """Every method on every split; splits, label draws and initial weights change with the seed."""
    own = list(chosen)
    return [Cell(method, f"{kind}_{i}", seed + i, tuple(labels), ratios) for i in splits for method in own]


def map_cell(seed: int) -> Cell:
    """Pre-training on every patch, for an encoder to keep and to draw."""
    return Cell(methods.few()[1], None, seed)


def supervised_cells(seed: int, splits: Iterable[int], ratios: tuple[float, ...]) -> list[Cell]:
    """Encoders that see the labels alone."""
    return cells(map(methods.supervised, ENCODERS), seed, splits, ratios=ratios)
