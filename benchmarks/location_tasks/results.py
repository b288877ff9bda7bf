"""What the benchmark found, and the run that finds it."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.location_tasks import tuning
from benchmarks.location_tasks.candidates import CONTROLS, Candidate
from benchmarks.location_tasks.cells import Cell, Cells
from benchmarks.location_tasks.controls import score_control
from benchmarks.location_tasks.protocol import Protocol
from benchmarks.location_tasks.tasks import SPLITS, World, pairs
from benchmarks.location_tasks.training import Score


class Results(NamedTuple):
    """All numbers, and what they are of.

    Attributes
    ----------
    rates : dict
        Learning rate by candidate's label and split.
    scores : dict
        By cell, of candidates and controls.
    """

    protocol: Protocol
    candidates: Sequence[Candidate]
    tasks: Sequence[str]
    seeds: Sequence[int]
    rates: dict[tuple[str, str], float]
    scores: dict[Cell, Score]

    def of_seeds(self, label: str, split: str, task: str) -> tuple[float, ...]:
        """Scores of a candidate or control on one task, of each seed."""
        return tuple(self.scores[Cell(label, split, task, seed)].score for seed in self.seeds)


def find(
    cells: Cells, protocol: Protocol, candidates: Sequence[Candidate], tasks: Sequence[str], seeds: Sequence[int]
) -> Results:
    """Score controls and candidates, seed by seed; finished cells are kept, and found."""
    found = Results(protocol, candidates, tasks, seeds, {}, {})
    apart = World(protocol, tuning.SEED)
    for seed in seeds:
        world = World(protocol, seed)
        for split, task in pairs(tasks):
            for control in CONTROLS:
                found.scores[Cell(control, split, task, seed)] = score_control(control, world, split, task)
        for candidate in candidates:
            for split in SPLITS:
                key = (candidate.label, split)
                if key not in found.rates:
                    found.rates[key] = tuning.learning_rate(candidate, cells, apart, split, tasks)
                for task in tasks:
                    scored = tuning.score(candidate, cells, world, split, task, found.rates[key])
                    found.scores[Cell(candidate.label, split, task, seed)] = scored
            print(f"seed {seed}: {candidate.label}", file=sys.stderr, flush=True)
    return found
