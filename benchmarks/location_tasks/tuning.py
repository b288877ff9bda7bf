"""Scores of a candidate through the kept cells, and the learning rate that it is trained with."""

from collections.abc import Sequence

from benchmarks.location_tasks.candidates import Candidate
from benchmarks.location_tasks.cells import Cell, Cells
from benchmarks.location_tasks.tasks import World
from benchmarks.location_tasks.training import Score, train_and_score

SEED = 1000
"""Of the places that learning rates are chosen on: no seed of the table."""
TASK = "land cover"


def score(
    candidate: Candidate, cells: Cells, world: World, split: str, task: str, learning_rate: float, *, on: str = "test"
) -> Score:
    """The score of a cell: kept, or trained for and kept."""
    cell = Cell(candidate.label, split, task, world.seed)
    settings = {**candidate.settings(), "learning_rate": learning_rate, "on": on}
    found = cells.find(cell, settings)
    if found is None:
        found = train_and_score(candidate, world, split, task, learning_rate, on=on)
        cells.keep(cell, settings, found)
    return found


def learning_rate(candidate: Candidate, cells: Cells, world: World, split: str, tasks: Sequence[str]) -> float:
    """The rate with the highest score on validation places, of the world of `SEED`.

    Parameters
    ----------
    candidate, cells, world, split
        As `score` takes them.
    tasks : sequence of str
        Those of the run: `TASK` decides, or the first where it is not among them.
    """
    task = TASK if TASK in tasks else tasks[0]

    def on_validation(rate: float) -> float:
        return score(candidate, cells, world, split, task, rate, on="val").score

    return max(world.protocol.learning_rates, key=on_validation)
